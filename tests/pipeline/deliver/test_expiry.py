"""What a receiver would drop for its age is counted as expired, and never as delivered."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest

from sojourn.core.events import Event
from sojourn.pipeline.deliver.dispatcher import Dispatcher
from sojourn.pipeline.deliver.expiry import Expiry
from sojourn.stores.model import BackendState
from sojourn.testing.backends import MemoryBackend
from tests.pipeline.conftest import NOW, Bench, acquiring

KEY = "018bcfe5-6800-7000-8000-000000000001"
NEXT = "018bcfe5-6800-7000-8000-000000000002"
HOUR = 3_600_000
DAY = 24 * HOUR
MINUTE = 60_000
SECOND = 1_000


class Desk:
    """A dispatcher for a backend that accepts nothing older than a day."""

    def __init__(
        self, bench: Bench, *, moves_old_ends: bool = False, oldest: timedelta | None = timedelta(days=1)
    ) -> None:
        self.backend = MemoryBackend(oldest_accepted=oldest)
        self.backend.moves_old_ends = moves_old_ends  # type: ignore[attr-defined]
        self.store, self.now = bench.store, NOW
        self.store.outbox.register([self.backend.name], now=NOW, oldest_accepted={self.backend.name: DAY})
        self.dispatcher = Dispatcher(
            self.backend,
            bench.store.delivery,
            now=lambda: self.now,
            acquire=acquiring(bench.store.leases, "me"),
            chance=lambda: 0.0,
        )

    def at(self, ms: int) -> list[str]:
        """Deliver at this time after the beginning; return the names of the events that arrived then."""
        self.now = NOW + ms
        self.backend.clear()
        for _ in range(3):
            self.dispatcher.step()
        return [event.name for event in self.backend.events]

    @property
    def state(self) -> BackendState:
        state = self.store.delivery.state(self.backend.name)
        parts = state.delivered + state.dead + state.skipped + state.dropped + state.expired
        assert state.recorded == parts + state.backlog == state.settled + state.backlog
        return state


def visit(bench: Bench, *pages: int, key: str = KEY) -> None:
    for number, at in enumerate(pages):
        bench.request(key, at, is_start=number == 0)
    bench.apply()


def test_events_that_waited_too_long_are_expired_and_counted(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(bench)
    visit(bench, 0)
    visit(bench, 2 * HOUR, key=NEXT)
    with caplog.at_level(logging.WARNING, logger="sojourn"):
        assert desk.at(DAY + HOUR) == ["session.start", "page_view"]
    state = desk.state
    assert (state.delivered, state.expired, state.skipped, state.backlog) == (2, 2, 0, 0)
    assert "2 events have expired, because its receiver accepts none that are older than 86400 s" in caplog.text


@pytest.mark.parametrize(
    ("age", "arrives"),
    [
        pytest.param(0, True, id="new"),
        pytest.param(DAY - MINUTE, True, id="just young enough to arrive in time"),
        pytest.param(DAY - MINUTE + 1, False, id="too old when it would arrive"),
        pytest.param(DAY, False, id="at the limit"),
        pytest.param(3 * DAY, False, id="old"),
    ],
)
def test_an_event_is_sent_while_it_can_arrive_in_time(bench: Bench, age: int, arrives: bool) -> None:
    desk = Desk(bench)
    visit(bench, 0)
    assert bool(desk.at(age)) is arrives
    assert (desk.state.delivered, desk.state.expired) == ((2, 0) if arrives else (0, 2))


def test_events_expire_while_the_backend_is_down(bench: Bench) -> None:
    desk = Desk(bench)
    visit(bench, 0)
    desk.backend.fail(9, error=OSError("down"))
    assert desk.at(HOUR) == []
    visit(bench, 20 * HOUR, key=NEXT)
    assert desk.at(DAY + HOUR) == []
    assert (desk.state.expired, desk.state.backlog) == (2, 2)
    desk.backend.fail(0)
    assert desk.at(DAY + 2 * HOUR) == ["session.start", "page_view"]
    assert (desk.state.delivered, desk.state.expired) == (2, 2)


def test_backend_without_a_limit_gets_events_of_any_age(bench: Bench) -> None:
    desk = Desk(bench, oldest=None)
    visit(bench, 0)
    assert desk.at(400 * DAY) == ["session.start", "page_view"]


def test_end_of_a_session_that_is_too_old_is_dated_so_that_it_arrives(bench: Bench) -> None:
    desk = Desk(bench, moves_old_ends=True)
    visit(bench, 0)
    assert desk.at(HOUR) == ["session.start", "page_view"]
    bench.end(KEY, SECOND)
    bench.apply()
    assert desk.at(3 * DAY) == ["session.end"]
    (end,) = desk.backend.events
    assert end.time == NOW + 2 * DAY + MINUTE
    assert (end.attributes["sojourn.time"], end.attributes["sojourn.time_moved"]) == ("2023-11-14T22:13:21.000Z", True)
    assert (end.attributes["session.duration_ms"], desk.state.expired) == (SECOND, 0)


def test_end_within_the_limit_keeps_its_time(bench: Bench) -> None:
    desk = Desk(bench, moves_old_ends=True)
    visit(bench, 0)
    bench.end(KEY, SECOND)
    bench.apply()
    desk.at(2 * HOUR)
    end = desk.backend.events[-1]
    assert (end.time, "sojourn.time_moved" in end.attributes) == (NOW + SECOND, False)


def test_end_without_a_start_at_the_backend_expires_with_it(bench: Bench) -> None:
    desk = Desk(bench, moves_old_ends=True)
    visit(bench, 0)
    bench.end(KEY, SECOND)
    bench.apply()
    assert desk.at(3 * DAY) == []
    assert desk.state.expired == 3


def test_end_after_an_expired_start_expires_in_a_later_claim_too(bench: Bench) -> None:
    desk = Desk(bench, moves_old_ends=True)
    visit(bench, 0)
    assert desk.at(2 * DAY) == []
    bench.end(KEY, SECOND)
    bench.apply()
    assert desk.at(3 * DAY) == []
    assert (desk.state.expired, desk.state.delivered) == (3, 0)


def test_end_expires_where_its_date_makes_the_duration(bench: Bench) -> None:
    """Exceptionless: a later date would be a longer session, and the server ends it by itself."""
    desk = Desk(bench)
    visit(bench, 0)
    desk.at(HOUR)
    bench.end(KEY, SECOND)
    bench.apply()
    assert desk.at(3 * DAY) == []
    assert desk.state.expired == 1


def test_a_moved_end_is_stored_with_its_true_time_if_it_is_rejected(bench: Bench) -> None:
    desk = Desk(bench, moves_old_ends=True)
    visit(bench, 0)
    desk.at(HOUR)
    bench.end(KEY, SECOND)
    bench.apply()
    desk.backend._reject = lambda event: True
    desk.at(3 * DAY)
    (letter,) = desk.store.outbox.letters(desk.backend.name, after=0, limit=9)
    assert (letter.event.time, "sojourn.time" in letter.event.attributes) == (NOW + SECOND, False)


def test_requeued_letters_expire_too(bench: Bench) -> None:
    desk = Desk(bench)
    visit(bench, 0)
    desk.backend._reject = lambda event: True
    desk.at(HOUR)
    assert desk.state.dead == 2
    desk.store.outbox.requeue(desk.backend.name, event_ids=None, limit=9, now=NOW + HOUR)
    desk.backend._reject = None
    assert desk.at(2 * DAY) == []
    assert (desk.state.dead, desk.state.expired, desk.state.delivered) == (0, 2, 0)
    assert desk.store.outbox.letters(desk.backend.name, after=0, limit=9) == []


def test_what_the_backend_would_not_get_anyway_is_skipped_not_expired(bench: Bench) -> None:
    desk = Desk(bench)
    desk.backend._accepts = lambda event: event.name == "page_view"
    visit(bench, 0)
    desk.at(2 * DAY)
    assert (desk.state.skipped, desk.state.expired) == (1, 1)


@pytest.mark.parametrize(("oldest", "margin"), [(DAY, MINUTE), (MINUTE, 6_000)])
def test_margin_is_a_minute_or_a_tenth_of_the_limit(oldest: int, margin: int) -> None:
    event = Event(
        id="1", name="page_view", time=0, session_id=KEY, session_key=KEY, session_started_at=0, visitor_id="v"
    )
    expiry = Expiry(oldest)
    assert [expiry.has_expired(event, now) for now in (oldest - margin, oldest - margin + 1)] == [False, True]
