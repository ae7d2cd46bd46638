"""What the report asks, for any database: the pages and how their figures come together. Statements: `_reporting_sql`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

import msgspec

from sojourn.core.events import Event, Scalar
from sojourn.core.session import EndReason
from sojourn.stores import wire
from sojourn.stores.dimensions import NAMES
from sojourn.stores.rows import SessionRow
from sojourn.stores.tombstones import SESSION, DataSubject

from .lists import Listing, Spot, listing
from .lists_sql import count, last_examined, page
from .model import Changes, Cursor, Filter, PersonDetail, SessionDetail, SessionLine, SessionPage, Sort, Timeline
from .rollups import Summarising
from .statements import Dialect

_EXPORTED_AT_ONCE: Final = 500
_SHOWN_AT_ONCE: Final = 1000
_NEWER: Final = 100
_NARROW: Final = 20_000
"""As many sessions are sorted at a time rather than looked for in an order of all sessions."""


class _Line(msgspec.Struct, array_like=True, frozen=True):
    """A session as the query answers it, and its value in the order of the list."""

    key: str
    session_id: str
    visitor_id: str
    user_id: str | None
    user_name: str | None
    is_manual: bool
    started_at: int
    last_seen_at: int
    end_reason: EndReason | None
    requests: int
    page_views: int
    events: int
    errors: int
    dimensions: list[str | None]
    value: int

    @property
    def spot(self) -> Spot:
        return self.value, self.started_at, self.key


_lines: Final = msgspec.json.Decoder(list[_Line], strict=False)
_traits: Final = msgspec.json.Decoder(dict[str, Scalar])


class ReportingQueries(Summarising, ABC):
    """`Reporting` over a store: a database gives its dialect and says how a statement is read."""

    _dialect: Dialect

    @abstractmethod
    def _read(self, statement: str, **values: object) -> tuple[Any, ...] | None:
        """Return the first row of one statement, if it has one."""

    @abstractmethod
    def _rows(self, keys: Sequence[str]) -> list[SessionRow]:
        """Return whole rows, in no order."""

    @abstractmethod
    def events_of(self, session_key: str, *, limit: int = ..., after: int = ...) -> list[Event]:
        """Return events, as `Queries` says."""

    # --- lists

    def session_page(
        self,
        wanted: Filter,
        *,
        sort: Sort = Sort.STARTED,
        is_ascending: bool = False,
        cursor: Cursor | None = None,
        limit: int = 50,
    ) -> SessionPage:
        is_back = cursor is not None and cursor.is_back
        asked = listing(
            self._dialect,
            wanted,
            sort=sort,
            is_ascending=is_ascending is not is_back,
            cursor=None if cursor is None else (cursor.value, cursor.started_at, wire.clean(cursor.key)),
            is_inclusive=cursor is not None and cursor.is_inclusive,
            is_narrow=self._is_narrow(wanted, sort),
        )
        if asked is None:
            return SessionPage(lines=())
        found, stopped_at = self._found(asked, limit + 1)
        shown = found[:limit]
        further = shown[-1].spot if len(found) > limit else stopped_at
        onward = None if further is None else Cursor(*further, is_back)
        back = None
        if cursor is not None:
            # Where nothing was found, what lay at the cursor may belong to the page that led here.
            nearest = shown[0].spot if shown else (cursor.value, cursor.started_at, cursor.key)
            back = Cursor(*nearest, not is_back, is_inclusive=not shown and not cursor.is_inclusive)
        if is_back:
            shown.reverse()
        return SessionPage(
            lines=tuple(map(_told, shown)),
            following=back if is_back else onward,
            preceding=onward if is_back else back,
            is_cut=len(found) <= limit and stopped_at is not None,
        )

    def session_changes(self, wanted: Filter, *, shown: Collection[str], started_after: int) -> Changes:
        keys = wire.encode(list(shown)[:_SHOWN_AT_ONCE])
        lines = _lines.decode(self._value_of(self._statements.lines, keys=keys))
        since = (0, started_after + 1, "")
        asked = listing(self._dialect, wanted, sort=Sort.STARTED, is_ascending=True, cursor=since, is_narrow=False)
        newer = 0
        if asked is not None:
            values = {**asked.values, "examine": asked.examine(_NEWER), "limit": _NEWER}
            newer = sum(self._one(count(self._dialect, stream), **values)[0] for stream in asked.streams)
        return Changes(lines=tuple(map(_told, lines)), newer=min(newer, _NEWER))

    def session_export(self, wanted: Filter, *, limit: int | None = None) -> Iterator[Sequence[SessionLine]]:
        cursor: Cursor | None = None
        left = limit
        while left is None or left > 0:
            size = _EXPORTED_AT_ONCE if left is None else min(left, _EXPORTED_AT_ONCE)
            part = self.session_page(wanted, cursor=cursor, limit=size)
            yield part.lines
            cursor = part.following
            if cursor is None:
                return
            if left is not None:
                left -= len(part.lines)

    def _is_narrow(self, wanted: Filter, sort: Sort) -> bool:
        """Whether to sort what started in the span, instead of looking for it along an order of all sessions."""
        if sort is Sort.STARTED or wanted.span is None:
            return False
        span = {"since": wanted.span.since, "until": wanted.span.until}
        started: int = self._one(self._statements.started, **span, limit=_NARROW + 1)[0]
        return started <= _NARROW

    def _found(self, asked: Listing, limit: int) -> tuple[list[_Line], Spot | None]:
        """The next lines, and where the looking stopped before there were enough of them."""
        found: list[_Line] = []
        stops: list[Spot] = []
        examine = asked.examine(limit)
        for stream in asked.streams:
            values = {**asked.values, "examine": examine, "limit": limit}
            part = _lines.decode(self._value_of(page(self._dialect, stream), **values))
            found += part
            if stream.conditions and len(part) < limit:
                last = self._read(last_examined(self._dialect, stream), **asked.values, offset=examine - 1)
                if last is not None:
                    stops.append((last[0], last[1], last[2]))
        found.sort(key=lambda line: line.spot, reverse=not asked.is_ascending)
        if not stops:
            return found[:limit], None
        stop = min(stops) if asked.is_ascending else max(stops)
        # What another stream has found beyond is no part of this page: the next one begins there.
        reached = [line for line in found if (line.spot <= stop if asked.is_ascending else line.spot >= stop)]
        return reached[:limit], stop

    # --- one session

    def session_detail(self, name: str) -> SessionDetail | None:
        keys = wire.decode_names(self._value_of(self._statements.named, name=wire.clean(name)))
        rows = self._rows(keys[:1])
        lines = _lines.decode(self._value_of(self._statements.lines, keys=wire.encode(keys[:1])))
        around = self._read(self._statements.around, key=keys[0]) if keys else None
        if not (rows and lines and around):
            return None
        row = rows[0]
        return SessionDetail(
            row=row,
            line=_told(lines[0]),
            previous_key=around[0],
            next_key=around[1],
            same_id=len(wire.decode_names(self._value_of(self._statements.named, name=row.session_id))),
        )

    def timeline(self, key: str, *, after: int = 0, limit: int = 200) -> Timeline:
        key = wire.clean(key)
        found = self.events_of(key, limit=limit + 1, after=after)
        shown = found[:limit]
        return Timeline(
            events=tuple(shown),
            following=shown[-1].seq if len(found) > limit else None,
            total=self._one(self._statements.events_total, key=key)[0],
        )

    def session_of_event(self, event_id: str) -> tuple[str, int] | None:
        found = self._read(self._statements.session_of_event, id=wire.clean(event_id))
        return None if found is None else (found[0], found[1])

    # --- one person

    def person_detail(self, person: DataSubject) -> PersonDetail | None:
        if person.kind == SESSION:
            return None
        found = self._one(self._statements.person(person.kind), id=wire.clean(person.id))
        name, traits, first, last, sessions, are_open, pages, events, errors, duration, others = found
        if not sessions:
            return None
        return PersonDetail(
            person=person,
            name=name,
            traits=None if traits is None else _traits.decode(traits),
            first_seen_at=first,
            last_seen_at=last,
            sessions=sessions,
            open_sessions=are_open,
            page_views=int(pages),
            events=int(events),
            errors=int(errors),
            duration_ms=max(0, int(duration)),
            others=tuple(wire.decode_names(others)),
        )

    # --- how a statement is read

    def _one(self, statement: str, **values: object) -> tuple[Any, ...]:
        found = self._read(statement, **values)
        if found is None:
            msg = "a statement that always has an answer had none"
            raise AssertionError(msg)
        return found

    def _value_of(self, statement: str, **values: object) -> str:
        value: str = self._one(statement, **values)[0]
        return value


def _told(line: _Line) -> SessionLine:
    return SessionLine(
        key=line.key,
        session_id=line.session_id,
        visitor_id=line.visitor_id,
        user_id=line.user_id,
        user_name=line.user_name,
        is_manual=line.is_manual,
        started_at=line.started_at,
        last_seen_at=line.last_seen_at,
        end_reason=line.end_reason,
        requests=line.requests,
        page_views=line.page_views,
        events=line.events,
        errors=line.errors,
        dimensions=dict(zip(NAMES, line.dimensions, strict=True)),
    )
