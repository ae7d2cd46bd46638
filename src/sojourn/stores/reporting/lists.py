"""How a filter and an order become streams of sessions: what an index bounds, and which conditions each row is checked for.

There are three ways to a page. A person's sessions, and open ones, are few: they are found by their own index. Otherwise a
list by start is read along the index by start, and any other along the index of closed sessions by that value, merged
with the open ones. In a span with few sessions all are read and sorted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sojourn.stores import wire
from sojourn.stores.dialect import Dialect
from sojourn.stores.model import DataSubject

from .filters import Condition, Operator
from .filters_sql import sessions_where
from .lists_sql import CLOSED, Stream, spanned
from .model import Filter, Sort
from .statements import PERSONS

Spot = tuple[int, int, str]
"""A place in an order: value, start, key."""

_EXAMINED: Final = 10_000
"""How many sessions are examined for one page."""
_EXAMINED_BY_EVENTS: Final = 1_500


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
) -> Listing:
    """Return the streams of a list."""
    checks = sessions_where(d, _unbounded(where), where.text)
    conditions, values = checks.parts, dict(checks.values)
    within: list[str] = []
    if where.person is not None:
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
        # Said outright: newer versions of SQLite would rather sort all sessions to find one.
        by_start = (is_narrow or sort is Sort.STARTED) and not within
        streams = (stream(*within, *span, conditions=conditions + is_closed, by_start=by_start),)
    else:
        # The span is checked row by row: bound by it, the database would read the span instead of the order.
        in_span = () if where.span is None else spanned(d, "s.started_at")
        streams = (stream(CLOSED, conditions=conditions + in_span),)
        if where.is_open is None:
            streams += (stream("end_reason IS NULL", *span),)
    return Listing(
        streams=streams,
        values=values,
        is_ascending=is_ascending,
        most=_EXAMINED_BY_EVENTS if checks.reads_events else _EXAMINED,
    )


def _unbounded(where: Filter) -> list[Condition]:
    """The conditions that no index bounds: each row is checked for them."""
    state, person = where.condition("state"), where.person
    return [each for each in where.conditions if each is not state and not _is_bound(person, each)]


def _is_bound(person: DataSubject | None, each: Condition) -> bool:
    return person is not None and (each.field, each.operator, each.value) == (person.kind, Operator.IS, person.id)
