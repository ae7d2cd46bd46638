"""How a filter and an order become streams of sessions: what an index bounds, and which conditions each row is checked for.

There are three ways to a page. A person's sessions, and open ones, are few: they are found by their own index. Otherwise a
list by start is read along the index by start, and any other along the index of closed sessions by that value, merged
with the open ones. In a span with few sessions all are read and sorted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from sojourn.stores import wire
from sojourn.stores.dialect import Dialect
from sojourn.stores.dimensions import NAMES

from .lists_sql import CLOSED, Stream, dimension_is, property_is, seen_path, spanned, text_in
from .model import Filter, Sort
from .statements import PERSONS

Spot = tuple[int, int, str]
"""A place in an order: value, start, key."""

_EXAMINED: Final = 10_000
"""How many sessions are examined for one page."""
_EXAMINED_BY_EVENTS: Final = 1_500
_PROPERTY: Final = re.compile(r"[A-Za-z0-9_.]{1,200}")
_LIKE: Final = re.compile(r"([\\%_])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Streams that merge into the list, and the values of their parameters."""

    streams: tuple[Stream, ...]
    values: dict[str, object]
    is_ascending: bool
    most: int

    def examine(self, limit: int) -> int:
        """Return how many sessions to examine for so many lines."""
        return self.most if any(stream.conditions for stream in self.streams) else limit


def listing(
    d: Dialect,
    where: Filter,
    *,
    sort: Sort,
    is_ascending: bool,
    cursor: Spot | None,
    is_narrow: bool,
    is_inclusive: bool = False,
) -> Listing | None:
    """Return the streams of a list; `None` if no session can match the filter."""
    checks = _checks(d, where)
    if checks is None:
        return None
    conditions, values = checks
    within: list[str] = []
    if where.person is not None:
        if where.person.kind not in PERSONS:
            return None
        within.append(f"{PERSONS[where.person.kind]} = {d['person']}")
        values["person"] = wire.clean(where.person.id)
    if where.span is not None:
        values |= {"since": where.span.since, "until": where.span.until}
    if cursor is not None:
        values |= dict(zip(("c_value", "c_started_at", "c_key"), cursor, strict=True))
    span = () if where.span is None else spanned(d)

    def stream(*within: str, conditions: tuple[str, ...] = conditions, by_start: bool = False) -> Stream:
        return Stream(
            sort=sort,
            is_ascending=is_ascending,
            within=within,
            conditions=conditions,
            has_cursor=cursor is not None,
            is_inclusive=is_inclusive,
            by_start=by_start,
        )

    streams: tuple[Stream, ...]
    if where.is_open:
        streams = (stream(*within, "end_reason IS NULL", *span),)
    elif within or sort is Sort.STARTED or is_narrow:
        is_closed = () if where.is_open is None else (f"s.{CLOSED}",)
        by_start = is_narrow and not within
        streams = (stream(*within, *span, conditions=conditions + is_closed, by_start=by_start),)
    else:
        # The span is checked row by row: bound by it, the database would read the span instead of the order.
        in_span = () if where.span is None else spanned(d, "s.started_at")
        streams = (stream(CLOSED, conditions=conditions + in_span),)
        if where.is_open is None:
            streams += (stream("end_reason IS NULL", *span),)
    is_by_events = where.seen_path is not None
    return Listing(
        streams=streams,
        values=values,
        is_ascending=is_ascending,
        most=_EXAMINED_BY_EVENTS if is_by_events else _EXAMINED,
    )


def _checks(d: Dialect, where: Filter) -> tuple[tuple[str, ...], dict[str, object]] | None:
    conditions: list[str] = []
    values: dict[str, object] = {}
    if where.has_errors:
        conditions.append("s.errors > 0")
    if where.reason is not None:
        conditions.append(f"s.end_reason = {d['reason']}")
        values["reason"] = where.reason.value
    entry_path = () if where.entry_path is None else (("entry_path", where.entry_path),)
    for name, text in entry_path + where.dimensions:
        if name not in NAMES:
            return None
        values[name], is_prefix = _pattern(text)
        conditions.append(dimension_is(d, name, is_prefix=is_prefix))
    if where.property is not None:
        name, value = where.property
        if not _PROPERTY.fullmatch(name):  # no property has such a name: the database need not see it
            return None
        values |= {"property": d.property_name.format(name), "value": wire.clean(value), "number": _number(value)}
        conditions.append(property_is(d))
    if where.text:
        values["text"] = _like(wire.clean(where.text))
        conditions.append(text_in(d))
    if where.seen_path is not None:  # last: it costs most
        values["seen_path"], is_prefix = _pattern(where.seen_path)
        conditions.append(seen_path(d, is_prefix=is_prefix))
    return tuple(conditions), values


def _like(text: str) -> str:
    """Return a LIKE pattern for this text anywhere, with its wildcards escaped."""
    escaped = _LIKE.sub(r"\\\1", text)
    return f"%{escaped}%"


def _pattern(path: str) -> tuple[str, bool]:
    """Return what a path is compared with, and whether that is a prefix."""
    clean = wire.clean(path)
    return (clean[:-1], True) if clean.endswith("*") else (clean, False)


def _number(text: str) -> str:
    """Return a whole number as databases write a float of that value; any other text as it is."""
    try:
        return str(float(text)) if len(text) <= 20 and float(text).is_integer() else wire.clean(text)
    except (ValueError, OverflowError):
        return wire.clean(text)
