"""Calls of jobs that are recorded before the start of their session: they wait for it, hold up nothing, and count once."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from sojourn.core.events import START
from sojourn.core.records import CARRIED, OPT_OUT, Entry, Record
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.record.early import START_WITHIN_MS
from sojourn.pipeline.record.recorder import PATIENCE_NS
from sojourn.stores import SQLiteStore
from sojourn.stores.model import VISITOR, DataSubject
from tests.pipeline.conftest import NOW, Bench

KEY = "018bcfe5-6800-7000-8000-000000000001"
OTHER = "018bcfe5-6800-7000-8000-000000000002"


def call(bench: Bench, at: int, *, key: str = KEY) -> None:
    """A call of a job, this many milliseconds after its session began."""
    entry = Entry("sent", NOW + at, {"event_properties.at": at})
    bench.put(Record(NOW + at, key, "visitor", NOW, CARRIED, entries=(entry,)))


def apply_all(bench: Bench, at: int) -> None:
    """Apply everything at this moment; the journals are marked as read up to it."""
    bench.now = NOW + at
    bench.recorder.step(bench.now, must_mark=True)


def test_calls_wait_for_the_start_of_their_session_and_keep_their_order(bench: Bench) -> None:
    call(bench, 5)
    call(bench, 6)
    assert bench.apply() == 2
    assert (bench.names, bench.counter("records.early")) == ([], 2)
    assert bench.apply() == 0
    bench.request(KEY, 0, is_start=True)
    assert bench.apply() == 3
    events = bench.store.log.after(START, limit=10)
    assert [event.name for event in events] == ["session.start", "page_view", "sent", "sent"]
    assert [event.time - NOW for event in events[2:]] == [5, 6]
    assert bench.counter("records.accepted") == bench.counter("records.recorded") == 3
    assert not bench.store.records.has_inbox()


def test_a_call_has_the_same_id_whether_or_not_it_waited(bench: Bench, tmp_path: Path) -> None:
    call(bench, 5)
    bench.apply()
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    waited = [event.id for event in bench.store.log.after(START, limit=10) if event.name == "sent"]
    with closing(SQLiteStore(tmp_path / "other.db")) as store:
        store.open()
        other = Bench(store)
        other.request(KEY, 0, is_start=True)
        other.apply()
        other.another(bench.journal).step(NOW)  # the same records, once the session is there
        assert waited == [event.id for event in store.log.after(START, limit=10) if event.name == "sent"]


def test_a_second_recorder_of_the_journal_moves_no_call_twice(bench: Bench) -> None:
    other = bench.another(bench.journal)
    other.step(bench.now)  # it has read the positions
    call(bench, 5)
    assert [bench.apply(), other.step(bench.now)[0]] == [1, 0]
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    assert bench.names.count("sent") == 1


def test_a_call_whose_session_never_begins_is_counted_in_the_end(bench: Bench) -> None:
    call(bench, 5)
    apply_all(bench, START_WITHIN_MS)
    assert bench.store.records.has_inbox()
    apply_all(bench, START_WITHIN_MS + 1)
    assert not bench.store.records.has_inbox()
    assert (bench.names, bench.counter("records.without_session")) == ([], 1)


def test_a_call_of_a_session_that_expired_does_not_wait(bench: Bench) -> None:
    apply_all(bench, START_WITHIN_MS + 1)
    call(bench, START_WITHIN_MS)
    bench.apply()
    assert not bench.store.records.has_inbox()
    assert bench.counter("records.without_session") == 1


def test_a_call_waits_for_another_host_that_is_behind(bench: Bench) -> None:
    web = MemoryJournal()
    behind = bench.another(web)
    behind.step(NOW, must_mark=True)  # all of its records so far
    call(bench, START_WITHIN_MS - 1)
    apply_all(bench, START_WITHIN_MS - 1)
    bench.request(KEY, 0, is_start=True, journal=web)
    behind.step(NOW + START_WITHIN_MS)
    apply_all(bench, START_WITHIN_MS + 5)
    assert bench.names == ["session.start", "page_view", "sent"]


def test_a_call_that_waits_holds_up_nothing_though_several_hosts_record(bench: Bench) -> None:
    bench.recorder.patience_ns = PATIENCE_NS
    call(bench, 5)
    bench.request(OTHER, 6, is_start=True)
    assert bench.apply() == 2
    assert bench.names == ["session.start", "page_view"]


@pytest.mark.parametrize("is_opted_out", [True, False], ids=["opted out", "erased"])
def test_a_call_that_waits_is_dropped_with_its_visitor(bench: Bench, *, is_opted_out: bool) -> None:
    call(bench, 5)
    bench.apply()
    if is_opted_out:
        bench.put(Record(NOW + 10, KEY, "visitor", NOW, OPT_OUT))
    else:
        bench.store.data_subjects.add_tombstone(DataSubject(VISITOR, "visitor"), at=NOW + 10)
    bench.apply()
    bench.request(KEY, 20, is_start=True)
    bench.apply()
    assert "sent" not in bench.names
    assert not bench.store.records.has_inbox()
