"""Records and rows in, rows and events out: the recorder's arithmetic. Pure; knows no store, no clock, no thread.

The door decided which session a record belongs to; nothing here re-judges that. Whoever folds the first record of a
successor does it whole: the old session is sealed and its end made, then the new one starts, then the rest. So per
visitor every backend sees: end of the previous < start < every other event < end (late ones apart, and marked).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sojourn.core import events
from sojourn.core.events import Event
from sojourn.core.ids import event_id
from sojourn.core.records import ACTIVITY, NO_FORWARD, REQUEST, Entry, Origin, Record
from sojourn.core.session import EndReason, Rules, over
from sojourn.stores.rows import SessionRow

from . import joins, stamp


@dataclass(frozen=True, slots=True)
class Numbered:
    """A record and its id: where it stands in which journal, unique for good."""

    rid: str
    record: Record


@dataclass(slots=True)
class Folded:
    """What a batch comes to. `withdrawn` are ids of ends that late activity took back before any backend read them."""

    rows: dict[str, SessionRow]
    changed: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    after: dict[str, list[SessionRow]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.rows.values():
            self.follows(row)

    def follows(self, row: SessionRow) -> None:
        """Note which session this one came after."""
        if row.previous_key is not None:
            self.after.setdefault(row.previous_key, []).append(row)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The rows that folding these records needs beside their own."""

    keys: frozenset[str]
    successors_of: frozenset[str]


def own_keys(records: Iterable[Numbered]) -> frozenset[str]:
    """The sessions that the records speak of: load these first."""
    return frozenset(numbered.record.key for numbered in records)


def also_needed(records: Sequence[Numbered], rows: dict[str, SessionRow]) -> Needed:
    """What to load second: sessions before new ones, and sessions after new or newly tagged ones."""
    keys: set[str] = set()
    after: set[str] = set()
    for numbered in records:
        record = numbered.record
        row = rows.get(record.key)
        if row is None:
            after.add(record.key)
        if record.previous_key and (row is None or record.started_at < row.started_at):
            keys.add(record.previous_key)
        if any(entry.tag is not None for entry in record.entries):
            after.add(record.key)
    return Needed(keys=frozenset(keys - rows.keys()), successors_of=frozenset(after))


def fold(
    records: Sequence[Numbered],
    rows: dict[str, SessionRow],
    rules: Rules,
    *,
    defaults: Origin,
    unread: frozenset[str] | set[str] = frozenset(),
) -> Folded:
    """Fold a batch. `rows` holds what `own_keys` and `also_needed` named, and is changed in place.

    `unread` are ids of `session.end` events that no backend has begun to read: only these may be withdrawn.
    """
    out = Folded(rows)
    for numbered in records:
        _fold_one(out, numbered, rules, defaults, unread)
    return out


def close(row: SessionRow, reason: EndReason, out: Folded) -> None:
    """End a session, once: the request path's seals and the sweeper both come through here."""
    if not row.is_open:
        return
    row.end_reason = reason
    ended = stamp.end(row)
    row.end_event_id = ended.id
    out.events.append(ended)
    out.changed.add(row.key)
    out.counts["sessions.ended"] += 1


def sweep(rows: Iterable[SessionRow], rules: Rules, *, as_of: int) -> Folded:
    """End the sessions that are over as of what is recorded."""
    out = Folded({row.key: row for row in rows})
    for row in out.rows.values():
        reason = over(row, rules, as_of)
        if row.is_open and reason is not None:
            close(row, reason, out)
    return out


def _fold_one(
    out: Folded, numbered: Numbered, rules: Rules, defaults: Origin, unread: frozenset[str] | set[str]
) -> None:
    record, rid = numbered.record, numbered.rid
    row = out.rows.get(record.key)
    if row is None:
        row = _open(out, numbered, defaults)
    else:
        if record.started_at < row.started_at:
            row.started_at = record.started_at
            _seal_previous(out, row)
        if record.origin is not None:
            joins.join_origin(row, record.origin, record.at, rid)
    if record.flags & NO_FORWARD:
        row.no_forward = True
    if record.flags & REQUEST:
        row.requests += 1
    if record.flags & ACTIVITY:
        _activity(out, row, record.at, rules, unread)
    for index, entry in enumerate(record.entries):
        _entry(out, row, entry, rid, index, rules)
    out.changed.add(row.key)


def _open(out: Folded, numbered: Numbered, defaults: Origin) -> SessionRow:
    record = numbered.record
    row = joins.opened(record, defaults)
    out.rows[row.key] = row
    out.follows(row)
    if record.origin is not None:
        joins.join_origin(row, record.origin, record.at, numbered.rid)
    _seal_previous(out, row)
    out.events.append(stamp.start(row, is_inferred=record.origin is None))
    out.counts["sessions.started"] += 1
    for successor in out.after.get(row.key, ()):  # it overtook us: another host's records came first
        successor.previous_id = row.session_id
        out.changed.add(successor.key)
        _seal(out, row, successor.started_at, successor.previous_reason, successor.previous_seen_at)
    return row


def _seal_previous(out: Folded, row: SessionRow) -> None:
    previous = out.rows.get(row.previous_key) if row.previous_key else None
    if previous is None:
        return
    row.previous_id = previous.session_id
    _seal(out, previous, row.started_at, row.previous_reason, row.previous_seen_at)
    joins.inherit(row, previous)


def _seal(out: Folded, row: SessionRow, at: int, reason: EndReason | None, last_seen_at: int) -> None:
    if reason is None:
        return
    joins.join_seal(row, at, reason, last_seen_at)
    out.changed.add(row.key)
    close(row, row.sealed_reason or reason, out)


def _activity(out: Folded, row: SessionRow, at: int, rules: Rules, unread: frozenset[str] | set[str]) -> None:
    if not row.is_open and row.sealed_at is None and at > row.last_seen_at:
        if row.end_event_id not in unread:
            row.late += 1
            out.counts["activity.late"] += 1
            return
        _withdraw(out, row)
    joins.join_activity(row, at)
    if row.sealed_at is not None and at >= row.sealed_at and at > row.last_seen_at:
        row.late += 1
        return
    interval = rules.heartbeat_interval
    if interval is None or not row.is_open:
        return
    slot = (at - row.anchor) // interval
    if slot > row.slot:
        row.slot = slot
        out.events.append(stamp.heartbeat(row, at, slot))


def _withdraw(out: Folded, row: SessionRow) -> None:
    """The sweeper ended it, nobody has read that, and here is the visitor: it never ended."""
    ended = row.end_event_id or ""
    row.end_reason, row.end_event_id = None, None
    out.events = [event for event in out.events if event.id != ended]
    out.withdrawn.append(ended)
    out.counts["sessions.ended"] -= 1


def _entry(out: Folded, row: SessionRow, entry: Entry, rid: str, index: int, rules: Rules) -> None:
    if entry.tag is not None:
        if not joins.join_tag(row, entry.tag, entry.at, f"{rid}.{index}", is_split=rules.split_on_user_change):
            row.user_conflicts += 1
            out.counts["user_conflict"] += 1
        _carry(out, row)
        if entry.tag.is_told:
            row.events += 1
            out.events.append(stamp.identify(row, entry.at, entry.tag))
        return
    if entry.seal is not None:
        _seal(out, row, entry.at, entry.seal.reason, entry.seal.last_seen_at)
        return
    row.events += 1
    if entry.name == events.PAGE_VIEW:
        row.page_views += 1
        status = (entry.attributes or {}).get("http.response.status_code", 0)
        row.errors += isinstance(status, int) and status >= 500  # noqa: PLR2004 - HTTP's server errors
    own_id = event_id(rid, str(index))
    out.events.append(stamp.told(row, entry.name, entry.at, entry.attributes, own_id))


def _carry(out: Folded, row: SessionRow) -> None:
    """A user learned late reaches the sessions that were carried on from this one."""
    pending = [row]
    while pending:
        previous = pending.pop()
        for successor in out.after.get(previous.key, ()):
            if joins.inherit(successor, previous):
                out.changed.add(successor.key)
                pending.append(successor)
