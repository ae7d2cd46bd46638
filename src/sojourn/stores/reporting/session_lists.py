"""Lists of sessions, in any database: how the rows of one or two indices become a page."""

# ruff: noqa: S608 - every part is written here; values are always parameters

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

import msgspec

from sojourn.core.session import EndReason
from sojourn.stores import wire
from sojourn.stores.database import Database
from sojourn.stores.dimensions import NAMES
from sojourn.stores.rows import SessionRow

from .lists import Listing, Spot, listing
from .lists_sql import count, last_examined, page
from .model import Changes, Cursor, Filter, SessionDetail, SessionLine, SessionPage, Sort
from .statements import Statements

_EXPORTED_AT_ONCE: Final = 500
_SHOWN_AT_ONCE: Final = 1000
_NEWER: Final = 100
_LATEST: Final = 2**63 - 1
_NARROW: Final = 20_000
"""Up to this many sessions in a span are sorted, instead of read along an index over all sessions."""


class _Line(msgspec.Struct, array_like=True, frozen=True):
    """A session in the order of the query's columns, and its value in the order of the list."""

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
    tracked_events: int
    errors: int
    client_errors: int
    dimensions: list[str | None]
    value: int

    @property
    def spot(self) -> Spot:
        return self.value, self.started_at, self.key


_lines: Final = msgspec.json.Decoder(list[_Line], strict=False)


class SQLSessionLists:
    """The port `SessionLists`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        self._dialect = d
        self._statements = Statements(d)
        self._latest: Final = d.sql(f"""
SELECT {d.rows.format(d.session)} FROM (
    SELECT * FROM sojourn_sessions WHERE started_at <= :started_before ORDER BY started_at DESC LIMIT :limit) AS s
""")
        self._rows: Final = d.sql(f"""
SELECT {d.rows.format(d.session)} FROM sojourn_sessions AS s WHERE {d.among.format("s.key", ":keys")}
""")

    def latest(self, *, limit: int, started_before: int | None = None) -> list[SessionRow]:
        before = _LATEST if started_before is None else started_before
        return wire.decode_rows(self._text(self._latest, limit=limit, started_before=before))

    def page(
        self,
        where: Filter,
        *,
        sort: Sort = Sort.STARTED,
        is_ascending: bool = False,
        cursor: Cursor | None = None,
        limit: int = 50,
    ) -> SessionPage:
        is_back = cursor is not None and cursor.is_back
        plan = listing(
            self._dialect,
            where,
            sort=sort,
            is_ascending=is_ascending is not is_back,
            cursor=None if cursor is None else (cursor.value, cursor.started_at, wire.clean(cursor.key)),
            is_inclusive=cursor is not None and cursor.is_inclusive,
            is_narrow=self._is_narrow(where, sort),
        )
        lines, stopped_at = self._find(plan, limit + 1)
        shown = lines[:limit]
        further = shown[-1].spot if len(lines) > limit else stopped_at
        onward = None if further is None else Cursor(*further, is_back)
        back = None
        if cursor is not None:
            # On an empty page: the row at the cursor itself may belong to the page that led here.
            nearest = shown[0].spot if shown else (cursor.value, cursor.started_at, cursor.key)
            back = Cursor(*nearest, not is_back, is_inclusive=not shown and not cursor.is_inclusive)
        if is_back:
            shown.reverse()
        return SessionPage(
            lines=tuple(map(_session_line, shown)),
            following=back if is_back else onward,
            preceding=onward if is_back else back,
            is_cut=len(lines) <= limit and stopped_at is not None,
        )

    def changes(self, where: Filter, *, shown: Collection[str], started_after: int) -> Changes:
        keys = wire.encode(list(shown)[:_SHOWN_AT_ONCE])
        lines = _lines.decode(self._text(self._statements.lines, keys=keys))
        since = (0, started_after + 1, "")
        plan = listing(self._dialect, where, sort=Sort.STARTED, is_ascending=True, cursor=since, is_narrow=False)
        values = {**plan.values, "examine": plan.examine(_NEWER), "limit": _NEWER}
        newer = sum(self._database.read(count(self._dialect, stream), **values)[0] for stream in plan.streams)
        return Changes(lines=tuple(map(_session_line, lines)), newer=min(newer, _NEWER))

    def export(self, where: Filter, *, limit: int | None = None) -> Iterator[Sequence[SessionLine]]:
        cursor: Cursor | None = None
        left = limit
        while left is None or left > 0:
            size = _EXPORTED_AT_ONCE if left is None else min(left, _EXPORTED_AT_ONCE)
            part = self.page(where, cursor=cursor, limit=size)
            yield part.lines
            cursor = part.following
            if cursor is None:
                return
            if left is not None:
                left -= len(part.lines)

    def _is_narrow(self, where: Filter, sort: Sort) -> bool:
        """Whether to sort the sessions of the span, instead of reading along an index over all sessions."""
        if sort is Sort.STARTED or where.span is None:
            return False
        span = {"since": where.span.since, "until": where.span.until}
        started: int = self._database.read(self._statements.started, **span, limit=_NARROW + 1)[0]
        return started <= _NARROW

    def _find(self, plan: Listing, limit: int) -> tuple[list[_Line], Spot | None]:
        """Return the next lines, and where the search stopped if it found too few."""
        lines: list[_Line] = []
        stops: list[Spot] = []
        examine = plan.examine(limit)
        for stream in plan.streams:
            values = {**plan.values, "examine": examine, "limit": limit}
            part = _lines.decode(self._text(page(self._dialect, stream), **values))
            lines += part
            if stream.conditions and len(part) < limit:
                last = self._database.read(last_examined(self._dialect, stream), **plan.values, offset=examine - 1)
                if last:
                    stops.append((last[0], last[1], last[2]))
        lines.sort(key=lambda line: line.spot, reverse=not plan.is_ascending)
        if not stops:
            return lines[:limit], None
        stop = min(stops) if plan.is_ascending else max(stops)
        # Lines that another stream found beyond that place belong to the next page, which begins there.
        reached = [line for line in lines if (line.spot <= stop if plan.is_ascending else line.spot >= stop)]
        return reached[:limit], stop

    # --- one session

    def detail(self, name: str) -> SessionDetail | None:
        keys = wire.decode_names(self._text(self._statements.named, name=wire.clean(name)))
        rows = wire.decode_rows(self._text(self._rows, keys=wire.encode(keys[:1])))
        lines = _lines.decode(self._text(self._statements.lines, keys=wire.encode(keys[:1])))
        around = self._database.read(self._statements.around, key=keys[0]) if keys else ()
        if not (rows and lines and around):
            return None
        row = rows[0]
        return SessionDetail(
            row=row,
            line=_session_line(lines[0]),
            previous_key=around[0],
            next_key=around[1],
            same_id=len(wire.decode_names(self._text(self._statements.named, name=row.session_id))),
        )

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def _session_line(line: _Line) -> SessionLine:
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
        tracked_events=line.tracked_events,
        errors=line.errors,
        client_errors=line.client_errors,
        dimensions=dict(zip(NAMES, line.dimensions, strict=True)),
    )
