"""PostHog: on a shared device nobody's actions become another person's, as with its own script and `posthog.reset()`."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import sojourn
from sojourn.core.ids import hashed_uuid
from sojourn.testing.vendors import FakePostHog
from tests.backends.vendors.connected import backend_on, changed, sample
from tests.backends.vendors.posthog.samples import sent
from tests.doors.browser import Browser, Protocol, Site, view_of

LOGOUT: dict[str, tuple[Callable[[], object], ...]] = {
    "identify(None)": (lambda: sojourn.identify(None),),
    "end_session()": (sojourn.end_session,),
    "both": (lambda: sojourn.identify(None), sojourn.end_session),
}
STEPS = ("/before", "/login/anna", "/hers", "/logout", "/stranger", "/login/ben", "/his", "/logout", "/last")


def play(protocol: Protocol, leave: tuple[Callable[[], object], ...]) -> tuple[FakePostHog, dict[str, str]]:
    """Two people and two strangers at one browser; the distinct id of each page view."""
    fake = FakePostHog(is_strict=True)
    site = Site(protocol, backends=[backend_on(fake)])
    for user in ("anna", "ben"):
        site.views[f"/login/{user}"] = view_of(lambda user=user: sojourn.identify(user))  # type: ignore[misc]
    site.views["/logout"] = view_of(*leave)
    browser = Browser(site)
    try:
        for path in STEPS:
            site.clock.advance(5)
            browser.navigate(path)
            site.engine.flush()
        site.clock.advance(3_600)
        site.engine.sweep()
        site.engine.flush()
    finally:
        site.close()
    views = [event for event in fake.events() if event.name == "$pageview"]
    return fake, {str(view.attributes["$pathname"]): str(view.user_id) for view in views}


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@pytest.mark.parametrize("way", LOGOUT)
def test_strangers_at_a_shared_browser_are_not_the_former_user(protocol: Protocol, way: str) -> None:
    fake, ids = play(protocol, LOGOUT[way])
    person = {path: fake.people.user_of(distinct_id) for path, distinct_id in ids.items()}
    assert person["/before"] == person["/hers"] == "anna"
    assert person["/stranger"] == person["/his"] == "ben", "who logs in next is who browsed since the logout"
    assert person["/last"] is None
    assert fake.warnings == []
    assert len({event.visitor_id for event in fake.events()}) == 1, "$device_id is the browser, as after reset()"


@pytest.mark.parametrize("way", ["end_session()", "both"])
def test_each_session_belongs_to_one_person(way: str) -> None:
    """`identify(None)` alone keeps the session: then it is that of two."""
    fake, _ = play("asgi", LOGOUT[way])
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
