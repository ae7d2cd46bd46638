"""How a filter and an order become streams of sessions: what an index bounds, and what is asked of each. Knows no store.

Three ways lead to a page. A person's sessions and open ones are few, and found by their own index. Otherwise a list by
start is read along the start, and any other along the index of closed sessions by that value, with the open ones beside
it. Of a span with few sessions all are read and sorted.
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
"""Sessions that are looked at for one page."""
_EXAMINED_BY_EVENTS: Final = 1_500
_PROPERTY: Final = re.compile(r"[A-Za-z0-9_.]{1,200}")
_LIKE: Final = re.compile(r"([\\%_])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Streams whose sessions together, in their order, are the list; and the values of their parameters."""

    streams: tuple[Stream, ...]
    values: dict[str, object]
    is_ascending: bool
    most: int

    def examine(self, limit: int) -> int:
        """How many sessions to look at for so many lines."""
        return self.most if any(stream.conditions for stream in self.streams) else limit


def listing(
    d: Dialect,
    wanted: Filter,
    *,
    sort: Sort,
    is_ascending: bool,
    cursor: Spot | None,
    is_narrow: bool,
    is_inclusive: bool = False,
) -> Listing | None:
    """The streams of a list; `None` for a filter that no session can meet."""
    asked = _asked_of_each(d, wanted)
    if asked is None:
        return None
    conditions, values = asked
    within: list[str] = []
    if wanted.person is not None:
        if wanted.person.kind not in PERSONS:
            return None
        within.append(f"{PERSONS[wanted.person.kind]} = {d['person']}")
        values["person"] = wire.clean(wanted.person.id)
    if wanted.span is not None:
        values |= {"since": wanted.span.since, "until": wanted.span.until}
    if cursor is not None:
        values |= dict(zip(("c_value", "c_started_at", "c_key"), cursor, strict=True))
    span = () if wanted.span is None else spanned(d)

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
    if wanted.is_open:
        streams = (stream(*within, "end_reason IS NULL", *span),)
    elif within or sort is Sort.STARTED or is_narrow:
        is_closed = () if wanted.is_open is None else (f"s.{CLOSED}",)
        by_start = is_narrow and not within
        streams = (stream(*within, *span, conditions=conditions + is_closed, by_start=by_start),)
    else:
        # The span is asked of each: bound by it, the database would read the span instead of the order.
        of_each = () if wanted.span is None else spanned(d, "s.started_at")
        streams = (stream(CLOSED, conditions=conditions + of_each),)
        if wanted.is_open is None:
            streams += (stream("end_reason IS NULL", *span),)
    is_by_events = wanted.seen_path is not None
    return Listing(
        streams=streams,
        values=values,
        is_ascending=is_ascending,
        most=_EXAMINED_BY_EVENTS if is_by_events else _EXAMINED,
    )


def _asked_of_each(d: Dialect, wanted: Filter) -> tuple[tuple[str, ...], dict[str, object]] | None:
    conditions: list[str] = []
    values: dict[str, object] = {}
    if wanted.has_errors:
        conditions.append("s.errors > 0")
    if wanted.reason is not None:
        conditions.append(f"s.end_reason = {d['reason']}")
        values["reason"] = wanted.reason.value
    entry_path = () if wanted.entry_path is None else (("entry_path", wanted.entry_path),)
    for name, text in entry_path + wanted.dimensions:
        if name not in NAMES:
            return None
        values[name], is_prefix = _pattern(text)
        conditions.append(dimension_is(d, name, is_prefix=is_prefix))
    if wanted.property is not None:
        name, value = wanted.property
        if not _PROPERTY.fullmatch(name):  # no property is called so, and no database needs to see it
            return None
        values |= {"property": d.property_name.format(name), "value": wire.clean(value), "number": _number(value)}
        conditions.append(property_is(d))
    if wanted.text:
        values["text"] = _like(wire.clean(wanted.text))
        conditions.append(text_in(d))
    if wanted.seen_path is not None:  # last: it costs most
        values["seen_path"], is_prefix = _pattern(wanted.seen_path)
        conditions.append(seen_path(d, is_prefix=is_prefix))
    return tuple(conditions), values


def _like(text: str) -> str:
    """What finds this text anywhere, with no sign of it meaning anything."""
    escaped = _LIKE.sub(r"\\\1", text)
    return f"%{escaped}%"


def _pattern(path: str) -> tuple[str, bool]:
    """What a path is compared with, and whether it is only its beginning."""
    clean = wire.clean(path)
    return (clean[:-1], True) if clean.endswith("*") else (clean, False)


def _number(text: str) -> str:
    """A whole number as databases write it when it is kept as a float; anything else stays as it is."""
    try:
        return str(float(text)) if len(text) <= 20 and float(text).is_integer() else wire.clean(text)
    except (ValueError, OverflowError):
        return wire.clean(text)
