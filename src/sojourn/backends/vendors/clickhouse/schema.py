"""The two tables in ClickHouse, and the statements that create and fill them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sojourn.errors import SettingsError

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_TEXT: Final = "LowCardinality(String)"
_ATTRIBUTES: Final = "Map(LowCardinality(String), String)"
_TIME: Final = "DateTime64(3, 'UTC')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: `columns` maps names to types, `tail` is what follows them when it is created."""

    name: str
    columns: Mapping[str, str]
    tail: str

    def create(self, prefix: str = "") -> str:
        """Return the statement that creates the table unless it is there."""
        columns = ",\n".join(f"    {name} {kind}" for name, kind in self.columns.items())
        return f"CREATE TABLE IF NOT EXISTS {prefix}{self.name}\n(\n{columns}\n)\n{self.tail}"

    def insert(self, prefix: str = "") -> str:
        """Return the statement that inserts rows. It names the columns, so that a table which lacks one is an error."""
        return f"INSERT INTO {prefix}{self.name} ({', '.join(self.columns)}) FORMAT JSONEachRow"


# Rows of one event differ in nothing, so whichever stays is right. Its id begins with its time: rows lie in its order.
# A table without replicas remembers no tokens of inserts by default.
EVENTS: Final = Table(
    name="events",
    columns={
        "event_id": "String",
        "time": _TIME,
        "name": _TEXT,
        "session_key": "String",
        "session_id": "String",
        "visitor_id": "String",
        "user_id": "Nullable(String)",
        "attributes": _ATTRIBUTES,
    },
    tail="""ENGINE = ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (name, event_id)
SETTINGS non_replicated_deduplication_window = 1000""",
)

# No partitions: rows of one session are replaced only within one, and the start of a session may be corrected later.
SESSIONS: Final = Table(
    name="sessions",
    columns={
        "session_key": "String",
        "session_id": "String",
        "visitor_id": "String",
        "user_id": "Nullable(String)",
        "previous_id": "Nullable(String)",
        "started_at": _TIME,
        "last_seen_at": _TIME,
        "duration_ms": "UInt64",
        "is_open": "Bool",
        "end_reason": _TEXT,
        "is_manual": "Bool",
        "requests": "UInt64",
        "page_views": "UInt64",
        "errors": "UInt64",
        "browser": _TEXT,
        "system": _TEXT,
        "device": _TEXT,
        "service": _TEXT,
        "version": _TEXT,
        "environment": _TEXT,
        "properties": _ATTRIBUTES,
        "revision": "UInt64",
    },
    tail="""ENGINE = ReplacingMergeTree(revision)
ORDER BY session_key
SETTINGS non_replicated_deduplication_window = 1000""",
)

TABLES: Final = (EVENTS, SESSIONS)


def checked_prefix(prefix: str) -> str:
    """Return a prefix of table names; raise `SettingsError` for what needs quotes in SQL."""
    if prefix and not _IDENTIFIER.fullmatch(prefix):
        raise SettingsError(f"clickhouse: table_prefix may have letters, digits and _, got {prefix[:40]!r}")
    return prefix
