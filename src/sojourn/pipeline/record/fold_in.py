"""Fold a successor in that should not have been made: the session before it was active all the time, at another host. Pure.

A host that does not know yet what another one recorded takes a visitor for silent, and starts the next session after an idle
timeout. Where the row of the session before says otherwise, the records of that successor are read as records of the
session before: its key stays in the browser's cookie, as an alias. This is done only while no backend has read the end of the
session before, and before the successor itself has a row; else both stand.

A visitor without a cookie who reaches another host begins a session there, since nothing tells that host of the one in
progress. Then the records are read as of that one, if it began before: the recorder assigns in the order of time.

See P33 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from sojourn.core.events import COOKIELESS, VISITOR_KIND
from sojourn.core.records import ACTIVITY, CARRIED, MANUAL, STARTS, Record
from sojourn.core.session import EndReason, Rules
from sojourn.stores.rows import SessionRow

from .fold import Numbered


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldedIn:
    """The records as they count, and the aliases that are new: successors, and the sessions they are part of."""

    records: list[Numbered]
    aliases: dict[str, str]


def fold_in(
    records: Sequence[Numbered],
    rows: Mapping[str, SessionRow],
    unread: frozenset[str],
    aliases: Mapping[str, str],
    rules: Rules,
    *,
    in_progress: Mapping[str, str] | None = None,
) -> FoldedIn:
    """Read records of aliases as records of their sessions, and find new ones.

    `rows` has the rows of the records' sessions, of the sessions before them, and of the aliases' sessions; `unread` as for
    `fold`. `in_progress`: the open sessions of visitors without a cookie. Changes nothing.
    """
    counted: list[Numbered] = []
    judged: dict[str, str | None] = dict(aliases)
    for numbered in records:
        record = numbered.record
        previous = rows.get(judged.get(record.previous_key) or record.previous_key) if record.previous_key else None
        if record.key not in judged:
            if previous is None and begins_without_cookie(record):
                previous = rows.get((in_progress or {}).get(record.visitor_id, ""))
                is_part = previous is not None and _is_same_visit(record, previous, rules)
            else:
                is_part = previous is not None and _is_part(record, previous, unread, rules)
            judged[record.key] = previous.key if previous is not None and is_part and record.key not in rows else None
        target = judged[record.key]
        if target is not None:
            record = _read_as(target, record, rows.get(target), rules)
        elif record.previous_key is not None and judged.get(record.previous_key) is not None:
            record = msgspec.structs.replace(record, previous_key=judged[record.previous_key])
        counted.append(numbered if record is numbered.record else Numbered(numbered.rid, record))
    new = {key: target for key, target in judged.items() if target is not None and key not in aliases}
    return FoldedIn(records=counted, aliases=new)


def begins_without_cookie(record: Record) -> bool:
    """Whether it begins a session out of nothing, of a visitor whom no cookie assigns to one."""
    origin = record.origin
    return (
        origin is not None
        and record.previous_key is None
        and origin.get(VISITOR_KIND) == COOKIELESS
        and not record.flags & (MANUAL | CARRIED)
    )


def _is_same_visit(record: Record, row: SessionRow, rules: Rules) -> bool:
    """Whether the visitor's open session, which began before, was active less than an idle timeout before this one."""
    if row.is_manual or not row.is_open or row.sealed_at is not None or row.started_at > record.started_at:
        return False
    return _seen_before(record.started_at, row, rules) is not None


def _is_part(record: Record, previous: SessionRow, unread: frozenset[str], rules: Rules) -> bool:
    """Whether the session before was active less than an idle timeout before this one started."""
    if record.previous_reason is not EndReason.IDLE_TIMEOUT or record.flags & (MANUAL | CARRIED) or previous.is_manual:
        return False
    if previous.sealed_at is not None or (not previous.is_open and previous.end_event_id not in unread):
        return False
    seen_at = _seen_before(record.started_at, previous, rules)
    return seen_at is not None and seen_at > record.previous_seen_at


def _seen_before(at: int, row: SessionRow, rules: Rules) -> int | None:
    """The last activity before this moment; `None` if the session was over by then."""
    if rules.max_duration is not None and at - row.started_at >= rules.max_duration:
        return None
    seen_at = max((moment for moment in row.activity if moment <= at), default=0)
    return seen_at if at - seen_at < rules.idle_timeout else None


def _read_as(key: str, record: Record, row: SessionRow | None, rules: Rules) -> Record:
    """The record of an alias as one of its session. Where that was erased or has expired, it is still not its own."""
    if row is None:
        return msgspec.structs.replace(record, key=key, session_id=None)
    flags = record.flags & ~STARTS
    if rules.max_duration is not None and record.at - row.started_at >= rules.max_duration:
        flags &= ~ACTIVITY  # the cookie counts from the alias's start: without this it would end again and again
    return msgspec.structs.replace(
        record,
        key=key,
        session_id=None if row.session_id == key else row.session_id,
        started_at=row.started_at,
        flags=flags,
        previous_key=row.previous_key,
        previous_seen_at=row.previous_seen_at,
        previous_reason=row.previous_reason,
        origin=None,
    )
