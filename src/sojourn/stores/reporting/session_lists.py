"""Sessions page by page, in any database: how streams of them become a page."""

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

    def changes(self, wanted: Filter, *, shown: Collection[str], started_after: int) -> Changes:
        keys = wire.encode(list(shown)[:_SHOWN_AT_ONCE])
        lines = _lines.decode(self._text(self._statements.lines, keys=keys))
        since = (0, started_after + 1, "")
        asked = listing(self._dialect, wanted, sort=Sort.STARTED, is_ascending=True, cursor=since, is_narrow=False)
        newer = 0
        if asked is not None:
            values = {**asked.values, "examine": asked.examine(_NEWER), "limit": _NEWER}
            newer = sum(self._database.read(count(self._dialect, stream), **values)[0] for stream in asked.streams)
        return Changes(lines=tuple(map(_told, lines)), newer=min(newer, _NEWER))

    def export(self, wanted: Filter, *, limit: int | None = None) -> Iterator[Sequence[SessionLine]]:
        cursor: Cursor | None = None
        left = limit
        while left is None or left > 0:
            size = _EXPORTED_AT_ONCE if left is None else min(left, _EXPORTED_AT_ONCE)
            part = self.page(wanted, cursor=cursor, limit=size)
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
        started: int = self._database.read(self._statements.started, **span, limit=_NARROW + 1)[0]
        return started <= _NARROW

    def _found(self, asked: Listing, limit: int) -> tuple[list[_Line], Spot | None]:
        """The next lines, and where the looking stopped before there were enough of them."""
        found: list[_Line] = []
        stops: list[Spot] = []
        examine = asked.examine(limit)
        for stream in asked.streams:
            values = {**asked.values, "examine": examine, "limit": limit}
            part = _lines.decode(self._text(page(self._dialect, stream), **values))
            found += part
            if stream.conditions and len(part) < limit:
                last = self._database.read(last_examined(self._dialect, stream), **asked.values, offset=examine - 1)
                if last:
                    stops.append((last[0], last[1], last[2]))
        found.sort(key=lambda line: line.spot, reverse=not asked.is_ascending)
        if not stops:
            return found[:limit], None
        stop = min(stops) if asked.is_ascending else max(stops)
        # What another stream has found beyond is no part of this page: the next one begins there.
        reached = [line for line in found if (line.spot <= stop if asked.is_ascending else line.spot >= stop)]
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
            line=_told(lines[0]),
            previous_key=around[0],
            next_key=around[1],
            same_id=len(wire.decode_names(self._text(self._statements.named, name=row.session_id))),
        )

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


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
