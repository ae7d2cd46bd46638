"""Sessions that end long after their last activity, at vendors that drop old events. Through both doors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sojourn import start_session
from sojourn.testing.vendors import FakeDynatrace, FakeExceptionless
from tests.backends.vendors.connected import backend_on
from tests.doors.browser import Browser, Site, view_of

MakeSite = Callable[..., Site]
HOUR = 3600
DAY = 24 * HOUR


def site_with(make_site: MakeSite, fake: Any) -> tuple[Site, Browser]:
    site = make_site(backends=[backend_on(fake)])
    fake._now = site.clock.now
    site.views["/start"] = view_of(lambda: start_session("checkout-1"))
    return site, Browser(site)


def test_silent_manual_session_has_its_end_at_dynatrace(make_site: MakeSite) -> None:
    fake = FakeDynatrace()
    site, browser = site_with(make_site, fake)
    browser.navigate("/start")
    site.engine.flush()
    last_activity = site.clock.now()
    site.clock.advance(DAY + 60)
    site.engine.sweep()
    site.engine.flush()
    assert fake.discarded == []
    (session,) = fake.sessions()
    assert (session.reason, session.duration_ms) == ("idle_timeout", 0)
    end = fake.events()[-1]
    assert end.name == "session.end"
    assert site.clock.now() - DAY * 1000 < end.at < site.clock.now()
    assert end.attributes["sojourn.time_moved"] is True
    assert end.attributes["sojourn.time"] != ""
    assert last_activity == site.clock.now() - (DAY + 60) * 1000
    (state,) = site.engine.stats().store.backends
    assert (state.delivered, state.expired) == (3, 0)


@pytest.mark.parametrize(
    ("make_fake", "days"),
    [pytest.param(FakeDynatrace, 1, id="dynatrace"), pytest.param(FakeExceptionless, 3, id="exceptionless")],
)
def test_nothing_is_counted_as_delivered_that_the_vendor_drops(
    make_site: MakeSite, make_fake: Callable[[], Any], days: int
) -> None:
    """A token expires on Friday; on Monday, or later, all that waited goes out."""
    fake = make_fake()
    site, browser = site_with(make_site, fake)
    fake.fail(1.0, [401])
    browser.navigate("/a")
    site.engine.flush()
    site.clock.advance(days * DAY)
    browser.navigate("/b")
    fake.heal()
    site.clock.advance(HOUR)
    site.engine.sweep()
    site.engine.flush()
    (state,) = site.engine.stats().store.backends
    assert fake.discarded == []
    assert (state.expired, state.delivered, state.backlog) == (3, 3, 0)
    assert len(fake.sessions()) == 1
