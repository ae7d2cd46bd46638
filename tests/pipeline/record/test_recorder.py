"""The recorder: exactly once, in order, and what it says when something is wrong with a record."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from sojourn.core.events import START
from sojourn.core.records import ACTIVITY, Record
from sojourn.core.session import EndReason, Rules
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import FileJournal, JournalDirectory, MemoryJournal
from sojourn.pipeline.record.recorder import PATIENCE_NS, Recorder
from sojourn.stores.model import VISITOR, Batch, DataSubject, TryAgain
from sojourn.stores.recording_protocol import Recording
from tests.pipeline.conftest import NOW, Bench

KEY = "018bcfe5-6800-7000-8000-000000000001"
OTHER = "018bcfe5-6800-7000-8000-000000000002"
IDLE = 30 * 60_000
RECORD = payloads.encode(Record(NOW, KEY, "v", NOW, ACTIVITY))


def test_a_record_takes_effect_once(bench: Bench) -> None:
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


def test_process_totals_are_added_to_the_counters_as_differences(bench: Bench) -> None:
    for total in (3, 3, 5):
        bench.put(Record(NOW, "", "", NOW, 0, counters={"prefetch": total}))
        bench.apply()
    assert bench.counter("ignored.prefetch") == 5
    assert bench.counter("records.accepted") == bench.counter("records.recorded") == 3


def test_moments_of_counters_stay_with_their_process_and_are_not_added_up(bench: Bench) -> None:
    for counters in ({"bot": 1, "last:bot": NOW}, {"bot": 2, "last:bot": NOW + 5}, {"bot": 2, "last:method": NOW}):
        bench.put(Record(NOW, "", "", NOW, 0, counters=counters))
        bench.apply()
    assert bench.counter("ignored.bot") == 2
    assert not [name for name in bench.store.stats().counters if "last:" in name]
    (mark,) = bench.store.records.marks().values()
    assert mark.last_ignored == {"bot": NOW + 5, "method": NOW}


def test_counters_of_two_processes_add_up(bench: Bench) -> None:
    second = MemoryJournal()
    bench.put(Record(NOW, "", "", NOW, 0, counters={"bot": 2}))
    bench.put(Record(NOW, "", "", NOW, 0, counters={"bot": 7}), journal=second)
    bench.apply()
    bench.another(second).step(bench.now)
    assert bench.counter("ignored.bot") == 9


@pytest.mark.parametrize(
    ("payload", "counter"),
    [
        pytest.param(b"\x01\xff", "records.undecodable", id="not MessagePack"),
        pytest.param(b"\x01" + msgspec.msgpack.encode({"at": 1}), "records.undecodable", id="another shape"),
        pytest.param(b"\x02\x91\x01", "records.undecodable", id="a hit in another shape"),
        pytest.param(b"", "records.undecodable", id="no kind"),
        pytest.param(b"\x05" + RECORD[1:], "records.unknown_kind", id="a reserved kind"),
        pytest.param(b"\xff" + RECORD[1:], "records.unknown_kind", id="a kind of a later version"),
        pytest.param(RECORD, "records.too_old", id="older than the limit"),
    ],
)
def test_an_unusable_record_is_skipped_and_counted(bench: Bench, payload: bytes, counter: str) -> None:
    age = 8 * 86_400_000 if counter == "records.too_old" else 0
    bench.now = NOW + age
    assert bench.journal.append(payload, kind="test", essential=True, wall=NOW)
    assert bench.apply() == 1
    assert bench.counter(counter) == 1
    assert bench.names == []


def test_a_record_from_a_clock_far_ahead_is_dated_now(bench: Bench) -> None:
    far = 400 * 86_400_000
    bench.request(KEY, far, is_start=True)
    bench.apply()
    assert bench.store.sessions.latest(limit=1)[0].last_seen_at == NOW


def test_more_than_a_batch_is_applied_in_several(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    for number in range(1, 1200):
        bench.request(KEY, number)
    assert bench.recorder.step(bench.now) == (1000, True)
    assert bench.recorder.step(bench.now) == (200, False)
    assert bench.store.sessions.latest(limit=1)[0].page_views == 1200


@pytest.mark.parametrize(
    ("silent_ms", "ended"),
    [pytest.param(IDLE - 1, 0, id="not over yet"), pytest.param(IDLE, 1, id="over, inclusive")],
)
def test_the_sweeper_ends_a_silent_session_once(bench: Bench, silent_ms: int, ended: int) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    assert bench.recorder.sweep(NOW + silent_ms) == ended
    assert bench.recorder.sweep(NOW + silent_ms) == 0
    row = bench.store.sessions.latest(limit=1)[0]
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


def test_late_activity_after_a_read_end_ends_the_session_again(bench: Bench) -> None:
    store = bench.store
    store.outbox.register(["reader"], now=NOW)
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    bench.recorder.sweep(NOW + IDLE)
    lease = store.leases.acquire("dispatcher:reader", "me", now=NOW, until=NOW + 30_000)
    assert lease is not None
    assert len(store.delivery.claim("reader", lease, until=NOW + 30_000, limit=100, now=NOW).events) == 3
    bench.request(KEY, IDLE - 5)
    bench.apply()
    assert bench.store.sessions.latest(limit=1)[0].last_seen_at == NOW + IDLE - 5
    assert bench.recorder.sweep(NOW + 2 * IDLE) == 1
    ends = [event for event in bench.store.log.after(START, limit=100) if event.name == "session.end"]
    assert [event.attributes.get("session.end_revision", 0) for event in ends] == [0, 1]
    assert [event.attributes["session.duration_ms"] for event in ends] == [0, IDLE - 5]


# --- several hosts: a record whose session another host started ------------------------------------------------------


class Host:
    """A journal and a recorder of one host; its monotonic clock is a number."""

    def __init__(self, bench: Bench) -> None:
        self.tick = 10**12
        self.journal = MemoryJournal(monotonic_ns=lambda: self.tick)
        self.recorder = Recorder(
            bench.store.records,
            self.journal,
            rules=Rules(),
            service={},
            sweep_interval=15_000,
            sweep_grace=0,
            max_age=7 * 86_400_000,
            monotonic_ns=lambda: self.tick,
        )
        self.recorder.patience_ns = PATIENCE_NS

    def step(self, *, after_ms: int = 1) -> tuple[int, bool]:
        self.tick += after_ms * 1_000_000
        return self.recorder.step(NOW)


def test_a_record_waits_for_the_one_that_started_its_session(bench: Bench) -> None:
    first, second = Host(bench), Host(bench)
    bench.request(KEY, 0, is_start=True, journal=first.journal)
    bench.request(KEY, 5, journal=second.journal)
    assert second.step() == (0, True)
    assert bench.names == []
    assert first.step() == (1, False)
    assert second.step() == (1, False)
    assert bench.names == ["session.start", "page_view", "page_view"]
    assert "session.start_inferred" not in bench.store.log.after(START, limit=1)[0].attributes


def test_a_start_that_never_comes_is_inferred_after_two_seconds(bench: Bench) -> None:
    host = Host(bench)
    bench.request(KEY, 5, journal=host.journal)
    assert host.step(after_ms=1_999) == (0, True)
    assert host.step(after_ms=1) == (1, False)
    assert bench.store.log.after(START, limit=1)[0].attributes["session.start_inferred"] is True


@pytest.mark.parametrize("is_read", [True, False])
def test_pages_that_a_journal_in_memory_still_held_are_in_the_last_end(bench: Bench, is_read: bool) -> None:
    other = MemoryJournal()
    bench.request(KEY, 0, is_start=True)
    bench.end(KEY, 100)
    bench.apply()
    if is_read:
        bench.store.outbox.register(["webhook"], now=NOW)  # behind all of it, so none of it can be withdrawn
    for at in range(1, 81):  # more than are folded at once
        bench.request(KEY, at, journal=other)
    bench.another(other).step(bench.now)
    ends = [event for event in bench.store.log.after(START, limit=1_000) if event.name == "session.end"]
    assert [event.attributes.get("session.end_revision", 0) for event in ends] == ([0, 1] if is_read else [0])
    assert ends[-1].attributes["session.page_views"] == 81
    assert bench.names[-1] == "session.end"
    assert bench.counter("sessions.ended") == 1


def start_successor(bench: Bench, host: Host, *, previous_seen_at: int = NOW + 3) -> None:
    """Another user signs in on this host: OTHER follows KEY."""
    reason = EndReason.USER_CHANGED
    bench.request(
        OTHER,
        5,
        is_start=True,
        journal=host.journal,
        previous_key=KEY,
        previous_seen_at=previous_seen_at,
        previous_reason=reason,
    )


def test_a_start_waits_for_the_end_of_the_session_before(bench: Bench) -> None:
    first, second = Host(bench), Host(bench)
    bench.request(KEY, 0, is_start=True, journal=first.journal)
    start_successor(bench, second)
    assert second.step() == (0, True)
    assert bench.names == []
    assert first.step() == (1, False)
    assert second.step() == (1, False)
    assert [(event.session_key, event.name) for event in bench.store.log.after(START, limit=9)] == [
        (KEY, "session.start"),
        (KEY, "page_view"),
        (KEY, "session.end"),
        (OTHER, "session.start"),
        (OTHER, "page_view"),
    ]


def test_a_start_waits_two_seconds_for_a_session_that_never_comes(bench: Bench) -> None:
    host = Host(bench)
    start_successor(bench, host)
    assert host.step(after_ms=1_999) == (0, True)
    assert host.step(after_ms=1) == (1, False)
    assert bench.names == ["session.start", "page_view"]


def test_a_start_does_not_wait_for_a_session_of_long_ago(bench: Bench) -> None:
    host = Host(bench)
    start_successor(bench, host, previous_seen_at=NOW - 60_000)
    assert host.step() == (1, False)


def test_records_before_a_waiting_one_are_applied_and_later_ones_wait(bench: Bench) -> None:
    host = Host(bench)
    for number, key in enumerate((KEY, OTHER, KEY)):
        host.tick += 1_000_000
        bench.request(key, number, is_start=key == KEY and number == 0, journal=host.journal)
    assert host.step() == (1, True)
    assert host.step() == (0, True)
    assert bench.counter("records.recorded") == bench.counter("records.accepted") == 1
    bench.request(KEY, 9, journal=host.journal)
    assert host.step(after_ms=2_000) == (3, False)
    assert bench.counter("records.recorded") == bench.counter("records.accepted") == 4
    assert bench.counter("sessions.started") == 2


def test_waits_do_not_add_up(bench: Bench) -> None:
    """Two seconds is the age of a record, not the time since the last look: the second has grown old with the first."""
    host = Host(bench)
    bench.request(KEY, 0, journal=host.journal)
    host.tick += 100_000_000
    bench.request(OTHER, 1, journal=host.journal)
    assert host.step(after_ms=1_850) == (0, True)
    assert host.step(after_ms=50) == (1, True)
    assert host.step(after_ms=100) == (1, False)


def test_a_suppressed_record_does_not_wait(bench: Bench) -> None:
    bench.store.data_subjects.add_tombstone(DataSubject(VISITOR, "visitor"), at=NOW + 10)
    host = Host(bench)
    bench.request(KEY, 5, journal=host.journal)
    assert host.step() == (1, False)
    assert (bench.names, bench.counter("records.erased")) == ([], 1)


def test_a_batch_that_the_database_rolls_back_is_repeated(bench: Bench) -> None:
    class Deadlocked:
        def __init__(self) -> None:
            self.times = 2

        def __getattr__(self, name: str) -> object:
            return getattr(bench.store.records, name)

        @contextmanager
        def recording(self) -> Iterator[Recording]:
            with bench.store.records.recording() as transaction:
                self.times -= 1
                if self.times >= 0:
                    transaction.save = self._deadlocked  # type: ignore[method-assign]
                yield transaction

        def _deadlocked(self, batch: Batch) -> None:
            raise TryAgain

    recorder = bench.another(bench.journal)
    recorder._store = Deadlocked()  # type: ignore[assignment]
    bench.request(KEY, 0, is_start=True)
    assert [recorder.step(NOW), recorder.step(NOW), recorder.step(NOW)] == [(0, True), (0, True), (1, False)]
    assert bench.names == ["session.start", "page_view"]


def test_other_hosts_journals_are_left_alone(tmp_path: Path, bench: Bench) -> None:
    """The store knows journals that have no file here: they are another host's, not gone."""
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    elsewhere = Recorder(
        bench.store.records,
        JournalDirectory(tmp_path),
        rules=Rules(),
        service={},
        sweep_interval=15_000,
        sweep_grace=0,
        max_age=7 * 86_400_000,
    )
    elsewhere.sweep(NOW)
    assert set(bench.store.records.marks()) == {bench.journal.id}


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


def test_damage_is_set_aside_before_positions_move_past_it(bench: Bench, tmp_path: Path) -> None:
    """Whatever becomes of the recorder then: nothing leads back there. And each record behind it is applied once."""
    folder = tmp_path / "journals"
    folder.mkdir()
    journal = FileJournal(folder, limit=2**20, may_map=True, segment_size=2**16)
    for _ in range(10):
        assert journal.append(RECORD, kind="test", essential=True, wall=NOW)
    (segment,) = folder.glob("*.seg")
    content = bytearray(segment.read_bytes())
    content[64 + 5 * (40 + len(RECORD) + 7 & -8) + 50] ^= 1
    with segment.open("r+b") as file:
        file.write(content)
    kept: list[int] = []

    class Watched(JournalDirectory):
        def set_aside(self) -> None:
            super().set_aside()
            kept.append(bench.counter("records.recorded"))

    reader = Watched(folder)
    assert bench.another(reader).step(NOW)[0] == 9  # type: ignore[arg-type]
    assert kept == [0]
    assert len(list(folder.glob("*.damaged"))) == 1
    assert bench.another(reader).step(NOW)[0] == 0  # type: ignore[arg-type]
    counted = [bench.counter(f"records.{name}") for name in ("accepted", "recorded", "lost")]
    assert counted == [10, 9, 1]
    reader.close()
    journal.close()
