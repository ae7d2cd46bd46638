"""The context of a session: a backend that asks for it gets agent, address and referrer with each of its events."""

from __future__ import annotations

from typing import Final

import msgspec
import pytest

import sojourn
from sojourn import Event
from sojourn.testing import MemoryBackend
from tests.doors.browser import Browser, Site, view_of
from tests.doors.conftest import MakeSite

AGENT: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
FROM_SEARCH: Final = {"user_agent": AGENT, "referer": "https://search.example/results?q=seeds"}
CONTEXT: Final = {
    "user_agent.original": AGENT,
    "client.address": "192.0.2.0",
    "http.request.header.referer": "https://search.example/results",
}


def visit(site: Site) -> Browser:
    """A landing page, 20 minutes of reading, a page with a purchase, and the end."""
    site.views["/buy"] = view_of(lambda: sojourn.track("purchase"))
    browser = Browser(site)
    browser.navigate("/", **FROM_SEARCH)
    site.engine.flush()
    site.clock.advance(20 * 60)
    browser.navigate("/buy", user_agent=AGENT)
    site.engine.flush()
    site.clock.advance(60 * 60)
    site.engine.sweep()
    return browser


@pytest.fixture
def asking() -> MemoryBackend:
    return MemoryBackend(name="asking", wants_context=True)


def test_every_event_has_the_context_of_its_session(make_site: MakeSite, asking: MemoryBackend) -> None:
    plain = MemoryBackend()
    site = make_site(backends=[asking, plain])
    visit(site)
    site.engine.flush()
    assert [event.name for event in asking.events] == [
        "session.start",
        "page_view",
        "session.heartbeat",
        "purchase",
        "page_view",
        "session.end",
    ]
    assert [dict(event.context) for event in asking.events] == [CONTEXT] * 6
    assert all(event.context == {} for event in plain.events), "it did not ask"
    without = [msgspec.structs.replace(event, context={}) for event in asking.events]
    assert without == plain.events, "nothing else differs"


def test_successor_has_the_context_of_its_own_start(make_site: MakeSite, asking: MemoryBackend) -> None:
    site = make_site(backends=[asking])
    browser = visit(site)
    browser.navigate("/", user_agent="Mozilla/5.0 updated")
    site.engine.flush()
    last = asking.events[-1]
    assert (last.name, last.previous_id) == ("page_view", asking.events[0].session_id)
    assert dict(last.context) == {"user_agent.original": "Mozilla/5.0 updated", "client.address": "192.0.2.0"}


def without_address(event: Event) -> Event:
    shown = {name: value for name, value in event.attributes.items() if name != "client.address"}
    return msgspec.structs.replace(event, attributes=shown)


def test_what_scrub_took_out_of_the_start_is_in_no_context(make_site: MakeSite, asking: MemoryBackend) -> None:
    site = make_site(backends=[asking], scrub=without_address)
    visit(site)
    site.engine.flush()
    assert len(asking.events) == 6
    assert not [event for event in asking.events if "client.address" in event.context]
    assert asking.events[-1].context["user_agent.original"] == AGENT


def test_start_that_scrub_dropped_leaves_no_context(make_site: MakeSite, asking: MemoryBackend) -> None:
    site = make_site(backends=[asking], scrub=lambda event: None if event.name == "session.start" else event)
    visit(site)
    site.engine.flush()
    assert len(asking.events) == 5
    assert all(event.context == {} for event in asking.events)


def test_addresses_in_contexts_are_masked_as_set(make_site: MakeSite, asking: MemoryBackend) -> None:
    site = make_site(backends=[asking], mask_addresses=False)
    visit(site)
    site.engine.flush()
    assert {event.context["client.address"] for event in asking.events} == {"192.0.2.7"}


def test_no_context_after_an_opt_out(make_site: MakeSite, asking: MemoryBackend) -> None:
    """The end of a session that the backend has begun may still be sent, and says nothing of the client."""
    site = make_site(backends=[asking])
    site.views["/leave"] = view_of(sojourn.opt_out)
    browser = Browser(site)
    browser.navigate("/", **FROM_SEARCH)
    site.engine.flush()
    browser.navigate("/leave", **FROM_SEARCH)
    site.engine.flush()
    late = asking.events[2:]
    assert {event.name for event in late} == {"session.end", "opt_out"}
    assert all(event.context == {} for event in late)


def test_rejected_event_is_kept_without_its_context(make_site: MakeSite) -> None:
    """A dead letter is exported and erased as the event that it is; sent once more, it gets the context of then."""
    choosy = MemoryBackend(wants_context=True, reject=lambda event: event.name == "purchase")
    site = make_site(backends=[choosy])
    visit(site)
    site.engine.flush()
    outbox = site.engine.store.outbox
    (letter,) = outbox.letters("memory", after=0, limit=9)
    assert (letter.event.name, letter.event.context) == ("purchase", {})
    choosy._reject = None
    outbox.requeue("memory", event_ids=None, limit=9, now=site.clock.now())
    site.engine.flush()
    assert (choosy.events[-1].name, dict(choosy.events[-1].context)) == ("purchase", CONTEXT)


@pytest.mark.parametrize("is_flushed_often", [True, False], ids=["event by event", "at once"])
def test_elapsed_times_add_up_to_the_duration_however_events_are_sent(
    make_site: MakeSite, is_flushed_often: bool
) -> None:
    asking, plain = MemoryBackend(name="asking", wants_elapsed=True), MemoryBackend()
    site = make_site(backends=[asking, plain])
    browser = Browser(site)
    for seconds, path in ((0, "/"), (7, "/a"), (100, "/b"), (1, "/c")):
        site.clock.advance(seconds)
        browser.navigate(path)
        if is_flushed_often:
            site.engine.flush()
    site.clock.advance(60 * 60)
    site.engine.sweep()
    site.engine.flush()
    (end,) = [event for event in asking.events if event.name == "session.end"]
    assert end.attributes["session.duration_ms"] == 108_000
    assert sum(event.elapsed_ms or 0 for event in asking.events) == 108_000
    assert [event.elapsed_ms for event in asking.events if event.name == "page_view"][:2] == [0, 7_000]
    assert {event.elapsed_ms for event in plain.events} == {None}, "it did not ask"


def test_elapsed_time_is_the_same_when_an_event_is_sent_again(make_site: MakeSite) -> None:
    asking = MemoryBackend(wants_elapsed=True)
    site = make_site(backends=[asking])
    browser = Browser(site)
    for path in ("/", "/a"):
        site.clock.advance(9)
        browser.navigate(path)
    asking.fail(1, after=2, retry_after=0)
    site.engine.flush()
    site.clock.advance(60)
    site.engine.flush()
    assert [(event.name, event.elapsed_ms) for event in asking.events] == [
        ("session.start", 0),
        ("page_view", 0),
        ("page_view", 9_000),
    ]


def test_what_is_no_activity_has_no_elapsed_time_and_takes_none_away(make_site: MakeSite) -> None:
    asking = MemoryBackend(wants_elapsed=True)
    site = make_site(backends=[asking])
    site.views["/leave"] = view_of(sojourn.opt_out)
    browser = Browser(site)
    browser.navigate("/")
    site.engine.flush()
    site.clock.advance(5)
    browser.navigate("/leave")
    site.engine.flush()
    elapsed = {event.name: event.elapsed_ms for event in asking.events}
    assert elapsed["opt_out"] == 0
    assert elapsed["session.end"] == 5_000
