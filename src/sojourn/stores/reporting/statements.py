"""Statements of the report, once for both databases: what they say differently stands in a `Dialect`.

Rows leave as one JSON value, as everywhere in the stores. Values are parameters, always; the names in the statements are
written here. What could be slow is bounded by an index or a limit, also where visitors choose the data.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

from sojourn.core.events import SESSION_HEARTBEAT
from sojourn.stores.dialect import Dialect
from sojourn.stores.dimensions import NAMES
from sojourn.stores.model import USER, VISITOR
from sojourn.stores.schema import ROLLUPS

from .levels import HOUR, Level
from .model import HOUR_MS
from .rollup_figures import ADDED

_LATEST: Final = 1_000
_FEW: Final = 20
"""Long sessions whose heartbeats are counted: at most a day's each."""
PERSONS: Final = {VISITOR: "visitor_id", USER: "user_id"}

LINE: Final = (
    "s.key",
    "s.session_id",
    "s.visitor_id",
    "s.user_id",
    "s.user_name",
    "s.is_manual",
    "s.started_at",
    "s.last_seen_at",
    "s.end_reason",
    "s.requests",
    "s.page_views",
    "s.events",
    "s.tracked_events",
    "s.errors",
    "s.client_errors",
)


FIRST_VISIT: Final = (
    "NOT EXISTS (SELECT 1 FROM sojourn_sessions AS p WHERE p.visitor_id = s.visitor_id AND p.started_at < s.started_at)"
)
"""Whether session s is the visitor's first."""
SESSION_FACTS: Final = (
    "s.visitor_id",
    "s.user_id",
    FIRST_VISIT,
    "CASE WHEN s.last_seen_at > s.started_at THEN s.last_seen_at - s.started_at ELSE 0 END",
    "CASE WHEN s.end_reason IS NULL THEN 1 ELSE 0 END",
    "s.page_views",
    "s.tracked_events",
    "s.errors",
    "s.client_errors",
    "CASE WHEN s.visitor_kind IS NULL THEN 0 ELSE 1 END",
)
"""Of session s, in the order of `rollup_figures.SessionFacts`."""


def is_finished(d: Dialect) -> str:
    """Whether the rollup of this `id` was just finished by the claim of this `token`."""
    mine = f"id = {d['id']} AND token = {d['token']}"
    return f"EXISTS (SELECT 1 FROM sojourn_rollups WHERE {mine} AND sessions IS NOT NULL)"


def line(d: Dialect, value: str) -> str:
    """A session AS s as a line of a list, with its value in the order of the list."""
    return d.array(*LINE, d.array(*(f"s.{name}" for name in NAMES)), value)


@dataclass(frozen=True)
class Statements:
    """All but those of lists."""

    d: Dialect

    @property
    def _line(self) -> str:
        """A session AS s, with a place in an order that does not matter."""
        return line(self.d, "0")

    # --- figures

    @cached_property
    def online(self) -> str:
        return f"""
SELECT (SELECT COUNT(*) FROM sojourn_sessions WHERE end_reason IS NULL AND NOT is_manual AND last_seen_at >= {self.d["since"]})
     + (SELECT COUNT(*) FROM sojourn_sessions WHERE end_reason IS NULL AND is_manual AND last_seen_at >= {self.d["since"]})
"""

    @cached_property
    def finished(self) -> str:
        """Which of these rollups there are."""
        d = self.d
        return f"""
SELECT {d.rows.format("r.id")}
FROM {d.numbers.format(d["ids"])} AS i {d.join} sojourn_rollups AS r ON r.id = i.value AND r.sessions IS NOT NULL
"""

    def missing(self, level: Level) -> str:
        """Hours, days or blocks in which sessions started and that no rollup covers, found by jumping from one to the next."""
        d, width = self.d, level.width
        return f"""
WITH RECURSIVE found(at) AS (
    SELECT (SELECT MIN(started_at) FROM sojourn_sessions WHERE started_at >= {d["since"]}) / {width} * {width}
    UNION ALL
    SELECT (SELECT MIN(started_at) FROM sojourn_sessions WHERE started_at >= found.at + {width}) / {width} * {width}
    FROM found WHERE found.at < {d["until"]}
)
SELECT {d.rows.format("at")} FROM (
    SELECT at FROM found WHERE at < {d["until"]}
    AND NOT EXISTS (SELECT 1 FROM sojourn_rollups WHERE id = at + {level.number} AND sessions IS NOT NULL)
    LIMIT {d["limit"]}) AS missing
"""

    @cached_property
    def started(self) -> str:
        """How many sessions started in a span, counted up to a limit."""
        d = self.d
        return f"""
SELECT COUNT(*) FROM (
    SELECT 1 FROM sojourn_sessions WHERE started_at >= {d["since"]} AND started_at < {d["until"]} LIMIT {d["limit"]}) AS started
"""

    @cached_property
    def started_by_hour(self) -> str:
        """How many sessions started in each hour of a span."""
        d = self.d
        return f"""
SELECT {d.rows.format(d.array("at", "n"))} FROM (
    SELECT started_at / {HOUR_MS} * {HOUR_MS} AS at, COUNT(*) AS n FROM sojourn_sessions
    WHERE started_at >= {d["since"]} AND started_at < {d["until"]} GROUP BY 1) AS hours
"""

    @cached_property
    def figures(self) -> str:
        """What a rollup needs of each session of a span."""
        d = self.d
        row = d.array(*SESSION_FACTS, "s.key")
        return f"""
SELECT {d.rows.format(row)} FROM sojourn_sessions AS s WHERE s.started_at >= {d["since"]} AND s.started_at < {d["until"]}
"""

    @cached_property
    def has_cookieless(self) -> str:
        """Whether a session of a span is of a visitor without a cookie. From `counted` on an hour may have no rollup."""
        d = self.d
        return f"""
SELECT EXISTS (SELECT 1 FROM sojourn_rollups
               WHERE id >= {d["hour"]} AND id < {d["until"]} AND {HOUR.holds("id")} AND cookieless > 0)
    OR EXISTS (SELECT 1 FROM sojourn_sessions
               WHERE started_at >= {d["counted"]} AND started_at < {d["until"]} AND visitor_kind IS NOT NULL)
"""

    @cached_property
    def hour(self) -> str:
        """Sessions that started in a span, those of them with errors, and whether any started before it."""
        d = self.d
        return f"""
SELECT COUNT(*), COUNT(*) FILTER (WHERE errors > 0),
       EXISTS (SELECT 1 FROM sojourn_sessions WHERE started_at < {d["since"]})
FROM sojourn_sessions WHERE started_at >= {d["since"]} AND started_at < {d["until"]}
"""

    @cached_property
    def last_activity(self) -> str:
        """The time of the last activity that a session has, open or not: each part is the end of an index."""

        def latest(where: str) -> str:
            return f"(SELECT MAX(last_seen_at) FROM sojourn_sessions WHERE {where})"

        parts = ("end_reason > ''", "end_reason IS NULL AND NOT is_manual", "end_reason IS NULL AND is_manual")
        greatest = ", ".join(f"COALESCE({latest(part)}, 0)" for part in parts)
        return f"SELECT NULLIF({self.d.greatest}({greatest}), 0)"

    @cached_property
    def long_visits(self) -> str:
        """Long sessions with one page view among the latest, and the path that caused most of their heartbeats."""
        d = self.d
        return f"""
WITH latest AS (
    SELECT key, started_at, last_seen_at, page_views, is_manual FROM sojourn_sessions ORDER BY started_at DESC LIMIT {_LATEST}),
lasting AS (
    SELECT key, started_at FROM latest WHERE page_views = 1 AND NOT is_manual AND last_seen_at - started_at > {HOUR_MS}),
few AS (SELECT key FROM lasting ORDER BY started_at DESC LIMIT {_FEW}),
beats AS (
    SELECT {d.field.format("e.data", "url.path")} AS path, COUNT(*) AS n
    FROM few {d.join} sojourn_events AS e ON e.session_key = few.key WHERE e.name = '{SESSION_HEARTBEAT}' GROUP BY 1),
most AS (SELECT path, n FROM beats WHERE path IS NOT NULL ORDER BY n DESC, path LIMIT 1)
SELECT (SELECT COUNT(*) FROM latest), (SELECT COUNT(*) FROM lasting), (SELECT COALESCE(SUM(n), 0) FROM beats),
       (SELECT path FROM most), (SELECT COALESCE(MAX(n), 0) FROM most)
"""

    @cached_property
    def rolled_up_sessions(self) -> str:
        d = self.d
        return f"""
SELECT COALESCE(SUM(sessions), 0) FROM sojourn_rollups WHERE id >= {d["since"]} AND id < {d["until"]} AND {HOUR.holds("id")}
"""

    @cached_property
    def hours(self) -> str:
        """Rollups of a span's hours, of hashes and durations only about one in so many."""
        d = self.d
        one_in = d["one_in"]

        def hashes(column: str) -> str:
            return d.hex.format(d.part.format(column, f"8 * (sessions * 3 / 2 / {one_in} + 12)"))

        number = f"(id / {HOUR_MS} * 40503 / 256)"
        dither = f"({number} - {number} / {one_in} * {one_in})"  # as `rollup_figures.Sample` has it
        share = d.part.format("durations", f"4 * ((sessions + {dither}) / {one_in})")
        row = d.array(
            "id",
            *(f"COALESCE({name}, 0)" for name in ADDED),  # a rollup may be older than the column
            d.hex.format(share),
            hashes("visitors"),
            hashes("firsts"),
            hashes("users"),
        )
        return f"""
SELECT {d.rows.format(row)} FROM (
    SELECT * FROM sojourn_rollups
    WHERE id >= {d["since"]} AND id < {d["until"]} AND {HOUR.holds("id")} AND sessions IS NOT NULL ORDER BY id) AS hours
"""

    @cached_property
    def claim(self) -> str:
        """Say that a rollup is being made. A change to one of its sessions deletes this again."""
        d = self.d
        return f"""
INSERT INTO sojourn_rollups (id, token) VALUES ({d["id"]}, {d["token"]})
ON CONFLICT (id) DO UPDATE SET token = excluded.token, sessions = NULL
"""

    @cached_property
    def finish(self) -> str:
        """Keep a rollup, unless a session of it was changed since it was claimed."""
        names = [column.name for column in ROLLUPS.columns if column.name not in {"id", "token"}]
        d = self.d
        return f"""
UPDATE sojourn_rollups SET {", ".join(f"{name} = {d[name]}" for name in names)}
WHERE id = {d["id"]} AND token = {d["token"]} AND sessions IS NULL
"""

    # --- one session

    @cached_property
    def lines(self) -> str:
        d = self.d
        return (
            f"SELECT {d.rows.format(self._line)} FROM sojourn_sessions AS s WHERE s.key IN {d.keys.format(d['keys'])}"
        )

    @cached_property
    def named(self) -> str:
        """The keys of sessions with this key, alias or public id, latest first."""
        d = self.d
        return f"""
SELECT {d.rows.format("key")} FROM (
    SELECT key, started_at FROM (
        SELECT key, started_at FROM sojourn_sessions WHERE key = {d["name"]}
        UNION
        SELECT key, started_at FROM sojourn_sessions
        WHERE key IN (SELECT target FROM sojourn_aliases WHERE key = {d["name"]})
        UNION
        SELECT key, started_at FROM sojourn_sessions WHERE session_id = {d["name"]} AND session_id <> key) AS named
    ORDER BY started_at DESC, key DESC LIMIT 1000) AS ordered
"""

    @cached_property
    def around(self) -> str:
        """The visitor's sessions before and after this one."""
        d = self.d

        def nearest(sign: str, order: str) -> str:
            return f"""(SELECT n.key FROM sojourn_sessions AS n
    WHERE n.visitor_id = s.visitor_id AND n.started_at {sign}= s.started_at
      AND (n.started_at, n.key) {sign} (s.started_at, s.key)
    ORDER BY n.started_at {order}, n.key {order} LIMIT 1)"""

        return (
            f"SELECT {nearest('<', 'DESC')}, {nearest('>', 'ASC')} FROM sojourn_sessions AS s WHERE s.key = {d['key']}"
        )

    # --- one person

    def person(self, kind: str) -> str:
        """Totals of a visitor's or a user's sessions."""
        d = self.d
        mine = f"FROM sojourn_sessions WHERE {PERSONS[kind]} = {d['id']}"
        latest = "ORDER BY started_at DESC, key DESC LIMIT 1"
        other = PERSONS[USER if kind == VISITOR else VISITOR]

        def of_latest(column: str) -> str:
            return f"(SELECT {column} {mine} AND {other} = o.other {latest})"

        companion = d.array(
            "o.other", "o.n", "o.pages", "o.first", "o.last", *map(of_latest, ("browser", "system", "device"))
        )
        return f"""
SELECT (SELECT user_name {mine} AND user_name IS NOT NULL {latest}),
       (SELECT user_traits {mine} AND user_traits IS NOT NULL {latest}),
       MIN(started_at), MAX(last_seen_at), COUNT(*), COUNT(*) FILTER (WHERE end_reason IS NULL),
       SUM(page_views), SUM(events), SUM(errors), SUM(client_errors), SUM(last_seen_at - started_at),
       (SELECT {d.rows.format(companion)} FROM (
           SELECT {other} AS other, COUNT(*) AS n, SUM(page_views) AS pages, MIN(started_at) AS first,
                  MAX(last_seen_at) AS last, MAX(started_at) AS latest {mine} AND {other} IS NOT NULL
           GROUP BY 1 ORDER BY 6 DESC, 1 LIMIT 20) AS o),
       COUNT(DISTINCT {other})
{mine}
"""
