"""Who left stays away: what the recorder drops and the dispatchers keep back, in whatever order it comes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sojourn import data_subjects as people
from sojourn.backends.protocol import Receipt
from sojourn.core.events import OPT_OUT as OPT_OUT_EVENT
from sojourn.core.events import START, Event
from sojourn.core.records import ACTIVITY, FORMAT, OPT_OUT, STARTS, Entry, Record, Seal, Tag
from sojourn.core.session import EndReason
from sojourn.pipeline.deliver.dispatcher import Dispatcher
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.record.suppression import Suppressed, Suppression
from sojourn.pipeline.record.suppression import people as people_of
from sojourn.stores.model import SESSION, USER, VISITOR, DataSubject, Tombstone
from sojourn.testing.backends import MemoryBackend
from tests.pipeline.conftest import NOW, Bench, acquiring
from tests.stores.contract.steps import assert_adds_up

KEY = "018bcfe5-6800-7000-8000-000000000001"
NEXT = "018bcfe5-6800-7000-8000-000000000002"
IDLE = 30 * 60_000


def opt_out(at: int, key: str = KEY, *, visitor: str = "visitor", started: int = 0, is_start: bool = False) -> Record:
    entries = (
        Entry(OPT_OUT_EVENT, NOW + at),
        Entry("session.end", NOW + at, seal=Seal(EndReason.OPTED_OUT, NOW + at)),
    )
    flags = ACTIVITY | OPT_OUT | (STARTS if is_start else 0)
    origin = {"url.path": "/"} if is_start else None
    return Record(NOW + at, key, visitor, NOW + started, flags, entries=entries, origin=origin)


def tag(user: str, at: int, key: str = KEY) -> Record:
    entry = Entry("user.identify", NOW + at, tag=Tag(user))
    return Record(NOW + at, key, "visitor", NOW, ACTIVITY, entries=(entry,))


class Desk:
    """A dispatcher and its backend, beside a recorder."""

    def __init__(self, bench: Bench, backend: MemoryBackend | None = None) -> None:
        self.bench = bench
        self.backend = backend or MemoryBackend()
        self.now = NOW
        bench.store.outbox.register([self.backend.name], now=NOW)

    def deliver(self) -> list[str]:
        """Deliver what is due, by a dispatcher of a process just started, and return what arrived."""
        before = len(self.backend.events)
        dispatcher = Dispatcher(
            self.backend,
            self.bench.store.delivery,
            now=lambda: self.now,
            acquire=acquiring(self.bench.store.leases, "me"),
            chance=lambda: 0.0,
        )
        while not dispatcher.step().is_idle:
            pass
        assert_adds_up(self.bench.store)
        return [event.name for event in self.backend.events[before:]]


# --- opting out


def test_an_opt_out_ends_the_session_and_leaves_a_tombstone(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.put(opt_out(5))
    bench.apply()
    row = bench.store.sessions.latest(limit=1)[0]
    assert (row.end_reason, row.sealed_at, row.is_suppressed) == (EndReason.OPTED_OUT, NOW + 5, True)
    assert bench.names == ["session.start", "page_view", "opt_out", "session.end"]
    opt_out_event = bench.store.log.of_session(KEY)[2]
    assert (opt_out_event.visitor_id, opt_out_event.session_id) == ("visitor", KEY)
    with bench.store.records.recording() as transaction:
        visitor = DataSubject(VISITOR, "visitor")
        assert transaction.load([], people=[visitor]).tombstones == {visitor: Tombstone(at=NOW + 5, is_for_good=True)}


@pytest.mark.parametrize(
    ("late", "is_same_batch"),
    [
        pytest.param(9, False, id="made after it"),
        pytest.param(5, False, id="made at the same moment"),
        pytest.param(3, False, id="made before it, by another process"),
        pytest.param(9, True, id="in the same batch"),
    ],
)
def test_after_an_opt_out_no_record_of_the_visitor_counts(bench: Bench, late: int, is_same_batch: bool) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.put(opt_out(5))
    if not is_same_batch:
        bench.apply()
    bench.request(KEY, late)
    bench.request(NEXT, late, is_start=True)
    bench.apply()
    assert bench.names == ["session.start", "page_view", "opt_out", "session.end"]
    assert bench.counter("records.opted_out") == 2
    assert bench.counter("records.recorded") == 4
    assert bench.store.stats().sessions == 1


def test_an_opt_out_does_not_affect_another_visitor(bench: Bench) -> None:
    bench.put(opt_out(0, NEXT, visitor="another visitor", is_start=True))
    bench.request(KEY, 5, is_start=True)
    bench.apply()
    assert bench.counter("records.opted_out") == 0
    assert bench.store.stats().sessions == 2


def test_racing_opt_outs_are_recorded_once(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.put(opt_out(5))
    bench.apply()
    bench.put(opt_out(6))
    bench.put(opt_out(6, NEXT, started=4, is_start=True))
    bench.apply()
    assert bench.names.count("opt_out") == bench.names.count("session.end") == 1
    assert bench.store.stats().sessions == 1


@pytest.mark.parametrize("knows", ["a call", "a successor"])
def test_a_dropped_record_still_ends_a_session_whose_start_is_in_the_log(bench: Bench, knows: str) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.put(opt_out(9, NEXT, started=8, is_start=True))
    bench.apply()
    assert bench.store.stats().open_sessions == 1
    if knows == "a call":
        bench.end(KEY, 5)
    else:
        bench.request(
            NEXT,
            8,
            is_start=True,
            previous_key=KEY,
            previous_seen_at=NOW + 5,
            previous_reason=EndReason.IDLE_TIMEOUT,
        )
    bench.apply()
    assert bench.store.stats().open_sessions == 0
    assert bench.store.log.after(START, limit=99)[-1].time == NOW + 5
    assert bench.counter("records.opted_out") == 1


def test_the_sweeper_ends_the_other_sessions_of_the_visitor(bench: Bench) -> None:
    desk = Desk(bench)
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    assert desk.deliver() == ["session.start", "page_view"]
    bench.put(opt_out(5, NEXT, started=4, is_start=True))
    bench.apply()
    assert desk.deliver() == ["opt_out"]
    bench.recorder.sweep(NOW + IDLE)
    assert desk.deliver() == ["session.end"]


@pytest.mark.parametrize(
    ("delivered_before", "after"),
    [
        pytest.param(True, ["opt_out", "session.end"], id="the start had gone out"),
        pytest.param(False, ["opt_out"], id="the start had not gone out"),
    ],
)
def test_undelivered_events_of_the_visitor_are_withheld(
    bench: Bench, delivered_before: bool, after: Sequence[str]
) -> None:
    desk = Desk(bench)
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    if delivered_before:
        assert desk.deliver() == ["session.start", "page_view"]
    bench.request(KEY, 1)
    bench.put(opt_out(5))
    bench.apply()
    assert desk.deliver() == after
    assert desk.deliver() == []


def test_an_end_is_withheld_if_its_start_was_withheld(bench: Bench) -> None:
    """The cursor passes a start that was never sent: that is no going out."""
    desk = Desk(bench)
    bench.request(KEY, 0, is_start=True)
    bench.put(opt_out(5, NEXT, started=4, is_start=True))
    bench.apply()
    assert desk.deliver() == ["opt_out"]
    bench.recorder.sweep(NOW + IDLE)
    assert bench.names[-1] == "session.end"
    assert desk.deliver() == []


def test_a_start_that_the_backend_failed_to_take_counts_as_undelivered(bench: Bench) -> None:
    desk = Desk(bench)
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    desk.backend.fail(1, error=OSError("down"))
    assert desk.deliver() == []
    bench.put(opt_out(5))
    bench.apply()
    desk.now += 60_000
    assert desk.deliver() == ["opt_out"]


def test_a_start_in_flight_during_the_opt_out_counts_as_delivered(bench: Bench) -> None:
    class Slow(MemoryBackend):
        def send(self, batch: Sequence[Event]) -> Receipt:
            if not self.events:
                bench.put(opt_out(5))
                bench.apply()
            return super().send(batch)

    desk = Desk(bench, Slow())
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    assert desk.deliver() == ["session.start", "page_view", "opt_out", "session.end"]


def test_a_backend_that_accepts_no_starts_gets_no_end(bench: Bench) -> None:
    desk = Desk(bench, MemoryBackend(accepts=lambda event: event.name != "session.start"))
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    assert desk.deliver() == ["page_view"]
    bench.put(opt_out(5))
    bench.apply()
    assert desk.deliver() == ["opt_out"]


def test_opting_in_again_starts_as_a_new_visitor(bench: Bench) -> None:
    desk = Desk(bench)
    bench.put(opt_out(0, is_start=True))
    bench.put(Record(NOW + 9, NEXT, "newly made", NOW + 9, ACTIVITY | STARTS, origin={}))
    bench.apply()
    assert desk.deliver() == ["opt_out", "session.start"]


# --- being erased


def test_late_records_do_not_bring_an_erased_visitor_back(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    erased = people.erase(bench.store, visitor_id="visitor", now=NOW + 10)
    assert (erased.sessions, erased.events) == (1, 2)
    bench.request(KEY, 5)
    bench.request(NEXT, 10, is_start=True)
    bench.apply()
    assert (bench.names, bench.store.stats().sessions) == ([], 0)
    assert bench.counter("records.erased") == 2


def test_an_erased_visitor_who_returns_starts_without_history(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    people.erase(bench.store, visitor_id="visitor", now=NOW + 10)
    bench.request(KEY, 20, previous_key="before", previous_seen_at=NOW - 9, previous_reason=EndReason.IDLE_TIMEOUT)
    bench.apply()
    (row,) = bench.store.sessions.latest(limit=9)
    assert (row.started_at, row.last_seen_at, row.previous_key, row.requests) == (NOW + 11, NOW + 20, None, 1)
    assert not row.is_suppressed
    assert bench.names == ["session.start", "page_view"]


def test_an_opt_out_older_than_the_erasure_still_holds(bench: Bench) -> None:
    people.erase(bench.store, visitor_id="visitor", now=NOW + 10)
    bench.put(opt_out(5))
    bench.request(NEXT, 20, is_start=True)
    bench.apply()
    assert (bench.names, bench.store.stats().sessions) == ([], 0)
    assert (bench.counter("records.erased"), bench.counter("records.opted_out")) == (1, 1)


def test_late_records_of_an_erased_users_session_are_dropped(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.put(tag("anna", 1))
    bench.apply()
    people.erase(bench.store, user_id="anna", now=NOW + 10)
    bench.request(KEY, 5)
    bench.put(tag("anna", 6, NEXT))
    bench.request(NEXT, 7, is_start=True)
    bench.apply()
    (row,) = bench.store.sessions.latest(limit=9)
    assert (row.key, row.user_id) == (NEXT, None), "a session of the visitor without a user"
    assert bench.counter("records.erased") == 2
    bench.put(tag("anna", 20, NEXT))
    bench.apply()
    assert bench.store.sessions.latest(limit=9)[0].user_id == "anna", "she came back later"


def test_a_record_without_the_opt_out_flag_is_no_opt_out() -> None:
    assert (OPT_OUT, FORMAT) == (32, 1)


# --- who is meant


def test_a_record_names_its_visitor_session_and_users() -> None:
    untag = Entry("user.identify", NOW, tag=Tag(None))
    named = Entry("user.identify", NOW, tag=Tag("anna"))
    record = Record(NOW, KEY, "visitor", NOW, ACTIVITY, entries=(untag, named, Entry("page_view", NOW)))
    assert people_of([record, record]) == {
        DataSubject(VISITOR, "visitor"),
        DataSubject(SESSION, KEY),
        DataSubject(USER, "anna"),
    }


@pytest.mark.parametrize(
    ("who", "tombstone", "at", "judged"),
    [
        pytest.param(VISITOR, Tombstone(at=NOW), 0, Suppressed.ERASED, id="visitor, at the same moment"),
        pytest.param(VISITOR, Tombstone(at=NOW), 1, None, id="visitor, later"),
        pytest.param(VISITOR, Tombstone(at=NOW, is_for_good=True), 1, Suppressed.OPTED_OUT, id="opted out, later"),
        pytest.param(VISITOR, Tombstone(at=NOW, is_for_good=True), -1, Suppressed.OPTED_OUT, id="opted out, before"),
        pytest.param(SESSION, Tombstone(at=NOW), 0, Suppressed.ERASED, id="session"),
        pytest.param(USER, Tombstone(at=NOW), 0, Suppressed.ERASED, id="user"),
        pytest.param(USER, Tombstone(at=NOW), 1, None, id="user, later"),
    ],
)
def test_a_record_is_judged_by_the_tombstones_of_its_subjects(
    who: str, tombstone: Tombstone, at: int, judged: Suppressed | None
) -> None:
    ids = {VISITOR: "visitor", SESSION: KEY, USER: "anna"}
    record = tag("anna", at)
    suppression = Suppression({DataSubject(who, ids[who]): tombstone})  # type: ignore[arg-type]
    assert (suppression.judge(record) if judged else type(suppression.judge(record))) is (judged or Record)
    stranger = Record(NOW, NEXT, "stranger", NOW, ACTIVITY)
    assert suppression.judge(stranger) is stranger


def test_a_new_recorder_reads_the_tombstones(bench: Bench) -> None:
    bench.put(opt_out(0, is_start=True))
    bench.apply()
    journal = MemoryJournal()
    bench.put(Record(NOW + 9, KEY, "visitor", NOW, ACTIVITY), journal=journal)
    bench.another(journal).step(NOW + 9)
    assert bench.counter("records.opted_out") == 1
