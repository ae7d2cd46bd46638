"""Fold records into session rows, and make their events. Pure.

The door decided which session a record belongs to; nothing here judges that again. The first record of a successor does it
all: the old session is sealed and ended, then the new one starts, then the rest. So for each visitor every backend sees:
end of the previous session < start < every other event < end (late events apart, which are marked).

It is one pass: an event is made right after its record was merged, and carries the user and the properties of that moment.
Making events from the rows after a whole batch would be shorter, but then what an event says depends on the batch.

See P14, P15, P17 and P18 in docs/internals.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from sojourn.core import events, failures
from sojourn.core.events import Event
from sojourn.core.ids import event_id
from sojourn.core.records import ACTIVITY, CARRIED, LATE, NO_FORWARD, REQUEST, STARTS, Entry, Origin, Record, Tag
from sojourn.core.session import EndReason, Rules, over
from sojourn.stores.rows import SessionRow

from . import merge, row_events
from .suppression import Suppressed, Suppression


class Numbered(msgspec.Struct, frozen=True, gc=False):
    """A record and its id, which is its place in its journal: unique for good."""

    rid: str
    record: Record


@dataclass(slots=True)
class Folded:
    """The result of a batch. `withdrawn` are ids of ends that late activity took back before any backend read them."""

    rows: dict[str, SessionRow]
    changed: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)
    withdrawn: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    opted_out: dict[str, int] = field(default_factory=dict)
    """Visitors who opted out, and when (ms)."""
    early: list[Numbered] = field(default_factory=list)
    """Carried calls whose session has no row: it was erased or has expired, or its start is yet to come."""
    successors: dict[str, list[SessionRow]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in self.rows.values():
            self.note_previous(row)

    def note_previous(self, row: SessionRow) -> None:
        """Note the session before this one."""
        if row.previous_key is not None:
            self.successors.setdefault(row.previous_key, []).append(row)

    def after(self, row: SessionRow) -> list[SessionRow]:
        """Return the sessions after this one, in an order that does not depend on how they were loaded."""
        return sorted(self.successors.get(row.key, ()), key=lambda successor: (successor.started_at, successor.key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The rows that folding these records needs besides their own."""

    keys: frozenset[str]
    successors_of: frozenset[str]


def own_keys(records: Iterable[Numbered]) -> frozenset[str]:
    """Return the sessions of the records: load these first."""
    return frozenset(numbered.record.key for numbered in records)


def previous_keys(records: Iterable[Numbered]) -> frozenset[str]:
    """Return the sessions before those that start here."""
    return frozenset(
        numbered.record.previous_key
        for numbered in records
        if numbered.record.origin is not None and numbered.record.previous_key is not None
    )


def also_needed(records: Sequence[Numbered], rows: dict[str, SessionRow]) -> Needed:
    """Return what to load second: the sessions before new ones, and those after new or newly tagged ones."""
    keys: set[str] = set()
    after: set[str] = set()
    for numbered in records:
        record = numbered.record
        row = rows.get(record.key)
        adds_to_start = row is None or merge.adds_to_start(row, record)
        if record.previous_key and adds_to_start:
            keys.add(record.previous_key)
        if row is None or (not row.is_open and (adds_to_start or lacks(row, record))):
            after.add(record.key)
        for entry in record.entries:
            if entry.tag is not None:
                after.add(record.key)
    return Needed(keys=frozenset(keys - rows.keys()), successors_of=frozenset(after))


def needs_session(record: Record) -> bool:
    """Whether the record adds to a session that is there, and makes none appear."""
    return record.flags & CARRIED > 0 and not record.flags & STARTS


def lacks(row: SessionRow, record: Record) -> bool:
    """Say whether the session's end was made without this record, which is from before it.

    A journal that is read by another recorder (of another host, or in memory) may be behind. A request without an event of
    its own is only counted.
    """
    if row.is_open or record.flags & LATE:
        return False
    is_before = record.at <= row.last_seen_at if row.sealed_at is None else record.at < row.sealed_at
    is_activity = record.flags & ACTIVITY and record.at > row.last_seen_at
    return is_before and bool(record.entries or is_activity or merge.adds_to_start(row, record))


def fold(
    records: Sequence[Numbered],
    rows: dict[str, SessionRow],
    rules: Rules,
    *,
    defaults: Origin,
    unread: frozenset[str] | set[str] = frozenset(),
    suppression: Suppression | None = None,
    before: Folded | None = None,
) -> Folded:
    """Fold a batch, or the next slice of it: `before` is what the slices so far came to, and is continued.

    `rows` holds what `own_keys` and `also_needed` named for the batch, and is changed in place.
    `unread` are ids of `session.end` events that no backend has begun to read: only these may be withdrawn.
    `suppression` knows who opted out or was erased; it learns of opt-outs in this batch.
    """
    suppressed = Suppression() if suppression is None else suppression
    out = Folded(rows, opted_out=suppressed.opted_out) if before is None else before
    folding = _Folding(out, rules, defaults, unread)
    for numbered in records:
        judged = suppressed.judge(numbered.record)
        if judged is Suppressed.OPTED_OUT or judged is Suppressed.ERASED:
            folding.pass_over(numbered.record, judged)
        else:
            folding.take(numbered if judged is numbered.record else Numbered(numbered.rid, judged))
    return folding.out


def close(row: SessionRow, reason: EndReason, out: Folded) -> None:
    """End a session, once. Seals of the request path and the sweeper both come through here."""
    if not row.is_open:
        return
    row.end_reason = reason
    ended = row_events.end(row)
    row.end_event_id = ended.id
    out.events.append(ended)
    out.changed.add(row.key)
    out.counts["sessions.ended"] += 1


def sweep(rows: Iterable[SessionRow], rules: Rules, *, as_of: int) -> Folded:
    """End the sessions that are over at `as_of`, the moment up to which all is recorded."""
    out = Folded({row.key: row for row in rows})
    for row in out.rows.values():
        reason = over(row, rules, as_of)
        if reason is not None:
            close(row, reason, out)
    return out


def set_exit_pages(rows: Mapping[str, SessionRow], kept: Iterable[Event]) -> None:
    """Set the exit pages from the page views that are kept: an app's `scrub` may have changed or dropped some."""
    for event in kept:
        if event.name == events.PAGE_VIEW:
            merge.page_view(rows[event.session_key], event)


def _user_who_caused(record: Record) -> str | None:
    """The user whose log-in ended the session before: the start of the next one names them."""
    if record.previous_reason is not EndReason.USER_CHANGED:
        return None
    return next((entry.tag.user_id for entry in record.entries if entry.tag is not None), None)


class _Folding:
    """The fold of one batch."""

    __slots__ = ("_defaults", "_rules", "_unread", "out")

    def __init__(self, out: Folded, rules: Rules, defaults: Origin, unread: frozenset[str] | set[str]) -> None:
        self.out = out
        self._rules = rules
        self._defaults = defaults
        self._unread = unread

    def take(self, numbered: Numbered) -> None:
        record, rid = numbered.record, numbered.rid
        flags = record.flags
        row = self.out.rows.get(record.key)
        missed: EndReason | None = None
        if row is None:
            if needs_session(record):
                self.out.early.append(numbered)
                return
            row = self._open(record, rid)
            if lacks(row, record):
                missed = row.end_reason
                self._reopen(row)
        else:
            if lacks(row, record):
                missed = row.end_reason
                self._reopen(row, is_succeeded=row.key in self.out.successors)
            if merge.adds_to_start(row, record):
                ended_at = row.last_seen_at
                merge.start(row, record)
                if row.last_seen_at < ended_at and not row.is_open:  # its end was made by a start that was too late
                    missed = row.end_reason
                    self._reopen(row, is_succeeded=row.key in self.out.successors)
                self._seal_previous(row)
            if record.origin is not None:
                merge.origin(row, record.origin, record.at, rid)
            if flags & NO_FORWARD:
                row.no_forward = True
            merge.browser(row, record, rid)
            merge.revision(row, record)
        if flags & REQUEST:
            row.requests += 1
        if flags & ACTIVITY:
            self._activity(row, record.at, record.path)
        row.errors += failures.errors_in(record.entries, flags)
        self._entries(row, record, rid)
        self.out.changed.add(row.key)
        if missed is not None:
            close(row, row.sealed_reason or missed, self.out)
        merge.logouts(row, record)

    def pass_over(self, record: Record, reason: Suppressed) -> None:
        """Drop a suppressed record. After an opt-out it may still end a session whose start is in the log."""
        out = self.out
        out.counts[reason.value] += 1
        if reason is Suppressed.ERASED:
            return
        row = out.rows.get(record.key)
        if row is not None:
            for entry in record.entries:
                if entry.seal is not None:
                    self._seal(row, entry.at, entry.seal.reason, entry.seal.last_seen_at)
        previous = out.rows.get(record.previous_key) if record.previous_key else None
        if previous is not None:
            self._seal(previous, record.started_at, record.previous_reason, record.previous_seen_at)

    def _open(self, record: Record, rid: str) -> SessionRow:
        out = self.out
        row = merge.new_row(record, self._defaults)
        out.rows[row.key] = row
        out.note_previous(row)
        if record.origin is not None:
            merge.origin(row, record.origin, record.at, rid)
        merge.browser(row, record, rid)
        self._seal_previous(row)
        out.events.append(row_events.start(row, record.origin, _user_who_caused(record)))
        out.counts["sessions.started"] += 1
        successors = out.after(row)
        if successors:  # another host's records came first
            for successor in successors:
                successor.previous_id = row.session_id
                out.changed.add(successor.key)
                self._seal(row, successor.started_at, successor.previous_reason, successor.previous_seen_at)
            self._pass_user_on(row)
        return row

    def _seal_previous(self, row: SessionRow) -> None:
        previous = self.out.rows.get(row.previous_key) if row.previous_key else None
        if previous is None:
            return
        row.previous_id = previous.session_id
        self._seal(previous, row.started_at, row.previous_reason, row.previous_seen_at)
        merge.user_from_previous(row, previous)

    def _seal(self, row: SessionRow, at: int, reason: EndReason | None, last_seen_at: int) -> None:
        if reason is None:
            return
        was_guessed = reason is not row.end_reason or last_seen_at > row.last_seen_at
        if was_guessed and self._is_swept(row):
            self._reopen(row)  # the sweeper guessed how it ended; this is what happened
        emitted = (row.last_seen_at, row.end_reason)
        merge.seal(row, at, reason, last_seen_at)
        self.out.changed.add(row.key)
        if not row.is_open and emitted != (row.last_seen_at, row.sealed_reason):
            self._reopen(row, is_succeeded=True)  # of two seals that raced, the other one was folded first
        close(row, row.sealed_reason or reason, self.out)

    def _activity(self, row: SessionRow, at: int, path: str | None) -> None:
        if row.end_reason is not None:
            self._activity_after_end(row, at)
            if row.end_reason is not None:
                return
        merge.activity(row, at)
        interval = self._rules.heartbeat_interval
        if interval is None or row.sealed_at is not None:  # sealed and open: its end was made without this
            return
        slot = (at - row.anchor) // interval
        if slot > row.slot:
            row.slot = slot
            self.out.events.append(row_events.heartbeat(row, at, slot, path))

    def _activity_after_end(self, row: SessionRow, at: int) -> None:
        """Take activity after the end was made. It may still change the row, but no event that went out."""
        if at <= row.last_seen_at or (row.sealed_at is not None and at < row.sealed_at):
            merge.activity(row, at)
        elif self._is_swept(row):
            self._reopen(row)
        else:
            row.late += 1
            self.out.counts["activity.late"] += 1

    @staticmethod
    def _is_swept(row: SessionRow) -> bool:
        """Say whether it was ended for silence alone, not by a call or a successor."""
        return row.end_reason is not None and row.sealed_at is None

    def _reopen(self, row: SessionRow, *, is_succeeded: bool = False) -> None:
        """Reopen a session that will end again. An end that no backend has read is withdrawn.

        The first end, however, has to stay where it is in the log if late events follow it or, with `is_succeeded`, the start
        of the session after it.
        """
        must_stay = (is_succeeded or row.has_late_events) and not row.end_revision
        if must_stay or not self._withdraw(row.end_event_id or ""):
            row.end_revision += 1
            self.out.counts["sessions.revised"] += 1
        row.end_reason, row.end_event_id = None, None
        self.out.counts["sessions.ended"] -= 1

    def _withdraw(self, ended: str) -> bool:
        made = next((event for event in self.out.events if event.id == ended), None)
        if made is not None:
            self.out.events.remove(made)
        elif ended in self._unread:
            self.out.withdrawn.append(ended)
        return made is not None or ended in self._unread

    def _entries(self, row: SessionRow, record: Record, rid: str) -> None:
        """Take the entries in order. From the next person on, events have the count of logouts after this request.

        That is who is named here, or who is anonymous where the principal had gone. By `identify(None)`, however, the user of
        this request logs out: the rest of it is still theirs, and so is the end of their session.
        """
        is_next_person = False
        for index, entry in enumerate(record.entries):
            tag = entry.tag
            if (tag is not None and tag.user_id is not None) or (is_next_person and entry.seal is None):
                merge.logouts(row, record)
            self._entry(row, entry, rid, index, is_late=record.flags & LATE > 0)
            is_next_person = is_next_person or (tag is not None and tag.user_id is None and not tag.is_explicit)

    def _entry(self, row: SessionRow, entry: Entry, rid: str, index: int, *, is_late: bool) -> None:
        out = self.out
        if entry.seal is not None:
            self._seal(row, entry.at, entry.seal.reason, entry.seal.last_seen_at)
            return
        if entry.tag is not None:
            self._tag(row, entry.tag, entry.at, f"{rid}.{index:05d}", is_late=is_late)
            return
        row.events += 1
        if entry.name == events.PAGE_VIEW:
            row.page_views += 1
            row.client_errors += failures.is_client_error(entry.name, entry.attributes)
        elif entry.name == events.SESSION_PROPERTIES and entry.attributes:
            keep_first = self._rules.keep_first
            without_room = merge.properties(row, entry.attributes, entry.at, f"{rid}.{index:05d}", keep_first)
            if without_room:
                out.counts["session_properties.too_many"] += without_room
        elif entry.name not in events.RESERVED_NAMES:
            row.tracked_events += 1
        own_id = event_id(entry.at, rid, str(index))
        self._append(row, row_events.from_entry(row, entry, own_id, is_late=is_late))

    def _tag(self, row: SessionRow, tag: Tag, at: int, rid: str, *, is_late: bool) -> None:
        if is_late:
            is_kept = holds = merge.tag_late(row, tag, at, rid)
        else:
            is_kept, holds = True, merge.tag(row, tag, at, rid, is_split=self._rules.split_on_user_change)
            self._pass_user_on(row)
        if not holds:
            row.user_conflicts += 1
            self.out.counts["user_conflict"] += 1
        if is_kept and tag.is_emitted:
            row.events += 1
            self._append(row, row_events.identify(row, at, tag, is_late=is_late))

    def _append(self, row: SessionRow, event: Event) -> None:
        self.out.events.append(event)
        row.has_late_events = row.has_late_events or not row.is_open

    def _pass_user_on(self, row: SessionRow) -> None:
        """Pass a user that was named late on to the sessions that continued this one."""
        pending = [row]
        while pending:
            previous = pending.pop()
            for successor in self.out.after(previous):
                if merge.user_from_previous(successor, previous):
                    self.out.changed.add(successor.key)
                    if (reason := successor.end_reason) is not None:
                        self._reopen(successor, is_succeeded=True)
                        close(successor, reason, self.out)
                    pending.append(successor)
