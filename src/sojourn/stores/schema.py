"""The tables, once, for every database: names, types, keys, indices. Knows no SQL dialect and no connection.

The sessions table has one column per field of `SessionRow`, in its order, so that a row travels as one JSON array.
Times are milliseconds since the epoch.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.types import TypeEngine

from .rows import JSON_FIELDS, SessionRow

METADATA: Final = MetaData()

SCHEMA_VERSION: Final = 1
"""Of the tables below. To raise it, add the step that leads there to `STEPS` of both `opening` modules."""

STORE_KEY_BYTES: Final = 32

# 64 bits everywhere; SQLite hands out row ids only for a column that is declared INTEGER.
_SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")
_INT: Final = BigInteger().with_variant(Integer(), "sqlite")
# By bytes, as SQLite compares: ids need no language, and no upgrade of an operating system's then spoils an index.
_TEXT: Final = Text().with_variant(Text(collation="C"), "postgresql")


def _session_column(field: msgspec.structs.FieldInfo) -> Column[object]:
    kind = msgspec.inspect.type_info(field.type)
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    is_nullable = any(isinstance(member, msgspec.inspect.NoneType) for member in members)
    type_: TypeEngine[Any]
    if field.name in JSON_FIELDS or any(
        isinstance(member, msgspec.inspect.StrType | msgspec.inspect.EnumType) for member in members
    ):
        type_ = _TEXT
    elif any(isinstance(member, msgspec.inspect.BoolType) for member in members):
        type_ = Boolean(create_constraint=False)
    else:
        type_ = _INT
    return Column(field.name, type_, primary_key=field.name == "key", nullable=is_nullable)


SESSIONS: Final = Table("sojourn_sessions", METADATA, *map(_session_column, msgspec.structs.fields(SessionRow)))

JSON_COLUMNS: Final = frozenset(SESSIONS.c[name] for name in JSON_FIELDS)
"""Columns of text that is JSON."""

LIVELY: Final = (
    "last_seen_at",
    "activity",
    "slot",
    "requests",
    "page_views",
    "errors",
    "events",
    "late",
    "exit_path",
    "exit_at",
)
"""What activity changes; the rest of a row changes seldom, and of open sessions all indices but one are over the rest."""

EVENTS: Final = Table(
    "sojourn_events",
    METADATA,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("id", _TEXT, nullable=False, unique=True),
    Column("name", _TEXT, nullable=False),
    Column("time", _INT, nullable=False),
    Column("session_key", _TEXT, nullable=False),
    Column("session_started_at", _INT, nullable=False),
    Column("is_manual", Boolean(create_constraint=False), nullable=False),
    Column("no_forward", Boolean(create_constraint=False), nullable=False),
    Column("data", _TEXT, nullable=False),
    # A number once given is never given again, even when the last rows were withdrawn: cursors depend on it.
    sqlite_autoincrement=True,
)

JOURNALS: Final = Table(
    "sojourn_journals",
    METADATA,
    Column("id", _TEXT, primary_key=True),
    Column("position", _INT, nullable=False),
    # The position that the last writer started from: what lets one statement compare and set all marks of a batch.
    Column("position_before", _INT, nullable=False),
    Column("recorded_until", _INT, nullable=False),
    Column("heard_at", _INT, nullable=False),
    Column("totals", _TEXT, nullable=False),
    # Kept when the files are gone: a recorder that froze before their first record must not apply them again.
    Column("is_gone", Boolean(create_constraint=False), nullable=False),
)

LEASES: Final = Table(
    "sojourn_leases",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("holder", _TEXT),
    Column("token", _INT, nullable=False),
    Column("until", _INT, nullable=False),
)

BACKENDS: Final = Table(
    "sojourn_backends",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("cursor", _INT, nullable=False),
    Column("read_seq", _INT, nullable=False),
    # The log's own count of events when this backend was registered.
    Column("recorded_before", _INT, nullable=False),
    Column("in_use_at", _INT, nullable=False),
    Column("delivered", _INT, nullable=False),
    Column("dead", _INT, nullable=False),
    Column("skipped", _INT, nullable=False),
    Column("dropped", _INT, nullable=False),
    Column("retried", _INT, nullable=False),
    Column("retry_at", _INT),
    Column("failures", _INT, nullable=False),
    Column("problem", _TEXT),
    # The head when this backend was registered: what is not behind it was never for it.
    Column("first_seq", _INT, nullable=False),
)

DEAD_LETTERS: Final = Table(
    "sojourn_dead_letters",
    METADATA,
    Column("number", _SERIAL, primary_key=True, autoincrement=True),
    Column("backend", _TEXT, nullable=False),
    Column("event_id", _TEXT, nullable=False),
    Column("reason", _TEXT, nullable=False),
    Column("status", SmallInteger().with_variant(Integer(), "sqlite")),
    Column("at", _INT, nullable=False),
    Column("event", _TEXT, nullable=False),
    # When it was put back in the queue.
    Column("requeued_at", _INT),
)

COUNTERS: Final = Table(
    "sojourn_counters",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("value", _INT, nullable=False),
)

TOMBSTONES: Final = Table(
    "sojourn_tombstones",
    METADATA,
    # Of the person, keyed by the store's own key: no id in clear.
    Column("hash", _TEXT, primary_key=True),
    Column("at", _INT, nullable=False),
    Column("is_for_good", Boolean(create_constraint=False), nullable=False),
)

# Sessions whose start was barred before this backend was given it: then it is not given the end either.
WITHHELD: Final = Table(
    "sojourn_withheld",
    METADATA,
    Column("backend", _TEXT, primary_key=True),
    Column("session_key", _TEXT, primary_key=True),
)

# What the report adds up: an hour or a day of sessions (see `_summing`). Any change of a session deletes those it is in.
ROLLUPS: Final = Table(
    "sojourn_rollups",
    METADATA,
    # When the hour began; of a day, when it began and 1 ms more.
    Column("id", _INT, primary_key=True, autoincrement=False),
    # Who is summing up; what it counts holds only if this row is still there when it is done.
    Column("token", _TEXT, nullable=False),
    # Nothing until it is done.
    Column("sessions", _INT),
    Column("bounces", _INT),
    Column("error_sessions", _INT),
    Column("page_views", _INT),
    Column("duration_ms", _INT),
    Column("users", LargeBinary),
    Column("firsts", LargeBinary),
    Column("durations", LargeBinary),
    Column("visitors", LargeBinary),
    Column("tops", _TEXT),
)

META: Final = Table(
    "sojourn_meta",
    METADATA,
    Column("name", _TEXT, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

_open = text("end_reason IS NULL")
_has_previous = text("previous_key IS NOT NULL")
_is_requeued = text("requeued_at IS NOT NULL")
_has_user = text("user_id IS NOT NULL")
# Not `IS NOT NULL`: PostgreSQL's recorder holds a new session's place with a reason that is no reason.
_closed = text("end_reason > ''")
_is_renamed = text("session_id <> key")

# The sweeper asks for open sessions by silence and by age, the fold for successors, people for a visitor's or a user's.
Index(
    "sojourn_ix_sessions_open_seen",
    SESSIONS.c.is_manual,
    SESSIONS.c.last_seen_at,
    sqlite_where=_open,
    postgresql_where=_open,
)
Index("sojourn_ix_sessions_open_started", SESSIONS.c.started_at, sqlite_where=_open, postgresql_where=_open)
Index(
    "sojourn_ix_sessions_previous", SESSIONS.c.previous_key, sqlite_where=_has_previous, postgresql_where=_has_previous
)
Index("sojourn_ix_sessions_visitor", SESSIONS.c.visitor_id, SESSIONS.c.started_at)
Index(
    "sojourn_ix_sessions_user",
    SESSIONS.c.user_id,
    SESSIONS.c.started_at,
    sqlite_where=_has_user,
    postgresql_where=_has_user,
)
Index("sojourn_ix_sessions_started", SESSIONS.c.started_at)
Index("sojourn_ix_sessions_public", SESSIONS.c.session_id, sqlite_where=_is_renamed, postgresql_where=_is_renamed)
# Orders that the report offers. Only of closed sessions, so each is written once and activity touches none of them: of
# open sessions there are few enough to be sorted when somebody asks.
for _name, _value in (
    ("seen", SESSIONS.c.last_seen_at),
    ("duration", text("(last_seen_at - started_at)")),
    ("pages", SESSIONS.c.page_views),
    ("events", SESSIONS.c.events),
    ("errors", SESSIONS.c.errors),
):
    Index(
        f"sojourn_ix_sessions_closed_{_name}",
        _value,
        SESSIONS.c.started_at,
        sqlite_where=_closed,
        postgresql_where=_closed,
        _table=SESSIONS,
    )
Index("sojourn_ix_rollups_sessions", ROLLUPS.c.id, ROLLUPS.c.sessions)
Index("sojourn_ix_events_session", EVENTS.c.session_key)
Index("sojourn_ix_dead_letters_event", DEAD_LETTERS.c.event_id)
Index(
    "sojourn_ix_dead_letters_requeued",
    DEAD_LETTERS.c.backend,
    sqlite_where=_is_requeued,
    postgresql_where=_is_requeued,
)
