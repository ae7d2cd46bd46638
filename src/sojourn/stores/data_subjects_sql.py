"""Statements about one person: where a visitor or a user is, and how they are erased.

Sessions are found by an index. Events carry ids only inside their JSON, so those outside a person's sessions are found
by scanning the log and the dead letters, a part at a time.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from . import counting
from .dialect import Dialect
from .inbox import statements as inbox_sql
from .model import USER, VISITOR

COLUMNS: Final = {VISITOR: "visitor_id", USER: "user_id"}
_ATTRIBUTES: Final = {VISITOR: "visitor.id", USER: "user.id"}


class Statements:
    """About people of any kind, in one database's dialect."""

    def __init__(self, d: Dialect) -> None:
        self.of: Final = {kind: OfKind(d, kind) for kind in COLUMNS}
        self.lock_backends: Final = counting.lock_backends(d)
        self.add_counts: Final = counting.add_counts(d)
        self.set_tombstones: Final = set_tombstones(d)
        self.head: Final = f"SELECT {counting.HEAD}"
        self.still_there: Final = d.sql(f"""
SELECT {d.rows.format("seq")} FROM sojourn_events WHERE {d.among_numbers.format("seq", ":seqs")}
""")
        # A backend was sent what lies before the place where it reads, but for what it rejected for good.
        of_seqs = d.among_numbers.format("e.seq", ":seqs")
        forwarded = f"""
    (SELECT COUNT(*) FROM {d.numbers.format(":seqs")} AS gone WHERE gone.value > first_seq AND gone.value <= read_seq)
    - (SELECT COUNT(*) FROM sojourn_events AS e JOIN sojourn_dead_letters AS l ON l.event_id = e.id
       WHERE {of_seqs} AND l.backend = sojourn_backends.name)"""
        self.forwarded: Final = d.sql(f"SELECT {d.totals.format('name', forwarded)} FROM sojourn_backends")
        self.skip_unread: Final = counting.count_unread(d, "skipped")
        self.erase_letters_of_events: Final = d.sql(f"""
DELETE FROM sojourn_dead_letters WHERE event_id IN (SELECT e.id FROM sojourn_events AS e WHERE {of_seqs})
""")
        self.erase_events: Final = d.sql(f"DELETE FROM sojourn_events WHERE {d.among_numbers.format('seq', ':seqs')}")
        keys = d.among.format("key", ":keys")
        # Those that got an event while their lock was waited for stay for the next slice.
        self.still_empty: Final = d.sql(f"""
SELECT {d.rows.format(d.array("key", "end_reason IS NULL"))} FROM sojourn_sessions
WHERE {keys} AND NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_sessions.key)
""")
        self.erase_sessions: Final = d.sql(f"DELETE FROM sojourn_sessions WHERE {keys}")
        self.erase_withheld: Final = d.sql(
            f"DELETE FROM sojourn_withheld WHERE {d.among.format('session_key', ':keys')}"
        )
        target = d.among.format("target", ":keys")
        self.aliases_of: Final = d.sql(f"SELECT {d.rows.format('key')} FROM sojourn_aliases WHERE {target}")
        self.erase_aliases: Final = d.sql(f"DELETE FROM sojourn_aliases WHERE {target}")
        self.erase_letters: Final = d.sql(
            f"DELETE FROM sojourn_dead_letters WHERE {d.among_numbers.format('number', ':numbers')}"
        )


@dataclass(frozen=True)
class OfKind:
    """About visitors, or about users."""

    d: Dialect
    kind: str

    def _is(self, table: str = "sojourn_sessions") -> str:
        return f"{table}.{COLUMNS[self.kind]} = :id"

    @property
    def _event_names(self) -> str:
        return f"{self.d.field.format('data', _ATTRIBUTES[self.kind])} = :id"

    @property
    def _letter_names(self) -> str:
        return f"{self.d.field.format('event', COLUMNS[self.kind])} = :id"

    @cached_property
    def lock_sessions(self) -> str:
        locked = self.d.locked.format("sojourn_sessions")
        lock = (
            f"SELECT COUNT(*) FROM (SELECT 1 FROM sojourn_sessions WHERE {self._is()} ORDER BY key {locked}) AS locked"
        )
        return self.d.sql(lock) if locked else ""

    @cached_property
    def suppress(self) -> str:
        return self.d.sql(f"UPDATE sojourn_sessions SET is_suppressed = true WHERE {self._is()} AND NOT is_suppressed")

    @cached_property
    def erase_inbox(self) -> str:
        return inbox_sql.erase(self.d, self.kind)

    @cached_property
    def sessions(self) -> str:
        d = self.d
        return d.sql(f"""
SELECT {d.rows.format(d.session)} FROM (
    SELECT * FROM sojourn_sessions WHERE {self._is()} AND key > :after ORDER BY key LIMIT :limit) AS s
""")

    @cached_property
    def events_naming(self) -> str:
        d = self.d
        is_elsewhere = f"""{self._event_names} AND NOT EXISTS (
    SELECT 1 FROM sojourn_sessions AS s WHERE s.key = session_key AND {self._is("s")})"""
        return d.sql(f"""
SELECT {d.rows_where.format(d.event, is_elsewhere)}, MAX(seq)
FROM (SELECT * FROM sojourn_events WHERE seq > :after ORDER BY seq LIMIT :limit) AS part
""")

    @cached_property
    def letters_naming(self) -> str:
        d = self.d
        return d.sql(f"""
SELECT {d.rows_where.format(d.letter, self._letter_names)}, MAX(number)
FROM (SELECT * FROM sojourn_dead_letters WHERE number > :after ORDER BY number LIMIT :limit) AS part
""")

    @cached_property
    def events_in_sessions(self) -> str:
        return self.d.sql(f"""
SELECT {self.d.rows.format("seq")} FROM (
    SELECT e.seq FROM sojourn_sessions AS s JOIN sojourn_events AS e ON e.session_key = s.key
    WHERE {self._is("s")} LIMIT :limit) AS part
""")

    @cached_property
    def empty_sessions(self) -> str:
        """The keys of sessions without events; locks their rows."""
        return self.d.sql(f"""
SELECT {self.d.rows.format("key")} FROM (
    SELECT key FROM sojourn_sessions
    WHERE {self._is()} AND NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_sessions.key)
    ORDER BY key LIMIT :limit {self.d.locked.format("sojourn_sessions")}) AS locked
""")

    @cached_property
    def seqs_naming(self) -> str:
        return self.d.sql(f"""
SELECT {self.d.rows_where.format("seq", self._event_names)}, MAX(seq)
FROM (SELECT seq, data FROM sojourn_events WHERE seq > :after AND seq <= :upto ORDER BY seq LIMIT :limit) AS part
""")

    @cached_property
    def numbers_naming(self) -> str:
        return self.d.sql(f"""
SELECT {self.d.rows_where.format("number", self._letter_names)}, MAX(number)
FROM (SELECT number, event FROM sojourn_dead_letters WHERE number > :after ORDER BY number LIMIT :limit) AS part
""")


def set_tombstones(d: Dialect, tombstones: str = ":tombstones") -> str:
    """Set or extend tombstones: the latest time holds, and once for good is for good."""
    return d.sql(f"""
INSERT INTO sojourn_tombstones (hash, at, is_for_good)
SELECT {d.item.format(0)}, {d.integer.format(1)}, {d.boolean.format(2)} FROM {d.items.format(tombstones)} AS each WHERE true
ON CONFLICT (hash) DO UPDATE SET
    at = {d.greatest}(sojourn_tombstones.at, excluded.at),
    is_for_good = {d.either.format("sojourn_tombstones.is_for_good", "excluded.is_for_good")}
""")
