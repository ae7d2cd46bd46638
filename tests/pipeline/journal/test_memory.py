"""What both journals promise alike, whether they lie in files or in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sojourn.pipeline.journal import FileJournal, Journal, JournalDirectory, JournalReader, MemoryJournal

FOREVER = 2**62


@dataclass
class Pair:
    journal: Journal
    reader: JournalReader

    def put(self, *payloads: bytes, essential: bool = True) -> list[bool]:
        return [self.journal.append(payload, kind="k", essential=essential, wall=7) for payload in payloads]

    def read(self, position: int = 0, limit: int = 1000) -> list[bytes]:
        reading = self.reader.read({self.journal.id: position}, before=FOREVER, limit=limit)
        return [frame.payload for frame in reading.frames]


@pytest.fixture(params=["memory", "files"])
def pair(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Pair]:
    if request.param == "memory":
        memory = MemoryJournal(limit=8192)
        yield Pair(memory, memory)
        return
    journal = FileJournal(tmp_path, limit=8192, may_map=True, segment_size=1024)
    directory = JournalDirectory(tmp_path)
    yield Pair(journal, directory)
    journal.close()
    directory.close()


def test_reads_what_was_appended_once_and_in_order(pair: Pair) -> None:
    assert pair.put(b"a", b"b", b"c") == [True] * 3
    reading = pair.reader.read({}, before=FOREVER, limit=2)
    assert [frame.payload for frame in reading.frames] == [b"a", b"b"]
    assert reading.more
    assert [(frame.accepted, frame.refused, frame.wall) for frame in reading.frames] == [(1, 0, 7), (2, 0, 7)]
    assert pair.read(reading.frames[-1].end) == [b"c"]


def test_reads_only_what_is_older_than_the_pass(pair: Pair) -> None:
    pair.put(b"a", b"b")
    second = pair.reader.read({}, before=FOREVER, limit=9).frames[1]
    reading = pair.reader.read({}, before=second.mono, limit=9)
    assert [frame.payload for frame in reading.frames] == [b"a"]
    assert not reading.more


def test_the_last_fifth_of_the_limit_is_kept_for_essential_records(pair: Pair) -> None:
    while pair.put(b"x" * 80, essential=False) == [True]:
        pass
    accepted = pair.journal.stats().accepted
    assert pair.put(b"y" * 80) == [True]
    while pair.put(b"y" * 80) == [True]:
        pass
    stats = pair.journal.stats()
    assert accepted < stats.accepted
    assert stats.bytes_used <= stats.limit
    assert (stats.refused, dict(stats.refused_by_kind)) == (2, {"k": 2})
    assert len(pair.read()) == stats.accepted


def test_discarded_frames_make_room(pair: Pair) -> None:
    while pair.put(b"x" * 80) == [True]:
        pass
    last = pair.reader.read({}, before=FOREVER, limit=1000).frames[-1]
    pair.reader.discard({pair.journal.id: last.end})
    pair.journal.prepare()
    assert pair.put(b"new", essential=False) == [True]
    assert pair.read(last.end) == [b"new"]


def test_a_payload_that_is_too_large_is_refused(pair: Pair) -> None:
    assert pair.put(b"x" * 65_537, b"small") == [False, True]


def test_a_closed_journal_is_gone_once_read(pair: Pair) -> None:
    pair.put(b"a", b"b")
    assert pair.reader.is_alive(pair.journal.id)
    pair.journal.close()
    pair.journal.close()
    assert not pair.reader.is_alive(pair.journal.id)
    assert pair.put(b"c") == [False]
    first, second = pair.reader.read({}, before=FOREVER, limit=9).frames
    assert pair.reader.discard({pair.journal.id: first.end}) == frozenset()
    assert pair.read(first.end) == [b"b"]
    assert pair.reader.discard({pair.journal.id: second.end}) == {pair.journal.id}
    assert pair.reader.journals() == frozenset()


def test_another_process_may_not_append(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.getpid() + 1
    monkeypatch.setattr(os, "getpid", lambda: other)
    monkeypatch.setattr("sojourn.pipeline.journal.writer.getpid", lambda: other)
    assert pair.put(b"x") == [False]
    pair.journal.prepare()
    pair.journal.close()
    monkeypatch.undo()
    assert pair.put(b"x") == [True]
    assert pair.read() == [b"x"]
