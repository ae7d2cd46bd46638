"""SQLite's statements of the operator: dead letters that go once more, and what is not to be sent. Made like `sqlite_sql`."""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

from typing import Final

from sojourn.core.events import SESSION_END, SESSION_START

# --- what there is

# Ends are dated back to the last activity: how old one is does not tell for how long it has waited. Where many of them
# stand first only so many are looked at.
_OLDEST: Final = f"""(
    SELECT time FROM (SELECT seq, name, time FROM sojourn_events WHERE seq > cursor ORDER BY seq LIMIT 1000)
    WHERE name <> '{SESSION_END}' ORDER BY seq LIMIT 1)"""

OUTBOXES: Final = f"""
SELECT json_group_array(json_array(name, {_OLDEST},
    (SELECT COUNT(*) FROM sojourn_dead_letters WHERE backend = each.name),
    (SELECT COUNT(*) FROM sojourn_dead_letters WHERE backend = each.name AND requeued_at IS NOT NULL),
    in_use_at))
FROM (SELECT * FROM sojourn_backends ORDER BY name) AS each
"""

LEASES: Final = """
SELECT json_group_array(json_array(name, holder, token, until))
FROM (SELECT * FROM sojourn_leases WHERE holder IS NOT NULL ORDER BY name)
"""

LETTERS: Final = """
SELECT json_group_array(json_array(number, backend, reason, status, at, requeued_at, json(event)))
FROM (SELECT * FROM sojourn_dead_letters
      WHERE number > :after AND (:name IS NULL OR backend = :name) ORDER BY number LIMIT :limit)
"""

# --- what goes once more

_IDS: Final = "(SELECT value FROM json_each(:ids))"
_WANTED: Final = f"(:ids IS NULL OR event_id IN {_IDS})"

# Not what was refused since: slices that run beside a dispatcher would put the same letters back for ever.
REQUEUE: Final = f"""
UPDATE sojourn_dead_letters SET requeued_at = :now WHERE number IN (
    SELECT number FROM sojourn_dead_letters
    WHERE backend = :name AND requeued_at IS NULL AND at <= :now AND {_WANTED} ORDER BY number LIMIT :limit)
"""

TRY_NOW: Final = "UPDATE sojourn_backends SET retry_at = NULL, failures = 0, problem = NULL WHERE name = :name"

HAS_REQUEUED: Final = """
SELECT EXISTS (SELECT 1 FROM sojourn_dead_letters WHERE backend = :name AND requeued_at IS NOT NULL)
"""

# Whether somebody left, and what is for the own store only, is looked up anew: it may have changed since.
CLAIM_REQUEUED: Final = """
SELECT json_group_array(json(event)),
       json_group_array(event_id) FILTER (WHERE is_suppressed),
       json_group_array(event_id) FILTER (WHERE is_hidden)
FROM (
    SELECT event, event_id,
           EXISTS (SELECT 1 FROM sojourn_sessions AS s
                   WHERE s.key = json_extract(event, '$.session_key') AND s.is_suppressed) AS is_suppressed,
           EXISTS (SELECT 1 FROM sojourn_events AS e WHERE e.id = event_id AND e.no_forward) AS is_hidden
    FROM sojourn_dead_letters WHERE backend = :name AND requeued_at IS NOT NULL ORDER BY number LIMIT :limit)
"""

IS_HELD: Final = (
    "SELECT EXISTS (SELECT 1 FROM sojourn_leases WHERE name = :lease AND holder = :holder AND token = :token)"
)

LET_GO: Final = f"""
DELETE FROM sojourn_dead_letters WHERE backend = :name AND requeued_at IS NOT NULL AND event_id IN {_IDS}
"""

REFUSE_AGAIN: Final = """
UPDATE sojourn_dead_letters SET
    reason = json_extract(value, '$[1]'), status = json_extract(value, '$[2]'), at = :now, requeued_at = NULL
FROM json_each(:letters)
WHERE backend = :name AND requeued_at IS NOT NULL AND event_id = json_extract(value, '$[0]')
"""

# What was erased since it was claimed is no letter any more, and stays counted as dead: so by rows, not by what was told.
RESETTLE: Final = """
UPDATE sojourn_backends SET
    dead = dead - :delivered - :skipped, delivered = delivered + :delivered, skipped = skipped + :skipped,
    retried = retried + :retried, in_use_at = MAX(in_use_at, :now),
    retry_at = :retry_at, failures = :failures, problem = :problem
WHERE name = :name
"""

# --- what is not to be sent

WAITING: Final = """
SELECT COUNT(*), MAX(seq) FROM (
    SELECT seq FROM sojourn_events WHERE seq > (SELECT cursor FROM sojourn_backends WHERE name = :name) AND seq <= :upto
    ORDER BY seq LIMIT :limit)
"""

# A session whose start was skipped: if its visitor leaves, the backend is not given the end either.
WITHHOLD_STARTS: Final = f"""
INSERT INTO sojourn_withheld (backend, session_key)
SELECT :name, session_key FROM sojourn_events
WHERE seq > (SELECT cursor FROM sojourn_backends WHERE name = :name) AND seq <= :upto AND name = '{SESSION_START}'
ON CONFLICT (backend, session_key) DO NOTHING
"""

# As if it had been read: an end behind the cursor that was withdrawn then would be counted twice.
SKIP: Final = """
UPDATE sojourn_backends SET cursor = :upto, read_seq = MAX(read_seq, :upto), skipped = skipped + :skipped WHERE name = :name
"""

SKIP_LETTERS: Final = f"""
DELETE FROM sojourn_dead_letters WHERE number IN (
    SELECT number FROM sojourn_dead_letters WHERE backend = :name AND {_WANTED} ORDER BY number LIMIT :limit)
"""

COUNT_SKIPPED_LETTERS: Final = """
UPDATE sojourn_backends SET dead = dead - :skipped, skipped = skipped + :skipped WHERE name = :name
"""

FENCE_OFF: Final = "UPDATE sojourn_leases SET token = token + 1 WHERE name = :lease"
