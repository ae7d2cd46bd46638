"""The recorder's statements about the inbox, in a database's dialect."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from sojourn.stores.dialect import Dialect
from sojourn.stores.model import USER, VISITOR

HAS_ROWS = "SELECT EXISTS (SELECT 1 FROM sojourn_inbox)"


def take(d: Dialect) -> str:
    """Return rows, each to one recorder: what another one has locked is its own."""
    return d.sql(f"""
SELECT {d.rows.format(d.array("id", d.hex.format("data")))} FROM (
    SELECT id, data FROM sojourn_inbox WHERE id > :after ORDER BY id LIMIT :limit {_free(d)}) AS taken
""")


def delete(d: Dialect) -> str:
    return d.sql(f"DELETE FROM sojourn_inbox WHERE {d.among.format('id', ':taken')}")


def erase(d: Dialect, kind: str) -> str:
    """Delete what is visible of a person. What is locked is being folded, and the recorder looks at tombstones last."""
    of = {
        VISITOR: "visitor_id = :id",
        USER: "session_key IN (SELECT key FROM sojourn_sessions WHERE user_id = :id)",
    }[kind]
    return d.sql(f"""
DELETE FROM sojourn_inbox WHERE id IN (SELECT id FROM sojourn_inbox WHERE {of} {_free(d)})
""")


def _free(d: Dialect) -> str:
    return f"{d.locked.format('sojourn_inbox')} SKIP LOCKED" if d.locked else ""
