"""A browser's sessions, with the app's own events in them: for views that ask who is there.

The sessions come by the index of visitors, the events by that of sessions, and both are bounded.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from typing import Final, Protocol

import msgspec

from sojourn.core.events import RESERVED_NAMES, Scalar
from sojourn.core.history import PastEvent, PastSession, StoredSession
from sojourn.core.properties import EVENT_PREFIX

from . import wire
from .database import Database

MOST_EVENTS: Final = 200
"""The latest of all the sessions together."""


class History(Protocol):
    """What a browser did. Blocks; raises `StoreError`."""

    def of_visitor(self, visitor_id: str, *, limit: int) -> list[StoredSession]:
        """Return the latest sessions of a visitor, the latest first, each with its own events of the latest `MOST_EVENTS`."""
        ...


class _Row(msgspec.Struct, array_like=True, frozen=True):
    key: str
    session_id: str
    started_at: int
    last_seen_at: int
    end_reason: str | None
    user_id: str | None
    logouts: int
    entry_path: str | None
    exit_path: str | None
    source: str | None
    channel: str | None
    utm_campaign: str | None
    page_views: int


class _Event(msgspec.Struct, array_like=True, frozen=True):
    session_key: str
    name: str
    time: int
    data: dict[str, Scalar | None]


_rows: Final = msgspec.json.Decoder(list[_Row])
_events: Final = msgspec.json.Decoder(list[_Event])


class SQLHistory:
    """The port `History`."""

    def __init__(self, database: Database) -> None:
        d = database.dialect
        self._database = database
        reserved = ", ".join(f"'{name}'" for name in sorted(RESERVED_NAMES))
        self._sessions: Final = d.sql(f"""
SELECT {d.rows.format(d.array(*_Row.__struct_fields__))} FROM (
    SELECT * FROM sojourn_sessions WHERE visitor_id = :visitor AND is_suppressed = false
    ORDER BY started_at DESC LIMIT :limit) AS latest
""")
        self._events: Final = d.sql(f"""
SELECT {d.rows.format(d.array("session_key", "name", "time", d.json.format("data")))} FROM (
    SELECT * FROM sojourn_events WHERE {d.among.format("session_key", ":keys")} AND name NOT IN ({reserved})
    ORDER BY time DESC, seq DESC LIMIT :limit) AS latest
""")

    def of_visitor(self, visitor_id: str, *, limit: int) -> list[StoredSession]:
        read = self._database.read
        rows = _rows.decode(read(self._sessions, visitor=wire.clean(visitor_id), limit=limit)[0])
        if not rows:
            return []
        keys = wire.encode([row.key for row in rows])
        by_session: dict[str, list[PastEvent]] = {row.key: [] for row in rows}
        for event in _events.decode(read(self._events, keys=keys, limit=MOST_EVENTS)[0]):
            by_session[event.session_key].append(
                PastEvent(name=event.name, at=event.time, properties=_properties(event.data))
            )
        # A driver need not keep the order of what it joins into one value.
        rows.sort(key=lambda row: (row.started_at, row.key), reverse=True)
        return [_stored(row, by_session[row.key]) for row in rows]


def _stored(row: _Row, events: list[PastEvent]) -> StoredSession:
    session = PastSession(
        id=row.session_id,
        started_at=row.started_at,
        last_seen_at=row.last_seen_at,
        is_open=row.end_reason is None,
        user_id=row.user_id,
        entry_path=row.entry_path,
        exit_path=row.exit_path,
        source=row.source,
        channel=row.channel,
        campaign=row.utm_campaign,
        page_views=row.page_views,
        events=tuple(events),
    )
    return StoredSession(logouts=row.logouts, session=session)


def _properties(data: dict[str, Scalar | None]) -> dict[str, Scalar]:
    return {
        name.removeprefix(EVENT_PREFIX): value
        for name, value in data.items()
        if value is not None and name.startswith(EVENT_PREFIX)
    }
