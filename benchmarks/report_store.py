"""A store with a year of visits, to measure the report with: made once, and kept in a file.

Generating every session would take most of an hour. So four weeks are generated as `sojourn demo --generate` does it, and
copied twelve times, each copy four weeks later, with keys and ids of its own and two new releases. Some visitors come
back in the next months, and regulars in all of them. Rollups are made of all of it, as the sweeper makes them.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import psycopg

from sojourn.demo.agents import counts
from sojourn.demo.generator import generate
from sojourn.stores import SQLiteStore, open_store
from sojourn.stores.model import Batch
from sojourn.stores.protocol import Store
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS
from sojourn.stores.rows import SessionRow
from sojourn.stores.schema import AGENTS, DEFINITIONS, EVENTS, SESSIONS
from sojourn.stores.tables import Kind

_BLOCK_MS: Final = 28 * DAY_MS
_COPIES: Final = 12
DAYS: Final = 28 * (_COPIES + 1)
_MONTHS: Final = (1, 1, 1, 2, 2, 3, 6, 13)
"""For how many blocks a visitor comes, by a digit of the id."""
_ROLLED_UP_AT_ONCE: Final = 48

OnProgress = Callable[[str, int, int], None]
_COPIED: Final = (SESSIONS, EVENTS, AGENTS, DEFINITIONS)
_FIELDS: Final = SessionRow.__struct_fields__
_PLACES: Final = {name: place for place, name in enumerate(_FIELDS)}
_TIMES: Final = tuple(place for name, place in _PLACES.items() if name.endswith("_at") or name == "anchor")


def make(path: Path, sessions: int, *, now: int, on_progress: OnProgress) -> None:
    """Create a store at a new path, with this many sessions in 52 weeks until `now`."""
    now = now // HOUR_MS * HOUR_MS
    began = now - _COPIES * _BLOCK_MS
    generate(path, sessions // (_COPIES + 1), now=began, days=28, on_progress=on_progress)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -262144"):
            db.execute(f"PRAGMA {pragma}").fetchall()
        look = "SELECT sql, type, name FROM sqlite_master WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
        later = db.execute(look).fetchall()
        for _, kind, name in later:
            if name != "sojourn_ix_events_session":
                db.execute(f"DROP {kind} {name}")
        _copy(db, on_progress)
        for number, (statement, _, name) in enumerate(later, 1):
            if name != "sojourn_ix_events_session":
                db.execute(statement)
            on_progress("indices", number, len(later))
    with closing(SQLiteStore(path)) as store:
        for hour in counts(began, now, seed=2):
            with store.records.recording() as recording:
                recording.save(Batch(agents=hour))
        roll_up(store, now, on_progress)


def roll_up(store: Store, now: int, on_progress: OnProgress) -> None:
    """Sum up all hours and days that are over, as the sweeper does."""
    done, hours = 0, DAYS * 24
    while (made := store.maintenance.roll_up(finished_before=now, limit=_ROLLED_UP_AT_ONCE)) == _ROLLED_UP_AT_ONCE:
        done += made
        on_progress("rollups", min(done, hours), hours)
    on_progress("rollups", hours, hours)


def _copy(db: sqlite3.Connection, on_progress: OnProgress) -> None:
    """Copy sessions and events of the first block, but for sessions that are still open at its end."""
    (last,) = db.execute("SELECT MAX(seq) FROM sojourn_events").fetchone()
    rows = db.execute(f"SELECT {', '.join(_FIELDS)} FROM sojourn_sessions ORDER BY started_at").fetchall()
    db.execute("CREATE TEMP TABLE moved (old TEXT PRIMARY KEY, key TEXT, visitor TEXT) WITHOUT ROWID")
    places = ", ".join("?" * len(_FIELDS))
    for copy in range(1, _COPIES + 1):
        is_last = copy == _COPIES
        made = [_moved(row, copy) for row in rows if is_last or row[_PLACES["end_reason"]] is not None]
        db.execute("BEGIN")
        db.execute("DELETE FROM moved")
        db.executemany(
            "INSERT INTO moved VALUES (?, ?, ?)", [(old, new[0], new[_PLACES["visitor_id"]]) for old, new in made]
        )
        db.executemany(f"INSERT INTO sojourn_sessions VALUES ({places})", [new for _, new in made])
        db.execute(_EVENTS, {"copy": copy, "by": copy * _BLOCK_MS, "last": last, **dict(_versions(copy))})
        db.execute("COMMIT")
        on_progress("copies", copy, _COPIES)
    open_ones = "SELECT key FROM sojourn_sessions WHERE end_reason IS NULL AND started_at < ?"
    until = max(row[_PLACES["started_at"]] for row in rows) + 1
    db.execute(f"DELETE FROM sojourn_events WHERE session_key IN ({open_ones})", (until,))
    db.execute("DELETE FROM sojourn_sessions WHERE end_reason IS NULL AND started_at < ?", (until,))
    db.execute("UPDATE sojourn_counters SET value = value * ?", (_COPIES + 1,))
    recorded = (
        "UPDATE sojourn_counters SET value = (SELECT COUNT(*) FROM sojourn_events) WHERE name = 'events.recorded'"
    )
    db.execute(recorded)


_EVENTS: Final = """
INSERT INTO sojourn_events (id, name, time, session_key, session_started_at, is_manual, no_forward, data)
SELECT printf('%02x', 128 + :copy) || substr(e.id, 3), e.name, e.time + :by, m.key, e.session_started_at + :by,
       e.is_manual, e.no_forward,
       '{"session.id":"' || m.key || '","visitor.id":"' || m.visitor
       || replace(replace(substr(e.data, 104), '"2.9"', :before), '"2.10"', :after)
FROM sojourn_events AS e JOIN moved AS m ON m.old = e.session_key WHERE e.seq <= :last ORDER BY e.seq
"""
"""Each event begins with the session's and the visitor's id, so both are replaced by their place."""


def _versions(copy: int) -> Iterator[tuple[str, str]]:
    yield "before", f'"2.{9 + copy}"'
    yield "after", f'"2.{10 + copy}"'


def _moved(row: tuple[Any, ...], copy: int) -> tuple[str, list[Any]]:
    """Return a session's key, and the session as it is in a copy."""
    by = copy * _BLOCK_MS
    new = list(row)
    for place in _TIMES:
        if new[place]:
            new[place] += by
    new[_PLACES["key"]] = new[_PLACES["session_id"]] = _key(row[0], by)
    new[_PLACES["visitor_id"]] = _visitor(row[_PLACES["visitor_id"]], copy)
    for name in ("previous_key", "previous_id"):
        if new[_PLACES[name]] is not None:
            new[_PLACES[name]] = _key(new[_PLACES[name]], by)
    new[_PLACES["activity"]] = json.dumps([at + by for at in json.loads(row[_PLACES["activity"]])])
    versions = {"2.9": f"2.{9 + copy}", "2.10": f"2.{10 + copy}"}
    new[_PLACES["version"]] = versions.get(row[_PLACES["version"]], row[_PLACES["version"]])
    return row[0], new


def _key(key: str, by: int) -> str:
    """A UUID of version 7 with a later time."""
    at = int(key[:8] + key[9:13], 16) + by
    return f"{at >> 16:08x}-{at & 0xFFFF:04x}{key[13:]}"


def _visitor(visitor_id: str, copy: int) -> str:
    life = copy // _MONTHS[int(visitor_id[3], 16) % len(_MONTHS)]
    return (
        visitor_id
        if not life
        else str(UUID(bytes=blake2b(f"{visitor_id} {life}".encode(), digest_size=16).digest(), version=4))
    )


def copy_to(path: Path, url: str, *, on_progress: OnProgress) -> None:
    """Copy the sessions, events and agents of a store in SQLite into an empty database, and roll them up there."""
    with closing(open_store(url)) as store, closing(sqlite3.connect(path)) as source, psycopg.connect(url) as target:
        store.open()
        target.execute("SET search_path = sojourn")
        for number, table in enumerate(_COPIED, 1):
            booleans = {place for place, column in enumerate(table.columns) if column.kind is Kind.BOOLEAN}
            cursor = target.cursor()
            with cursor.copy(f"COPY {table.name} ({table.names}) FROM STDIN") as copy:
                for row in source.execute(f"SELECT {table.names} FROM {table.name}"):
                    copy.write_row([bool(value) if place in booleans else value for place, value in enumerate(row)])
            target.commit()
            on_progress("tables", number, len(_COPIED))
        target.execute("SELECT setval(pg_get_serial_sequence('sojourn_events', 'seq'), MAX(seq)) FROM sojourn_events")
        target.execute("INSERT INTO sojourn_counters SELECT 'events.recorded', COUNT(*) FROM sojourn_events")
        target.commit()
        target.autocommit = True
        target.execute("ANALYZE")  # as autovacuum does
        (latest,) = source.execute("SELECT MAX(started_at) FROM sojourn_sessions").fetchone()
        roll_up(store, latest // HOUR_MS * HOUR_MS, on_progress)
