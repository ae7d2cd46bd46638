"""The recorder: exactly once, in order, and what it says when something is wrong with a record."""

from __future__ import annotations

import msgspec
import pytest

from sojourn.core.records import ACTIVITY, Record
from sojourn.core.session import Rules
from sojourn.pipeline.journal import MemoryJournal

from .conftest import NOW, Bench

KEY = "018bcfe5-6800-7000-8000-000000000001"
IDLE = 30 * 60_000


def test_a_record_has_its_effect_once_however_often_the_recorder_steps(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    assert [bench.apply(), bench.apply()] == [1, 0]
    assert bench.names == ["session.start", "page_view"]


def test_a_second_recorder_on_the_same_journal_adds_nothing(bench: Bench) -> None:
    other = bench.another(bench.journal)
    assert other.step(bench.now) == (0, False)  # it has read the positions
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    assert other.step(bench.now)[0] == 0  # its positions are old: rolled back
    assert bench.names == ["session.start", "page_view"]


def test_what_a_process_counted_reaches_the_store_as_a_difference(bench: Bench) -> None:
    for total in (3, 3, 5):
        bench.put(Record(NOW, "", "", NOW, 0, counters={"prefetch": total}))
        bench.apply()
    assert bench.counter("ignored.prefetch") == 5
    assert bench.counter("records.accepted") == bench.counter("records.recorded") == 3


def test_two_processes_counters_add_up(bench: Bench) -> None:
    second = MemoryJournal()
    bench.put(Record(NOW, "", "", NOW, 0, counters={"bot": 2}))
    bench.put(Record(NOW, "", "", NOW, 0, counters={"bot": 7}), journal=second)
    bench.apply()
    bench.another(second).step(bench.now)
    assert bench.counter("ignored.bot") == 9


@pytest.mark.parametrize(
    ("payload", "counter"),
    [
        pytest.param(b"\xff\xff", "records.undecodable", id="not MessagePack"),
        pytest.param(msgspec.msgpack.encode({"at": 1}), "records.undecodable", id="another shape"),
        pytest.param(
            msgspec.msgpack.encode(Record(NOW, KEY, "v", NOW, ACTIVITY)), "records.too_old", id="older than the limit"
        ),
    ],
)
def test_a_record_that_cannot_count_is_counted_and_passed(bench: Bench, payload: bytes, counter: str) -> None:
    age = 8 * 86_400_000 if counter == "records.too_old" else 0
    bench.now = NOW + age
    assert bench.journal.append(payload, kind="test", essential=True, wall=NOW)
    assert bench.apply() == 1
    assert bench.counter(counter) == 1
    assert bench.names == []


def test_a_record_from_a_clock_far_ahead_is_taken_to_be_now(bench: Bench) -> None:
    far = 400 * 86_400_000
    bench.request(KEY, far, is_start=True)
    bench.apply()
    assert bench.store.sessions(limit=1)[0].last_seen_at == NOW


def test_more_than_a_batch_is_applied_in_several(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    for number in range(1, 700):
        bench.request(KEY, number)
    assert bench.recorder.step(bench.now) == (500, True)
    assert bench.recorder.step(bench.now) == (200, False)
    assert bench.store.sessions(limit=1)[0].page_views == 700


@pytest.mark.parametrize(
    ("silent_ms", "ended"),
    [pytest.param(IDLE - 1, 0, id="not over yet"), pytest.param(IDLE, 1, id="over, inclusive")],
)
def test_the_sweeper_ends_a_silent_session_once(bench: Bench, silent_ms: int, ended: int) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    assert bench.recorder.sweep(NOW + silent_ms) == ended
    assert bench.recorder.sweep(NOW + silent_ms) == 0
    row = bench.store.sessions(limit=1)[0]
    assert row.last_seen_at == NOW
    assert row.is_open is not bool(ended)


def test_the_grace_is_added_to_the_timeout(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    recorder = bench.another(bench.journal, sweep_grace=30_000)
    assert recorder.sweep(NOW + IDLE + 29_999) == 0
    assert recorder.sweep(NOW + IDLE + 30_000) == 1


def test_many_manual_sessions_do_not_keep_an_automatic_one_from_being_swept(bench: Bench) -> None:
    for number in range(600):
        key = f"018bcfe5-6800-7000-8000-1000000{number:05d}"
        bench.put(Record(NOW + number, key, f"visitor-{number}", NOW + number, ACTIVITY | 1))
    bench.request(KEY, 1000, is_start=True)
    while bench.recorder.step(bench.now)[1]:
        pass
    assert bench.recorder.sweep(NOW + 1000 + IDLE) == 1
    assert bench.store.stats().open_sessions == 600


def test_an_unread_sweep_is_withdrawn_by_late_activity(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    bench.recorder.sweep(NOW + IDLE)
    bench.request(KEY, IDLE - 5)
    bench.apply()
    assert bench.names == ["session.start", "page_view", "session.heartbeat", "page_view"]
    assert bench.counter("sessions.ended") == 0
    assert bench.recorder.sweep(NOW + 2 * IDLE) == 1
    assert bench.names.count("session.end") == 1


def test_a_sweep_that_a_backend_has_begun_to_read_stands_and_late_activity_is_counted(bench: Bench) -> None:
    store = bench.store
    store.register(["reader"], now=NOW)
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    bench.recorder.sweep(NOW + IDLE)
    lease = store.acquire("courier:reader", "me", now=NOW, until=NOW + 30_000)
    assert lease is not None
    assert len(store.claim("reader", lease, until=NOW + 30_000, limit=100, now=NOW).events) == 3
    bench.request(KEY, IDLE - 5)
    bench.apply()
    assert bench.counter("activity.late") == 1
    assert bench.store.sessions(limit=1)[0].last_seen_at == NOW
    late = bench.store.events_after(0, limit=100)[-1]
    assert (late.name, late.attributes["session.late"]) == ("page_view", True)


def test_an_outage_longer_than_the_timeout_makes_no_false_end(bench: Bench) -> None:
    """The sweeper goes by what is recorded: a journal that was heard of lately and not applied since holds it back."""
    minute = Rules(idle_timeout=60_000)
    bench.recorder = bench.another(bench.journal, rules=minute)
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    behind = MemoryJournal()
    bench.put(Record(NOW, "", "", NOW, 0), journal=behind)
    bench.another(behind).step(NOW)
    assert bench.recorder.sweep(NOW + 60_000) == 0
    assert bench.recorder.sweep(NOW + 120_000) == 0
    assert bench.recorder.sweep(NOW + 120_001) == 1  # silent for longer than two minutes: it no longer counts
