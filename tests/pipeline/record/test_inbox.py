"""The recorder's inbox: each visible row once, through the same fold, whenever it comes."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from sojourn.core.events import START
from sojourn.core.ids import uuid7
from sojourn.core.records import CARRIED, STARTS, Entry, Record
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.record import inbox
from sojourn.pipeline.record.early import START_WITHIN_MS
from sojourn.stores.model import VISITOR, DataSubject, TryAgain
from sojourn.stores.recording_protocol import Recording
from tests.pipeline.conftest import NOW, Bench

KEY = "018bcfe5-6800-7000-8000-000000000001"
OTHER = "018bcfe5-6800-7000-8000-000000000002"
IDLE = 30 * 60_000


def row(at: int = 0, *, key: str = KEY, flags: int = 0, **more: Any) -> bytes:
    entry = Entry("purchase", NOW + at, {"event_properties.at": at})
    return payloads.encode_for_inbox(Record(NOW + at, key, "visitor", NOW, flags, entries=(entry,), **more))


def put(bench: Bench, *rows: bytes, at: int = 0) -> None:
    """Commit rows, as an application does."""
    with closing(sqlite3.connect(str(bench.store.path))) as connection, connection:
        connection.executemany(
            "INSERT INTO sojourn_inbox (id, visitor_id, session_key, data) VALUES (?, 'visitor', ?, ?)",
            [
                (uuid7(NOW + at, number.to_bytes(2, "big") + os.urandom(8)), KEY, data)
                for number, data in enumerate(rows)
            ],
        )


def test_a_row_takes_effect_once(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    put(bench, row(1))
    assert [bench.apply(), bench.apply()] == [2, 0]
    assert bench.names == ["session.start", "page_view", "purchase"]
    assert bench.counter("inbox.recorded") == 1
    assert bench.counter("records.recorded") == bench.counter("records.accepted") == 1


def test_two_recorders_take_each_row_once(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    other = bench.another(MemoryJournal())
    put(bench, *(row(number) for number in range(5)))
    assert [other.step(bench.now)[0], bench.apply()] == [5, 0]
    assert bench.names.count("purchase") == 5


def test_a_row_before_the_start_of_its_session_waits_for_it(bench: Bench) -> None:
    put(bench, row(1))
    bench.now = NOW + 1
    other = MemoryJournal()
    assert bench.recorder.step(bench.now, must_mark=True) == (0, False)  # its journal is applied up to this moment only
    bench.request(KEY, 0, is_start=True, journal=other)
    bench.another(other).step(bench.now)
    bench.apply()
    assert bench.names == ["session.start", "page_view", "purchase"]


def test_a_row_whose_start_is_lost_is_recorded_all_the_same(bench: Bench) -> None:
    put(bench, row(1))
    bench.now = NOW + 2  # every journal is applied beyond it
    assert bench.recorder.step(bench.now, must_mark=True) == (1, False)
    start, purchase = bench.store.log.after(START, limit=10)
    assert start.attributes["session.start_inferred"] is True
    assert purchase.name == "purchase"


def test_a_carried_row_of_an_erased_session_makes_no_session(bench: Bench) -> None:
    put(bench, row(1, flags=CARRIED))
    bench.now = NOW + START_WITHIN_MS + 1
    bench.recorder.step(bench.now, must_mark=True)
    assert bench.names == []
    assert bench.counter("records.without_session") == 1


def test_rows_that_wait_hold_nobody_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BATCH", 3)
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    put(bench, *(row(10, key=OTHER) for _ in range(7)))
    put(bench, row(11), at=1)
    while bench.recorder.step(bench.now)[1]:
        pass
    assert bench.names == ["session.start", "page_view", "purchase"]


def test_a_row_with_the_start_of_its_session_needs_nothing_else(bench: Bench) -> None:
    put(bench, row(1, flags=STARTS, origin={"url.path": "/buy"}))
    bench.apply()
    assert bench.names == ["session.start", "purchase"]
    bench.request(KEY, 0, is_start=True)  # the request's own record
    bench.apply()
    assert bench.names == ["session.start", "purchase", "page_view"]


def test_a_row_that_was_committed_after_the_end_is_before_another_end(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    bench.now = NOW + IDLE
    assert bench.recorder.sweep(bench.now) == 1
    put(bench, row(0))  # the transaction took half an hour
    bench.apply()
    assert bench.names == ["session.start", "page_view", "purchase", "session.end"]
    (session,) = bench.store.sessions.latest(limit=5)
    assert session.tracked_events == 1


def test_a_row_of_an_erased_visitor_is_dropped(bench: Bench) -> None:
    bench.request(KEY, 0, is_start=True)
    bench.apply()
    put(bench, row(1))
    bench.store.data_subjects.add_tombstone(DataSubject(VISITOR, "visitor"), at=NOW + 5)
    assert not bench.store.records.has_inbox()
    put(bench, row(2))  # was written before, and committed after
    bench.apply()
    assert not bench.store.records.has_inbox()
    assert "purchase" not in bench.names
    assert bench.counter("records.erased") == 1


@pytest.mark.parametrize(
    ("data", "counter"),
    [
        pytest.param(b"\x03\xff", "records.undecodable", id="not MessagePack"),
        pytest.param(b"\xff\x90", "records.unknown_kind", id="a kind of a later version"),
        pytest.param(b"", "records.unknown_kind", id="no kind"),
        pytest.param(row(-8 * 86_400_000), "records.too_old", id="older than the limit"),
    ],
)
def test_an_unusable_row_is_skipped_and_counted(bench: Bench, data: bytes, counter: str) -> None:
    put(bench, data)
    bench.apply()
    assert bench.counter(counter) == 1
    assert not bench.store.records.has_inbox()


def test_a_row_from_a_clock_far_ahead_is_dated_now(bench: Bench) -> None:
    put(bench, row(400 * 86_400_000, flags=STARTS, origin={}))
    bench.apply()
    assert bench.store.sessions.latest(limit=1)[0].last_seen_at == NOW


def test_a_transaction_that_the_database_rolled_back_is_repeated(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.apply()
    put(bench, row(1, flags=STARTS, origin={}))
    real, failures = bench.store.records.recording, [TryAgain("a deadlock")]

    @contextmanager
    def recording() -> Iterator[Recording]:
        if failures:
            raise failures.pop()
        with real() as transaction:
            yield transaction

    monkeypatch.setattr(bench.store.records, "recording", recording)
    assert bench.recorder.step(bench.now) == (0, True)
    assert bench.recorder.step(bench.now) == (1, False)
    assert bench.names == ["session.start", "purchase"]
