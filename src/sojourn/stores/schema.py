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

from .rows import SessionRow

METADATA: Final = MetaData()

# 64 bits everywhere; SQLite hands out row ids only for a column that is declared INTEGER.
_SERIAL: Final = BigInteger().with_variant(Integer(), "sqlite")
_INT: Final = BigInteger().with_variant(Integer(), "sqlite")

_JSON_FIELDS: Final = frozenset({"activity", "properties", "user_traits"})


def _session_column(field: msgspec.structs.FieldInfo) -> Column[object]:
    kind = msgspec.inspect.type_info(field.type)
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    is_nullable = any(isinstance(member, msgspec.inspect.NoneType) for member in members)
    type_: TypeEngine[Any]
    if field.name in _JSON_FIELDS or any(
        isinstance(member, msgspec.inspect.StrType | msgspec.inspect.EnumType) for member in members
    ):
        type_ = Text()
    elif any(isinstance(member, msgspec.inspect.BoolType) for member in members):
        type_ = Boolean(create_constraint=False)
    else:
        type_ = _INT
    return Column(field.name, type_, primary_key=field.name == "key", nullable=is_nullable)


SESSIONS: Final = Table("sessions", METADATA, *map(_session_column, msgspec.structs.fields(SessionRow)))

JSON_COLUMNS: Final = frozenset(SESSIONS.c[name] for name in _JSON_FIELDS)
"""Columns of text that is JSON."""

LIVELY: Final = ("last_seen_at", "activity", "slot", "requests", "page_views", "errors", "events", "late")
"""What activity changes; the rest of a row changes seldom, and all indices but one are over the rest."""

EVENTS: Final = Table(
    "events",
    METADATA,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("id", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("time", _INT, nullable=False),
    Column("session_key", Text, nullable=False),
    Column("session_started_at", _INT, nullable=False),
    Column("is_manual", Boolean(create_constraint=False), nullable=False),
    Column("no_forward", Boolean(create_constraint=False), nullable=False),
    Column("data", Text, nullable=False),
    # A number once given is never given again, even when the last rows were withdrawn: cursors depend on it.
    sqlite_autoincrement=True,
)

JOURNALS: Final = Table(
    "journals",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("position", _INT, nullable=False),
    # The position that the last writer started from: what lets one statement compare and set all marks of a batch.
    Column("position_before", _INT, nullable=False),
    Column("recorded_until", _INT, nullable=False),
    Column("heard_at", _INT, nullable=False),
    Column("totals", Text, nullable=False),
    # Kept when the files are gone: a recorder that froze before their first record must not apply them again.
    Column("is_gone", Boolean(create_constraint=False), nullable=False),
)

LEASES: Final = Table(
    "leases",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("holder", Text),
    Column("token", _INT, nullable=False),
    Column("until", _INT, nullable=False),
)

BACKENDS: Final = Table(
    "backends",
    METADATA,
    Column("name", Text, primary_key=True),
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
    Column("problem", Text),
    # The head when this backend was registered: what is not behind it was never for it.
    Column("first_seq", _INT, nullable=False),
)

DEAD_LETTERS: Final = Table(
    "dead_letters",
    METADATA,
    Column("number", _SERIAL, primary_key=True, autoincrement=True),
    Column("backend", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("status", SmallInteger().with_variant(Integer(), "sqlite")),
    Column("at", _INT, nullable=False),
    Column("event", Text, nullable=False),
)

COUNTERS: Final = Table(
    "counters",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", _INT, nullable=False),
)

TOMBSTONES: Final = Table(
    "tombstones",
    METADATA,
    # Of the person, keyed by the store's own key: no id in clear.
    Column("hash", Text, primary_key=True),
    Column("at", _INT, nullable=False),
    Column("is_for_good", Boolean(create_constraint=False), nullable=False),
)

# Sessions whose start was barred before this backend was given it: then it is not given the end either.
WITHHELD: Final = Table(
    "withheld",
    METADATA,
    Column("backend", Text, primary_key=True),
    Column("session_key", Text, primary_key=True),
)

META: Final = Table(
    "meta",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

_open = text("end_reason IS NULL")
_has_previous = text("previous_key IS NOT NULL")
_has_user = text("user_id IS NOT NULL")

# The sweeper asks for open sessions by silence and by age, the fold for successors, people for a visitor's or a user's.
Index(
    "ix_sessions_open_seen",
    SESSIONS.c.is_manual,
    SESSIONS.c.last_seen_at,
    sqlite_where=_open,
    postgresql_where=_open,
)
Index("ix_sessions_open_started", SESSIONS.c.started_at, sqlite_where=_open, postgresql_where=_open)
Index("ix_sessions_previous", SESSIONS.c.previous_key, sqlite_where=_has_previous, postgresql_where=_has_previous)
Index("ix_sessions_visitor", SESSIONS.c.visitor_id)
Index("ix_sessions_user", SESSIONS.c.user_id, sqlite_where=_has_user, postgresql_where=_has_user)
Index("ix_sessions_started", SESSIONS.c.started_at)
Index("ix_events_session", EVENTS.c.session_key)
Index("ix_dead_letters_event", DEAD_LETTERS.c.event_id)
