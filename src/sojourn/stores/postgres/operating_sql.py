"""PostgreSQL's statements of the operator: dead letters that go once more, and what is not to be sent."""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.core.events import SESSION_END, SESSION_START

from .statements import array, array_where, texts

# Before the backend's own lock, as a claim does.
LOCK_LEASE: Final = "SELECT 1 FROM sojourn_leases WHERE name = %(lease)s FOR UPDATE"

# --- what there is

# Ends are dated back to the last activity: how old one is does not tell for how long it has waited. Where many of them
# stand first only so many are looked at.
_OLDEST: Final = f"""(
    SELECT time FROM (SELECT seq, name, time FROM sojourn_events WHERE seq > cursor ORDER BY seq LIMIT 1000) AS first
    WHERE first.name <> '{SESSION_END}' ORDER BY seq LIMIT 1)"""

OUTBOXES: Final = f"""
SELECT {
    array(f'''json_build_array(name, {_OLDEST},
    (SELECT COUNT(*) FROM sojourn_dead_letters WHERE backend = each.name),
    (SELECT COUNT(*) FROM sojourn_dead_letters WHERE backend = each.name AND requeued_at IS NOT NULL),
    in_use_at)''')
}
FROM (SELECT * FROM sojourn_backends ORDER BY name) AS each
"""

LEASES: Final = f"""
SELECT {array("json_build_array(name, holder, token, until)")}
FROM (SELECT * FROM sojourn_leases WHERE holder IS NOT NULL ORDER BY name) AS held
"""

LETTERS: Final = f"""
SELECT {array("json_build_array(number, backend, reason, status, at, requeued_at, event::json)")}
FROM (SELECT * FROM sojourn_dead_letters
      WHERE number > %(after)s AND (%(name)s IS NULL OR backend = %(name)s) ORDER BY number LIMIT %(limit)s) AS part
"""

# --- what goes once more

_WANTED: Final = f"(%(ids)s IS NULL OR event_id = ANY({texts('ids')}))"

REQUEUE: Final = f"""
UPDATE sojourn_dead_letters SET requeued_at = %(now)s WHERE number IN (
    SELECT number FROM sojourn_dead_letters
    WHERE backend = %(name)s AND requeued_at IS NULL AND at <= %(now)s AND {_WANTED} ORDER BY number LIMIT %(limit)s FOR UPDATE)
"""

TRY_NOW: Final = "UPDATE sojourn_backends SET retry_at = NULL, failures = 0, problem = NULL WHERE name = %(name)s"

HAS_REQUEUED: Final = """
SELECT EXISTS (SELECT 1 FROM sojourn_dead_letters WHERE backend = %(name)s AND requeued_at IS NOT NULL)
"""

# Whether somebody left, and what is for the own store only, is looked up anew: it may have changed since.
CLAIM_REQUEUED: Final = f"""
SELECT {array("event::json")}, {array_where("event_id", "is_suppressed")}, {array_where("event_id", "is_hidden")}
FROM (
    SELECT event, event_id,
           EXISTS (SELECT 1 FROM sojourn_sessions AS s
                   WHERE s.key = event::json->>'session_key' AND s.is_suppressed) AS is_suppressed,
           EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.id = event_id AND e.no_forward) AS is_hidden
    FROM sojourn_dead_letters WHERE backend = %(name)s AND requeued_at IS NOT NULL ORDER BY number LIMIT %(limit)s) AS part
"""

IS_HELD: Final = """
SELECT EXISTS (SELECT 1 FROM sojourn_leases WHERE name = %(lease)s AND holder = %(holder)s AND token = %(token)s)
"""

LET_GO: Final = f"""
DELETE FROM sojourn_dead_letters WHERE backend = %(name)s AND requeued_at IS NOT NULL AND event_id = ANY({texts("ids")})
"""

REFUSE_AGAIN: Final = """
UPDATE sojourn_dead_letters SET reason = value->>1, status = (value->>2)::smallint, at = %(now)s, requeued_at = NULL
FROM json_array_elements(%(letters)s::json)
WHERE backend = %(name)s AND requeued_at IS NOT NULL AND event_id = value->>0
"""

# What was erased since it was claimed is no letter any more, and stays counted as dead: so by rows, not by what was told.
RESETTLE: Final = """
UPDATE sojourn_backends SET
    dead = dead - %(delivered)s - %(skipped)s, delivered = delivered + %(delivered)s, skipped = skipped + %(skipped)s,
    retried = retried + %(retried)s, in_use_at = GREATEST(in_use_at, %(now)s),
    retry_at = %(retry_at)s, failures = %(failures)s, problem = %(problem)s
WHERE name = %(name)s
"""

# --- what is not to be sent

WAITING: Final = """
SELECT COUNT(*), MAX(seq) FROM (
    SELECT seq FROM sojourn_events WHERE seq > (SELECT cursor FROM sojourn_backends WHERE name = %(name)s) AND seq <= %(upto)s
    ORDER BY seq LIMIT %(limit)s) AS part
"""

# A session whose start was skipped: if its visitor leaves, the backend is not given the end either.
WITHHOLD_STARTS: Final = f"""
INSERT INTO sojourn_withheld (backend, session_key)
SELECT %(name)s, session_key FROM sojourn_events
WHERE seq > (SELECT cursor FROM sojourn_backends WHERE name = %(name)s) AND seq <= %(upto)s AND name = '{SESSION_START}'
ON CONFLICT (backend, session_key) DO NOTHING
"""

# As if it had been read: an end behind the cursor that was withdrawn then would be counted twice.
SKIP: Final = """
UPDATE sojourn_backends SET cursor = %(upto)s, read_seq = GREATEST(read_seq, %(upto)s), skipped = skipped + %(skipped)s
WHERE name = %(name)s
"""

SKIP_LETTERS: Final = f"""
DELETE FROM sojourn_dead_letters WHERE number IN (
    SELECT number FROM sojourn_dead_letters
    WHERE backend = %(name)s AND {_WANTED} ORDER BY number LIMIT %(limit)s FOR UPDATE)
"""

COUNT_SKIPPED_LETTERS: Final = """
UPDATE sojourn_backends SET dead = dead - %(skipped)s, skipped = skipped + %(skipped)s WHERE name = %(name)s
"""

FENCE_OFF: Final = "UPDATE sojourn_leases SET token = token + 1 WHERE name = %(lease)s"
