"""PostgreSQL's statements about the event log: dispatchers, leases, figures, retention. Made like those of `_postgres_sql`."""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.core.events import SESSION_END, SESSION_START
from sojourn.stores.schema import BACKENDS, EVENTS

from .statements import RECORDED, SESSION_JSON, array, array_where, names_of, texts

EVENT_JSON: Final = (
    f"json_build_array({', '.join(f'{c.name}::json' if c is EVENTS.c.data else c.name for c in EVENTS.c)})"
)
"""A row of the log as one value."""

EVENTS_AFTER: Final = f"""
SELECT {array(EVENT_JSON)} FROM (SELECT * FROM sojourn_events WHERE seq > %(seq)s ORDER BY seq LIMIT %(limit)s) AS each
"""

EVENTS_OF_SESSION: Final = f"""
SELECT {array(EVENT_JSON)} FROM (
    SELECT * FROM sojourn_events WHERE session_key = %(key)s AND seq > %(after)s ORDER BY seq LIMIT %(limit)s) AS each
"""

LATEST_SESSIONS: Final = f"""
SELECT {array(SESSION_JSON)} FROM (
    SELECT * FROM sojourn_sessions WHERE started_at <= %(started_before)s ORDER BY started_at DESC LIMIT %(limit)s) AS s
"""

# --- journals, backends and leases

MARKS: Final = f"""
SELECT {array("json_build_array(id, position, recorded_until, heard_at, totals::json)")} FROM sojourn_journals WHERE NOT is_gone
"""

FORGET_JOURNALS: Final = f"UPDATE sojourn_journals SET is_gone = true, totals = '{{}}' WHERE id = ANY({texts('ids')})"

RECORDED_UNTIL: Final = (
    "SELECT MIN(recorded_until) FROM sojourn_journals WHERE NOT is_gone AND heard_at >= %(heard_since)s"
)

_HEAD: Final = "(SELECT COALESCE(MAX(seq), 0) FROM sojourn_events)"

HEAD: Final = f"SELECT {_HEAD}"

TIME: Final = "SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::bigint"

_RECORDED: Final = f"COALESCE((SELECT value FROM sojourn_counters WHERE name = '{RECORDED}'), 0)"

REGISTER: Final = f"""
INSERT INTO sojourn_backends AS b ({names_of(BACKENDS)})
SELECT name, {_HEAD}, {_HEAD}, {_RECORDED}, %(now)s, 0, 0, 0, 0, 0, NULL, 0, NULL, {_HEAD}
FROM unnest({texts("names")}) AS named(name) ORDER BY name COLLATE "C"
ON CONFLICT (name) DO UPDATE SET in_use_at = GREATEST(b.in_use_at, excluded.in_use_at)
"""

_SETTLED: Final = "delivered + dead + skipped + dropped"
_BACKLOG: Final = "(SELECT COUNT(*) FROM sojourn_events WHERE seq > cursor)"
# A dispatcher asks before each batch: beyond so many rows it is told the difference, or a long backlog would be counted
# again for each few hundred events.
_BACKLOG_SOON: Final = f"""(
    SELECT CASE WHEN found < 10000 THEN found ELSE GREATEST(found, {_RECORDED} - recorded_before - ({_SETTLED})) END
    FROM (SELECT COUNT(*) AS found FROM (SELECT 1 FROM sojourn_events WHERE seq > cursor LIMIT 10000) AS few) AS counted)"""


def _state(backlog: str) -> str:
    return f"""json_build_array(name, cursor, {_RECORDED} - recorded_before, delivered, dead, skipped, dropped, retried,
        {backlog}, retry_at, failures, problem)"""


BACKEND: Final = f"SELECT {array(_state(_BACKLOG_SOON))} FROM sojourn_backends WHERE name = %(name)s"

STATS: Final = f"""
SELECT (SELECT COALESCE(json_object_agg(name, value), '{{}}')::text FROM sojourn_counters),
       (SELECT COUNT(*) FROM sojourn_sessions),
       (SELECT COUNT(*) FROM sojourn_sessions WHERE end_reason IS NULL),
       (SELECT COUNT(*) FROM sojourn_events),
       (SELECT {array(_state(_BACKLOG))} FROM sojourn_backends)
"""

_HELD_LEASE: Final = "name = %(lease)s AND holder = %(holder)s AND token = %(token)s"

RENEW: Final = f"UPDATE sojourn_leases SET until = %(until)s WHERE {_HELD_LEASE}"

# Who claims or settles has the backend to itself: what is withdrawn or erased meanwhile is counted by what comes after.
LOCK_BACKEND: Final = "SELECT 1 FROM sojourn_backends WHERE name = %(name)s FOR UPDATE"

_CURSOR: Final = "(SELECT cursor FROM sojourn_backends WHERE name = %(name)s)"

# A start went out if it is behind the cursor and was not withheld: what is barred is so from the claim that passes it.
_STARTED: Final = f"""
SELECT {EVENT_JSON} FROM sojourn_events AS first
WHERE first.session_key = next.session_key AND first.name = '{SESSION_START}' AND first.seq <= {_CURSOR}
  AND first.seq > (SELECT first_seq FROM sojourn_backends WHERE name = %(name)s)
  AND NOT EXISTS (SELECT 1 FROM sojourn_withheld WHERE backend = %(name)s AND session_key = next.session_key)
LIMIT 1
"""

# Sessions are looked at only in a store that somebody has left.
CLAIM: Final = f"""
SELECT {array(EVENT_JSON)}, COALESCE(MAX(seq), 0), {array_where("id", "is_suppressed")},
       {array_where(f"({_STARTED})", f"is_suppressed AND name = '{SESSION_END}'")}
FROM (
    SELECT *, EXISTS (SELECT 1 FROM sojourn_tombstones) AND EXISTS (
        SELECT 1 FROM sojourn_sessions AS s WHERE s.key = session_key AND s.is_suppressed) AS is_suppressed
    FROM sojourn_events WHERE seq > {_CURSOR} ORDER BY seq LIMIT %(limit)s) AS next
"""

WITHHOLD: Final = f"""
INSERT INTO sojourn_withheld (backend, session_key) SELECT %(name)s, key FROM unnest({texts("keys")}) AS k(key)
ON CONFLICT (backend, session_key) DO NOTHING
"""

BEGIN_READING: Final = """
UPDATE sojourn_backends SET read_seq = GREATEST(read_seq, %(seq)s), in_use_at = GREATEST(in_use_at, %(now)s)
WHERE name = %(name)s
"""

# What was erased since it was claimed is no row any more, and was counted as skipped then: so the figures add up.
_ERASED_SINCE: Final = "(%(total)s - (SELECT COUNT(*) FROM sojourn_events WHERE seq > cursor AND seq <= %(upto)s))"

SETTLE: Final = f"""
UPDATE sojourn_backends SET
    cursor = %(upto)s, read_seq = GREATEST(read_seq, %(upto)s), in_use_at = GREATEST(in_use_at, %(now)s),
    delivered = delivered + %(delivered)s, skipped = skipped + %(skipped)s - {_ERASED_SINCE},
    dropped = dropped + %(dropped)s, dead = dead + %(dead)s, retried = retried + %(retried)s,
    retry_at = %(retry_at)s, failures = %(failures)s, problem = %(problem)s
WHERE name = %(name)s AND cursor <= %(upto)s AND EXISTS (SELECT 1 FROM sojourn_leases WHERE {_HELD_LEASE})
"""

BURY: Final = """
INSERT INTO sojourn_dead_letters (backend, event_id, reason, status, at, event)
SELECT %(name)s, value->>0, value->>1, (value->>2)::smallint, %(now)s, value->>3
FROM json_array_elements(%(letters)s::json)
"""

LETTER_JSON: Final = "json_build_array(backend, reason, status, at, event::json)"

DEAD_LETTERS: Final = f"""
SELECT {array(LETTER_JSON)}
FROM (SELECT * FROM sojourn_dead_letters WHERE backend = %(name)s ORDER BY number LIMIT %(limit)s) AS each
"""

ACQUIRE: Final = f"""
INSERT INTO sojourn_leases AS l (name, holder, token, until) VALUES (%(name)s, %(holder)s, 1, %(until)s)
ON CONFLICT (name) DO UPDATE SET
    token = l.token + (l.holder IS DISTINCT FROM excluded.holder)::int, holder = excluded.holder, until = excluded.until
WHERE l.holder IS NULL OR l.holder = excluded.holder OR l.until <= %(now)s OR l.holder = ANY({texts("dead")})
RETURNING name, holder, token, until
"""

LEASE: Final = "SELECT name, holder, token, until FROM sojourn_leases WHERE name = %(name)s AND holder IS NOT NULL"

RELEASE: Final = """
UPDATE sojourn_leases SET holder = NULL, until = 0
WHERE name IN (SELECT name FROM sojourn_leases WHERE holder = %(holder)s ORDER BY name FOR UPDATE)
"""

# --- retention

EXPIRE_SESSIONS: Final = """
DELETE FROM sojourn_sessions WHERE key IN (
    SELECT key FROM sojourn_sessions
    WHERE started_at < %(older_than)s AND last_seen_at < %(older_than)s AND end_reason IS NOT NULL
      AND NOT (is_suppressed AND EXISTS (SELECT 1 FROM sojourn_events WHERE session_key = key))
    ORDER BY started_at LIMIT %(limit)s FOR UPDATE OF sojourn_sessions SKIP LOCKED)
"""

# Time runs with `seq` but for clocks that differ, so only the oldest few are looked at, not the whole log.
OLD_EVENTS: Final = """
SELECT COALESCE(array_agg(seq), '{}') FROM (
    SELECT seq, time FROM sojourn_events
    WHERE seq <= COALESCE((SELECT MIN(cursor) FROM sojourn_backends WHERE in_use_at >= %(in_use_since)s), 9223372036854775807)
    ORDER BY seq LIMIT %(limit)s) AS oldest
WHERE time < %(older_than)s
"""


def _uncounted(figure: str) -> str:
    return f"""
UPDATE sojourn_backends SET {figure} = {figure} + (SELECT COUNT(*) FROM unnest(%(seqs)s::bigint[]) AS s(seq) WHERE seq > cursor)
WHERE cursor < (SELECT MAX(seq) FROM unnest(%(seqs)s::bigint[]) AS s(seq))
"""


# A backend that nobody uses any more does not hold the log; what it loses is counted as dropped.
DROP_UNREAD: Final = _uncounted("dropped")
SKIP_UNREAD: Final = _uncounted("skipped")

DELETE_EVENTS: Final = "DELETE FROM sojourn_events WHERE seq = ANY(%(seqs)s::bigint[])"

EXPIRE_LETTERS: Final = """
DELETE FROM sojourn_dead_letters WHERE number IN (
    SELECT number FROM sojourn_dead_letters WHERE at < %(older_than)s ORDER BY number LIMIT %(limit)s)
"""

# Records as old as that are not applied any more: nobody can come back.
EXPIRE_TOMBSTONES: Final = "DELETE FROM sojourn_tombstones WHERE NOT is_for_good AND at < %(older_than)s"

EXPIRE_WITHHELD: Final = """
DELETE FROM sojourn_withheld
WHERE NOT EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.session_key = sojourn_withheld.session_key)
"""

EXPIRE_JOURNALS: Final = "DELETE FROM sojourn_journals WHERE is_gone AND heard_at < %(older_than)s"
