"""The tables, once, for every database: names, types, keys, indices. No SQL dialect, no connection.

The sessions table has one column per field of `SessionRow`, in its order, so that a row travels as one JSON array.
Times are milliseconds since the epoch.
"""

from __future__ import annotations

from typing import Final

import msgspec

from .dimensions import NAMES
from .rows import JSON_FIELDS, SessionRow
from .tables import Column, Index, Kind, Table

SCHEMA_VERSION: Final = 1
"""Of the tables below. To raise it, add the step that leads there to `STEPS` of both stores.

What is only added before this version is released needs neither: `reshaping` adds it to a store that has not got it.
"""

STORE_KEY_BYTES: Final = 32


def _session_column(field: msgspec.structs.FieldInfo) -> Column:
    kind = msgspec.inspect.type_info(field.type)
    members = kind.types if isinstance(kind, msgspec.inspect.UnionType) else (kind,)
    is_nullable = any(isinstance(member, msgspec.inspect.NoneType) for member in members)
    if field.name in JSON_FIELDS or any(
        isinstance(member, msgspec.inspect.StrType | msgspec.inspect.EnumType) for member in members
    ):
        return Column(field.name, Kind.TEXT, is_nullable)
    is_boolean = any(isinstance(member, msgspec.inspect.BoolType) for member in members)
    return Column(field.name, Kind.BOOLEAN if is_boolean else Kind.INTEGER, is_nullable)


_OPEN: Final = "end_reason IS NULL"
# Not `IS NOT NULL`: PostgreSQL's recorder holds the place of a new session by a row with an empty reason.
_CLOSED: Final = "end_reason > ''"

_SHORT: Final = ("browser", "device", "system", "source", "channel", "country", "version", "utm_campaign")
_NUMBERS: Final = ("last_seen_at", "end_reason", "page_views", "events", "tracked_events", "errors")
_FILTERED: Final = (
    *_SHORT,
    *_NUMBERS,
    "user_id",
    "visitor_id",
    "user_name",
    "session_id",
    *(name for name in NAMES if name not in _SHORT),
    "properties",
)

SESSIONS: Final = Table(
    "sojourn_sessions",
    tuple(map(_session_column, msgspec.structs.fields(SessionRow))),
    key=("key",),
    indices=(
        # The sweeper reads open sessions by silence and by age.
        Index("sojourn_ix_sessions_open_seen", ("is_manual", "last_seen_at"), _OPEN),
        Index("sojourn_ix_sessions_open_started", ("started_at",), _OPEN),
        # The fold looks for successors.
        Index("sojourn_ix_sessions_previous", ("previous_key",), "previous_key IS NOT NULL"),
        Index("sojourn_ix_sessions_visitor", ("visitor_id", "started_at")),
        Index("sojourn_ix_sessions_user", ("user_id", "started_at"), "user_id IS NOT NULL"),
        Index("sojourn_ix_sessions_started", ("started_at",)),
        Index("sojourn_ix_sessions_public", ("session_id",), "session_id <> key"),
        # The orders that the report offers. Only closed sessions are indexed, so activity never updates these indices.
        # Open sessions are few enough to be sorted when a list needs it.
        *(
            Index(f"sojourn_ix_sessions_closed_{name}", (value, "started_at"), _CLOSED)
            for name, value in (
                ("seen", "last_seen_at"),
                ("duration", "(last_seen_at - started_at)"),
                ("pages", "page_views"),
                ("events", "events"),
                ("errors", "errors"),
            )
        ),
        # What filters look at, so that a rare value is found among a million sessions without reading their rows. What is
        # asked for often comes first: the further behind, the longer it takes.
        Index("sojourn_ix_sessions_closed_filters", ("started_at", *_FILTERED), _CLOSED, is_wide=True),
    ),
)

JSON_COLUMNS: Final = frozenset(SESSIONS[name] for name in JSON_FIELDS)
"""Columns of text that is JSON."""

LIVELY: Final = (
    "last_seen_at",
    "activity",
    "slot",
    "requests",
    "page_views",
    "errors",
    "client_errors",
    "events",
    "tracked_events",
    "late",
    "has_late_events",
    "exit_path",
    "exit_at",
    "exit_ms",
)
"""The columns that activity changes. All indices of open sessions but one are over the other columns, which change rarely."""

EVENTS: Final = Table(
    "sojourn_events",
    (
        Column("seq", Kind.SEQUENCE),
        Column("id", Kind.TEXT, is_unique=True),
        Column("name", Kind.TEXT),
        Column("time", Kind.INTEGER),
        Column("session_key", Kind.TEXT),
        Column("session_started_at", Kind.INTEGER),
        Column("is_manual", Kind.BOOLEAN),
        Column("no_forward", Kind.BOOLEAN),
        Column("data", Kind.TEXT),
    ),
    key=("seq",),
    indices=(Index("sojourn_ix_events_session", ("session_key",)),),
)

JOURNALS: Final = Table(
    "sojourn_journals",
    (
        Column("id", Kind.TEXT),
        Column("position", Kind.INTEGER),
        # Where the last writer started from. With it, one statement can compare and set all marks of a batch.
        Column("position_before", Kind.INTEGER),
        Column("recorded_until", Kind.INTEGER),
        Column("heard_at", Kind.INTEGER),
        Column("totals", Kind.TEXT),
        # Rows stay when the files are deleted: a recorder that was suspended must not apply the journal again.
        Column("is_gone", Kind.BOOLEAN),
    ),
    key=("id",),
)

LEASES: Final = Table(
    "sojourn_leases",
    (
        Column("name", Kind.TEXT),
        Column("holder", Kind.TEXT, is_nullable=True),
        Column("token", Kind.INTEGER),
        Column("until", Kind.INTEGER),
    ),
    key=("name",),
)

BACKENDS: Final = Table(
    "sojourn_backends",
    (
        Column("name", Kind.TEXT),
        Column("cursor", Kind.INTEGER),
        Column("read_seq", Kind.INTEGER),
        # How many events the log had counted when this backend was registered.
        Column("recorded_before", Kind.INTEGER),
        Column("in_use_at", Kind.INTEGER),
        Column("delivered", Kind.INTEGER),
        Column("dead", Kind.INTEGER),
        Column("skipped", Kind.INTEGER),
        Column("dropped", Kind.INTEGER),
        Column("retried", Kind.INTEGER),
        Column("retry_at", Kind.INTEGER, is_nullable=True),
        Column("failures", Kind.INTEGER),
        Column("problem", Kind.TEXT, is_nullable=True),
        # The head of the log when this backend was registered. Events up to it were never for this backend.
        Column("first_seq", Kind.INTEGER),
        # Not sent, because the receiver accepts nothing older than so many milliseconds.
        Column("expired", Kind.INTEGER),
        Column("oldest_accepted", Kind.INTEGER, is_nullable=True),
        # Batches that were sent and not confirmed, and the last event of the claim that they were made of.
        Column("sent", Kind.TEXT, is_nullable=True),
        Column("sent_upto", Kind.INTEGER, is_nullable=True),
    ),
    key=("name",),
)

DEAD_LETTERS: Final = Table(
    "sojourn_dead_letters",
    (
        Column("number", Kind.SERIAL),
        Column("backend", Kind.TEXT),
        Column("event_id", Kind.TEXT),
        Column("reason", Kind.TEXT),
        Column("status", Kind.SMALL, is_nullable=True),
        Column("at", Kind.INTEGER),
        Column("event", Kind.TEXT),
        # When it was requeued.
        Column("requeued_at", Kind.INTEGER, is_nullable=True),
    ),
    key=("number",),
    indices=(
        Index("sojourn_ix_dead_letters_event", ("event_id",)),
        Index("sojourn_ix_dead_letters_requeued", ("backend",), "requeued_at IS NOT NULL"),
    ),
)

COUNTERS: Final = Table(
    "sojourn_counters",
    (
        Column("name", Kind.TEXT),
        Column("value", Kind.INTEGER),
    ),
    key=("name",),
)

TOMBSTONES: Final = Table(
    "sojourn_tombstones",
    (
        # Of the person's id, keyed by the store's own key. The id itself is not stored.
        Column("hash", Kind.TEXT),
        Column("at", Kind.INTEGER),
        Column("is_for_good", Kind.BOOLEAN),
    ),
    key=("hash",),
)

# Sessions whose start was suppressed before it was sent to this backend. Their end is not sent either.
WITHHELD: Final = Table(
    "sojourn_withheld",
    (
        Column("backend", Kind.TEXT),
        Column("session_key", Kind.TEXT),
    ),
    key=(
        "backend",
        "session_key",
    ),
)

# An hour, a day or a block of sessions (see `reporting.levels`). Any change of a session deletes the rollups it is in.
ROLLUPS: Final = Table(
    "sojourn_rollups",
    (
        # The start of the hour; of a day, its start plus 1 ms; of a block of days, plus 2 ms.
        Column("id", Kind.INTEGER),
        # Of the process that computes it. The result is stored only if this row is still there.
        Column("token", Kind.TEXT),
        # NULL until it is computed.
        Column("sessions", Kind.INTEGER, is_nullable=True),
        Column("visits", Kind.INTEGER, is_nullable=True),
        Column("bounces", Kind.INTEGER, is_nullable=True),
        Column("error_sessions", Kind.INTEGER, is_nullable=True),
        Column("client_error_sessions", Kind.INTEGER, is_nullable=True),
        Column("page_views", Kind.INTEGER, is_nullable=True),
        Column("duration_ms", Kind.INTEGER, is_nullable=True),
        Column("cookieless", Kind.INTEGER, is_nullable=True),
        Column("users", Kind.BYTES, is_nullable=True),
        Column("firsts", Kind.BYTES, is_nullable=True),
        Column("durations", Kind.BYTES, is_nullable=True),
        Column("visitors", Kind.BYTES, is_nullable=True),
    ),
    key=("id",),
    indices=(Index("sojourn_ix_rollups_sessions", ("id", "sessions")),),
)

# The pages and events of the sessions of a rolled up hour, day or block (see `reporting.trails`): one row per path and per
# event name.
TRAILS: Final = Table(
    "sojourn_trails",
    (
        # The id of its rollup.
        Column("hour", Kind.INTEGER),
        Column("name", Kind.TEXT),
        # Of the rollup that it was made with: without that one it does not count.
        Column("token", Kind.TEXT),
        Column("content", Kind.TEXT),
    ),
    key=("hour", "name"),
    is_clustered=True,
)

# Goals and funnels that were defined on the report's pages.
DEFINITIONS: Final = Table(
    "sojourn_definitions",
    (
        Column("kind", Kind.TEXT),
        Column("name", Kind.TEXT),
        Column("text", Kind.TEXT),
    ),
    key=("kind", "name"),
)

# What the sessions of a rolled up hour, day or block are counted by (see `reporting.breakdowns`): one row per breakdown.
BREAKDOWNS: Final = Table(
    "sojourn_breakdowns",
    (
        Column("name", Kind.TEXT),
        # As in the rollups.
        Column("id", Kind.INTEGER),
        # Of the rollup that it was made with: without that one it does not count.
        Column("token", Kind.TEXT),
        Column("content", Kind.TEXT),
    ),
    key=("name", "id"),
    indices=(Index("sojourn_ix_breakdowns_id", ("id",)),),
    is_clustered=True,
)

# Alerts that were on at some time (see `sojourn.notices`).
ALERTS: Final = Table(
    "sojourn_alerts",
    (
        Column("name", Kind.TEXT),
        Column("is_on", Kind.BOOLEAN),
        Column("since", Kind.INTEGER),
        Column("text", Kind.TEXT),
    ),
    key=("name",),
)

# What is to be said of them, once to each target.
NOTICES: Final = Table(
    "sojourn_notices",
    (
        Column("number", Kind.SERIAL),
        Column("alert", Kind.TEXT),
        Column("is_on", Kind.BOOLEAN),
        Column("at", Kind.INTEGER),
        Column("target", Kind.TEXT),
        Column("text", Kind.TEXT),
        Column("attempts", Kind.INTEGER),
        Column("retry_at", Kind.INTEGER),
        Column("problem", Kind.TEXT, is_nullable=True),
    ),
    key=("number",),
)

# Successors that were folded into the session before: browsers have their keys in the cookie.
ALIASES: Final = Table(
    "sojourn_aliases",
    (
        Column("key", Kind.TEXT),
        Column("target", Kind.TEXT),
        Column("at", Kind.INTEGER),
    ),
    key=("key",),
)

# Log-ins to the report that were logged out before their time: what a copy of the cookie must not open again.
REVOCATIONS: Final = Table(
    "sojourn_revocations",
    (
        # Of the ticket's id, which is not stored.
        Column("hash", Kind.TEXT),
        # When the ticket would have expired.
        Column("until", Kind.INTEGER),
    ),
    key=("hash",),
)

# The random salts by which visitors without a cookie are known for a day. Each is deleted when its day is over.
SALTS: Final = Table(
    "sojourn_salts",
    (
        # The midnight at which the day begins, where the app's clocks are.
        Column("starts_at", Kind.INTEGER),
        # From when on nothing needs it.
        Column("until", Kind.INTEGER),
        Column("salt", Kind.BYTES),
    ),
    key=("starts_at",),
)

# What agents (crawlers, assistants, monitors) read, by the hour. No address, and no user agent.
AGENTS: Final = Table(
    "sojourn_agents",
    (
        # The start of the hour.
        Column("at", Kind.INTEGER),
        Column("agent", Kind.TEXT),
        Column("path", Kind.TEXT),
        # The class of the status: 2 for 200 to 299.
        Column("status", Kind.SMALL),
        Column("kind", Kind.TEXT),
        Column("hits", Kind.INTEGER),
        # How many of the hits came from the operator's own addresses, and how many from somebody else's.
        Column("verified", Kind.INTEGER),
        Column("refuted", Kind.INTEGER),
        Column("last_at", Kind.INTEGER),
    ),
    key=("at", "agent", "path", "status"),
)

# What applications wrote in transactions of their own, until the recorder has folded it. It has no number of the log: a
# transaction may take long, and no cursor may wait for it.
INBOX: Final = Table(
    "sojourn_inbox",
    (
        # Random, and in the order of time.
        Column("id", Kind.TEXT),
        Column("visitor_id", Kind.TEXT),
        Column("session_key", Kind.TEXT),
        # A record, as in a journal.
        Column("data", Kind.BYTES),
    ),
    key=("id",),
)

# Which lines of access logs were imported, by the hour of their time: importing them again changes nothing.
IMPORTED: Final = Table(
    "sojourn_imported",
    (
        Column("hour", Kind.INTEGER),
        # Random: what one transaction added.
        Column("part", Kind.TEXT),
        # Keyed hashes of 8 bytes each, as base64.
        Column("lines", Kind.TEXT),
    ),
    key=("hour", "part"),
)

META: Final = Table(
    "sojourn_meta",
    (
        Column("name", Kind.TEXT),
        Column("value", Kind.BYTES),
    ),
    key=("name",),
)

TABLES: Final = (
    SESSIONS,
    EVENTS,
    JOURNALS,
    LEASES,
    BACKENDS,
    DEAD_LETTERS,
    COUNTERS,
    TOMBSTONES,
    WITHHELD,
    ROLLUPS,
    TRAILS,
    DEFINITIONS,
    ALERTS,
    NOTICES,
    BREAKDOWNS,
    ALIASES,
    REVOCATIONS,
    SALTS,
    AGENTS,
    INBOX,
    IMPORTED,
    META,
)
