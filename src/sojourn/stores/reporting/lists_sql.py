"""Statements of the lists of sessions, built from a filter and an order. Values are parameters."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sojourn.stores.dialect import Dialect

from .model import Sort
from .statements import line

VALUES: Final = {
    Sort.STARTED: "started_at",
    Sort.SEEN: "last_seen_at",
    Sort.DURATION: "(last_seen_at - started_at)",
    Sort.PAGES: "page_views",
    Sort.EVENTS: "events",
    Sort.ERRORS: "errors",
}

CLOSED: Final = "end_reason > ''"
"""As in the indices of closed sessions."""


@dataclass(frozen=True, kw_only=True)
class Stream:
    """Sessions in the order of a list, from a place on, along one index.

    `within` bounds what is read; `conditions` are checked for each session that is read.
    """

    sort: Sort
    is_ascending: bool
    within: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    has_cursor: bool = False
    is_inclusive: bool = False
    by_start: bool = False
    """Read along the index by start; for another order, the whole span."""


def page(d: Dialect, stream: Stream) -> str:
    """The lines of a stream with their places. Parameters: `examine` sessions are read, `limit` are returned."""
    value = f"s.{VALUES[stream.sort]}" if stream.sort is not Sort.DURATION else "(s.last_seen_at - s.started_at)"
    lines = d.rows.format(d.json.format("line"))
    return f"SELECT {lines} FROM (SELECT {line(d, value)} AS line {_found(d, stream)}) AS lines"


def count(d: Dialect, stream: Stream) -> str:
    """How many sessions a stream has, up to `limit`."""
    return f"SELECT COUNT(*) FROM (SELECT 1 {_found(d, stream)}) AS found"


def last_examined(d: Dialect, stream: Stream) -> str:
    """The place of the last session that was examined: the one at `offset` from the cursor."""
    inner = _ordered(d, stream, "key, started_at", f"LIMIT 1 OFFSET {d['offset']}")
    return f"SELECT v, started_at, key FROM ({inner}) AS examined"


def _found(d: Dialect, stream: Stream) -> str:
    inner = _ordered(d, stream, d.inner, f"LIMIT {d['examine']}")
    conditions = " AND ".join(stream.conditions) or "1 = 1"
    return f"FROM {d.outer.format(inner)} WHERE {conditions} LIMIT {d['limit']}"


def _ordered(d: Dialect, stream: Stream, columns: str, limit: str) -> str:
    value = VALUES[stream.sort]
    way, sign = ("ASC", ">") if stream.is_ascending else ("DESC", "<")
    beyond = f"{sign}=" if stream.is_inclusive else sign
    within = list(stream.within)
    if stream.sort is Sort.STARTED:
        if stream.has_cursor:
            within += [
                f"started_at {sign}= {d['c_started_at']}",
                f"(started_at, key) {beyond} ({d['c_started_at']}, {d['c_key']})",
            ]
        order = f"started_at {way}, key {way}"
    else:
        if stream.has_cursor:
            within += [
                f"{value} {sign}= {d['c_value']}",
                f"({value}, started_at, key) {beyond} ({d['c_value']}, {d['c_started_at']}, {d['c_key']})",
            ]
        order = f"{value} {way}, started_at {way}, key {way}"
    where = f"WHERE {' AND '.join(within)}" if within else ""
    index = d.indexed if stream.by_start else ""
    return f"SELECT {columns}, {value} AS v FROM sojourn_sessions {index} {where} ORDER BY {order} {limit}"


def spanned(d: Dialect, column: str = "started_at") -> tuple[str, str]:
    return f"{column} >= {d['since']}", f"{column} < {d['until']}"
