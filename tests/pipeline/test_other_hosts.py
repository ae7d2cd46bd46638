"""What other hosts recorded reaches the shared table: how far back each look goes, and what it notes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import pytest

from sojourn.core.ids import uuid7
from sojourn.core.session import EndReason
from sojourn.pipeline.other_hosts import OtherHosts
from sojourn.pipeline.shared_table import SharedTable, in_memory
from sojourn.stores.model import SessionNote

NOW = 1_700_000_000_000
KEY, BEFORE = (uuid7(NOW, bytes([n] * 10)) for n in (1, 2))
IDLE = 30 * 60_000


@dataclass
class Rows:
    """A store that notes how it was asked."""

    rows: list[SessionNote] | None = field(default_factory=list)
    until: int | None = NOW
    asked: list[int] = field(default_factory=list)

    def recorded_until(self, *, now: int, silent_after: int) -> int | None:
        return self.until

    def notes(
        self, *, seen_after: int, heard_since: int, besides: Collection[str], limit: int
    ) -> list[SessionNote] | None:
        assert besides == {"mine"}
        assert heard_since <= seen_after
        self.asked.append(seen_after)
        return self.rows

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"a look at other hosts uses {name}")


@dataclass
class Tick:
    at: float = 0.0


@pytest.fixture
def table() -> SharedTable:
    return in_memory()


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def tick() -> Tick:
    return Tick()


@pytest.fixture
def look(table: SharedTable, rows: Rows, tick: Tick) -> Callable[[int], None]:
    others = OtherHosts(rows, table.session, journals=lambda: {"mine"}, monotonic=lambda: tick.at, lookback=IDLE)
    return others.turn


def note(**values: Any) -> SessionNote:
    fields: dict[str, Any] = {
        "key": KEY, "last_seen_at": NOW, "revision": 0, "logouts": 0, "sealed_at": None, "sealed_reason": None,
        "started_at": NOW - 5, "previous_key": None, "previous_reason": None,
    }  # fmt: skip
    return SessionNote(**{**fields, **values})


def test_looks_are_a_second_apart(look: Callable[[int], None], rows: Rows, tick: Tick) -> None:
    for tick.at in (0.0, 0.5, 0.9, 1.0, 1.5, 2.0):
        look(NOW)
    assert len(rows.asked) == 3


def test_first_look_goes_back_as_far_as_a_session_may_be_silent(look: Callable[[int], None], rows: Rows) -> None:
    look(NOW)
    assert rows.asked == [NOW - IDLE]


def test_next_looks_go_back_to_what_was_recorded_and_now_and_then_further(
    look: Callable[[int], None], rows: Rows, tick: Tick
) -> None:
    look(NOW)
    rows.until = NOW - 20_000  # a host is behind
    tick.at = 1.0
    look(NOW + 1000)
    tick.at = 2.0
    look(NOW + 2000)
    tick.at = 30.0
    look(NOW + 30_000)
    assert [NOW - at for at in rows.asked[1:]] == [5_000, 25_000, 140_000]


@pytest.mark.parametrize("reason", EndReason)
def test_end_by_a_call_is_noted_and_no_other(
    table: SharedTable, look: Callable[[int], None], rows: Rows, reason: EndReason
) -> None:
    rows.rows = [note(sealed_at=NOW + 5, sealed_reason=reason)]
    look(NOW)
    is_call = reason not in {EndReason.IDLE_TIMEOUT, EndReason.MAX_DURATION}
    assert table.session(KEY).end == ((reason, NOW + 5) if is_call else None)


@pytest.mark.parametrize("reason", EndReason)
def test_successor_of_a_call_ends_the_session_before(
    table: SharedTable, look: Callable[[int], None], rows: Rows, reason: EndReason
) -> None:
    rows.rows = [note(previous_key=BEFORE, previous_reason=reason)]
    look(NOW)
    is_call = reason in {EndReason.RESTARTED, EndReason.USER_CHANGED}
    assert table.session(BEFORE).end == ((reason, NOW - 5) if is_call else None)


def test_notes_only_add_to_what_the_workers_know(table: SharedTable, look: Callable[[int], None], rows: Rows) -> None:
    entry = table.session(KEY)
    entry.see(NOW + 9)
    entry.revise(5, 1, NOW)
    rows.rows = [note(revision=4, logouts=2)]
    look(NOW)
    assert (entry.last_seen_at, entry.revision) == (NOW + 9, (5, 2))


def test_more_notes_than_one_slice_are_taken(table: SharedTable, look: Callable[[int], None], rows: Rows) -> None:
    keys = [uuid7(NOW, n.to_bytes(10)) for n in range(250)]
    rows.rows = [note(key=key) for key in keys]
    look(NOW)
    assert all(table.session(key).last_seen_at == NOW for key in keys)
