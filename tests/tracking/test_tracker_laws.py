"""Laws that hold whatever one visitor does, in whichever order, through either door."""

from __future__ import annotations

import threading
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn import current_session, end_session, heartbeat, identify, start_session, track
from tests.doors.browser import HTML, Browser, Protocol, Response, Site, view_of

CALLS = {
    "nothing": (),
    "track": (lambda: track("x"),),
    "ada": (lambda: identify("ada"),),
    "bob": (lambda: identify("bob"),),
    "untag": (lambda: identify(None),),
    "end": (end_session,),
    "end and go on": (end_session, lambda: track("y")),
    "manual": (start_session,),
    "look": (current_session,),
    "beat": (heartbeat,),
}
PRINCIPALS = {
    "page": Response(),
    "304": Response(304, headers=(), pieces=()),
    "public": Response(headers=(HTML, ("cache-control", "public"))),
}
STEP = st.tuples(
    st.sampled_from(sorted(CALLS)),
    st.sampled_from(sorted(CALLS)),
    st.sampled_from(sorted(PRINCIPALS)),
    st.sampled_from([0, 1, 59, 60, 1799, 1800, 4000, 90_000]),
    st.sampled_from([None, "", "42", "43"]),
    st.sampled_from(["navigate", "fetch", "old cookie"]),
)


@pytest.mark.parametrize("protocol", ["asgi", "wsgi"])
@settings(max_examples=60)
@given(steps=st.lists(STEP, max_size=12))
def test_the_laws_of_sessions(protocol: Protocol, steps: list[tuple[str, str, str, int, str | None, str]]) -> None:
    site = Site(protocol)
    browser = Browser(site)
    stale: dict[str, str] = {}
    for early, late, principal, pause, user, how in steps:
        site.clock.advance(pause)
        site.user = None if protocol == "wsgi" and user == "" else user
        work = CALLS[late]
        said = PRINCIPALS[principal]
        then = Response(said.status, said.headers, said.pieces, late=lambda work=work: [call() for call in work])  # type: ignore[misc]
        site.views["/"] = view_of(*CALLS[early], response=then)
        if how == "old cookie" and stale:
            Browser(site, cookies=stale).fetch("/")
            continue
        stale = dict(browser.cookies)
        browser.fetch("/") if how == "fetch" else browser.navigate("/")
    site.clock.advance(200_000)
    site.engine.sweep()
    events = site.events
    assert site.ignored.get("fault", 0) == 0
    keys = Counter(event.session_key for event in events if event.name == "session.start")
    ends = Counter(event.session_key for event in events if event.name == "session.end")
    assert set(keys.values()) <= {1}, "one start"
    assert ends == keys, "and, once all is silent, one end"
    assert len({event.id for event in events}) == len(events)
    for event in events:
        if event.name == "session.end":
            assert int(event.attributes["session.duration_ms"]) >= 0
            assert event.session_started_at <= event.time <= site.clock.now_ms
    first = {key: number for number, key in reversed(list(enumerate(event.session_key for event in events)))}
    assert all(events[number].name == "session.start" for number in first.values()), "a start comes first"
    site.close()


def test_threads_that_race_with_one_stale_cookie_make_one_successor() -> None:
    site = Site("wsgi")
    browser = Browser(site)
    browser.navigate()
    site.clock.advance(1800)
    barrier = threading.Barrier(6)
    site.views["/"] = view_of(lambda: barrier.wait(10) and None)
    threads = [threading.Thread(target=twin.navigate) for twin in [browser.twin() for _ in range(6)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(site.sessions) == 2
    assert site.ignored == {}
    site.close()


def test_threads_that_race_to_name_one_user_record_it_once() -> None:
    site = Site("wsgi")
    browser = Browser(site)
    browser.navigate()
    barrier = threading.Barrier(6)
    site.views["/"] = view_of(lambda: barrier.wait(10) and None, lambda: identify("ada"))
    threads = [threading.Thread(target=twin.navigate) for twin in [browser.twin() for _ in range(6)]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [event.user_id for event in site.named("user.identify")] == ["ada"]
    assert len(site.sessions) == 1
    site.close()
