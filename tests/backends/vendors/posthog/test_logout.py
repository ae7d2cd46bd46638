"""PostHog: on a shared device nobody's actions become another person's, as with its own script and `posthog.reset()`."""

from __future__ import annotations

import pytest

from sojourn.core.ids import hashed_uuid
from sojourn.testing.vendors import FakePostHog
from tests.backends.vendors.connected import backend_on, changed, sample
from tests.backends.vendors.posthog.samples import sent
from tests.backends.vendors.shared_browser import LOGOUTS, share_a_browser
from tests.doors.browser import Protocol


def play(protocol: Protocol, way: str) -> tuple[FakePostHog, dict[str, str]]:
    """The distinct id of each page view."""
    fake = FakePostHog(is_strict=True)
    share_a_browser(protocol, backend_on(fake), way)
    views = [event for event in fake.events() if event.name == "$pageview"]
    return fake, {str(view.attributes["$pathname"]): str(view.user_id) for view in views}


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@pytest.mark.parametrize("way", LOGOUTS)
def test_strangers_at_a_shared_browser_are_not_the_former_user(protocol: Protocol, way: str) -> None:
    fake, ids = play(protocol, way)
    person = {path: fake.people.user_of(distinct_id) for path, distinct_id in ids.items()}
    assert person["/before"] == person["/hers"] == "anna"
    assert person["/stranger"] == person["/his"] == "ben", "who logs in next is who browsed since the logout"
    assert person["/last"] is None
    assert fake.warnings == []
    assert len({event.visitor_id for event in fake.events()}) == 1, "$device_id is the browser, as after reset()"


@pytest.mark.parametrize("way", ["end_session()", "both"])
def test_each_session_belongs_to_one_person(way: str) -> None:
    """`identify(None)` alone keeps the session: then it is that of two."""
    fake, _ = play("asgi", way)
    persons: dict[str, set[str | None]] = {}
    for event in fake.events():
        if event.session_id:
            persons.setdefault(event.session_id, set()).add(fake.people.user_of(str(event.user_id)))
    assert sorted(persons.values(), key=str) == [{"anna"}, {"ben"}, {None}]


def test_login_merges_what_is_anonymous_since_the_last_logout() -> None:
    before, login = changed(sample("page_view"), **{"visitor.logouts": 2}), sample("user.identify")
    page, identify = sent(before, changed(login, **{"visitor.logouts": 2}))
    assert page["distinct_id"] == identify["properties"]["$anon_distinct_id"]
    assert page["distinct_id"] == hashed_uuid("posthog", before.visitor_id, "2")
    assert page["properties"]["$device_id"] == before.visitor_id
    assert "visitor.logouts" not in page["properties"]
    (other,) = sent(changed(sample("page_view"), **{"visitor.logouts": 3}))
    assert other["distinct_id"] != page["distinct_id"]
