"""Fold a successor in that should not have been made: the session before it was active all the time, at another host. Pure.

A host that does not know yet what another one recorded takes a visitor for silent, and starts the next session after an idle
timeout. Where the row of the session before says otherwise, the records of that successor are read as records of the
session before: its key stays in the browser's cookie, as an alias. This is done only while no backend has read the end of the
session before, and before the successor itself has a row; else both stand.

See P33 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

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
) -> FoldedIn:
    """Read records of aliases as records of their sessions, and find new ones.

    `rows` has the rows of the records' sessions, of the sessions before them, and of the aliases' sessions; `unread` as for
    `fold`. Changes nothing.
    """
    counted: list[Numbered] = []
    judged: dict[str, str | None] = dict(aliases)
    for numbered in records:
        record = numbered.record
        previous = rows.get(judged.get(record.previous_key) or record.previous_key) if record.previous_key else None
        if record.key not in judged:
            is_part = record.key not in rows and previous is not None and _is_part(record, previous, unread, rules)
            judged[record.key] = previous.key if previous is not None and is_part else None
        target = judged[record.key]
        if target is not None:
            record = _read_as(target, record, rows.get(target), rules)
        elif record.previous_key is not None and judged.get(record.previous_key) is not None:
            record = msgspec.structs.replace(record, previous_key=judged[record.previous_key])
        counted.append(numbered if record is numbered.record else Numbered(numbered.rid, record))
    new = {key: target for key, target in judged.items() if target is not None and key not in aliases}
    return FoldedIn(records=counted, aliases=new)


def _is_part(record: Record, previous: SessionRow, unread: frozenset[str], rules: Rules) -> bool:
    """Whether the session before was active less than an idle timeout before this one started."""
    if record.previous_reason is not EndReason.IDLE_TIMEOUT or record.flags & (MANUAL | CARRIED) or previous.is_manual:
        return False
    if previous.sealed_at is not None or (not previous.is_open and previous.end_event_id not in unread):
        return False
    started_at = record.started_at
    if rules.max_duration is not None and started_at - previous.started_at >= rules.max_duration:
        return False
    seen_at = max((at for at in previous.activity if at <= started_at), default=0)
    return seen_at > record.previous_seen_at and started_at - seen_at < rules.idle_timeout


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
