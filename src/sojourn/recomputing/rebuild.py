"""The rows and events of sessions by other rules, out of those that were recorded. Pure.

A session keeps the key of the recorded one whose end it has, since a browser's cookie may still name that; one that now ends
earlier gets a key of its own, the same each time. Events keep their ids, but start, heartbeats and end are made anew.

See P43 in docs/internals.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from typing import Final

import msgspec

from sojourn.core import events, failures
from sojourn.core.events import COUNTRY, IMPORTED, INTERNAL_REFERRER, VISITOR_KIND, Event, Position, Scalar
from sojourn.core.ids import start_id, uuid7
from sojourn.core.records import SERVICE_ATTRIBUTES, Entry
from sojourn.core.session import LINKING, Rules
from sojourn.pipeline.record import merge, row_events
from sojourn.stores.dimensions import COMPUTED
from sojourn.stores.rows import SessionRow

from .replay import Piece, Planned

_MADE: Final = frozenset({events.SESSION_START, events.SESSION_HEARTBEAT, events.SESSION_END})
_OF_CLIENT: Final = frozenset(
    {"user_agent.original", "client.address", COUNTRY, IMPORTED, VISITOR_KIND, *SERVICE_ATTRIBUTES}
)
_OF_PAGE: Final = ("url.path", "url.query")
_COUNTED: Final = ("requests", "page_views", "errors", "client_errors", "events", "tracked_events")
_FIRST: Final = ("origin", "origin_at", "origin_rid", *(name for name, _ in COMPUTED))
_BEFORE: Final = ("previous_key", "previous_id", "previous_reason", "previous_seen_at")


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What takes the place of some sessions: rows and events, keys that are gone, and ids of events that are."""

    rows: list[SessionRow]
    events: list[Event]
    gone: list[str]
    replaced: list[str]
    positions: list[Position]
    """Of the events that are replaced."""


def rebuilt(planned: Sequence[Planned], rules: Rules) -> Rebuilt | None:
    """Rebuild those sessions of a segment that are not as they were recorded; their events must be there.

    `None`: a part of the events has expired.
    """
    changed = [each for each in planned if not each.is_unchanged]
    old = {piece.of.row.key: piece.of for each in changed for piece in each.pieces}
    if any(_start_of(session.events) is None for session in old.values()):
        return None
    rows: list[SessionRow] = []
    made: list[Event] = []
    counts: dict[str, Counter[str]] = {key: Counter() for key in old}
    for place, each in enumerate(planned):
        if each.is_unchanged:
            continue
        following = planned[place + 1].started_at if place + 1 < len(planned) else 0
        session = _Session(each, rules, rows[-1] if rows else None, following)
        session.count(counts)
        made += session.made()
        rows.append(session.row)
    return Rebuilt(
        rows=rows,
        events=made,
        gone=sorted(old.keys() - {row.key for row in rows}),
        replaced=[event.id for each in old.values() for event in each.events or ()],
        positions=[event.position for each in old.values() for event in each.events or ()],
    )


class _Session:
    """One session by the new rules. `before`: the row of the one before it, if that ends where this one starts."""

    def __init__(self, planned: Planned, rules: Rules, before: SessionRow | None, following: int) -> None:
        self._planned = planned
        self._rules = rules
        self._events = {id(piece): list(_events_of(piece)) for piece in planned.pieces}
        first, last = planned.pieces[0], planned.pieces[-1]
        self._start: Event = _start_of(first.of.events)  # type: ignore[assignment]  # checked by the caller
        self.row = row = msgspec.structs.replace(last.of.row)
        row.started_at = row.anchor = planned.started_at
        row.last_seen_at = planned.last_seen_at
        row.slot, row.end_reason, row.end_event_id = 0, None, None
        row.exit_path, row.exit_at, row.exit_ms = None, 0, None
        if last.is_last:
            row.activity = [at for at in row.activity if at >= row.started_at] or [row.last_seen_at]
            row.end_revision += 1
        else:
            self._end_early(following)
        if first.is_first:
            for name in (*_FIRST, *_BEFORE):
                setattr(row, name, getattr(first.of.row, name))
        elif before is not None:
            row.previous_key, row.previous_id = before.key, before.session_id
            row.previous_reason, row.previous_seen_at = before.sealed_reason, before.last_seen_at
            self._set_origin()

    def _end_early(self, following: int) -> None:
        """Make it a session of its own, that ends inside of a recorded one."""
        row, reason = self.row, self._planned.reason
        name = f"{row.key}:{row.started_at}".encode()
        row.key = row.session_id = uuid7(row.started_at, blake2b(name, digest_size=10).digest())
        row.activity = [row.last_seen_at]
        row.end_revision = 0
        row.sealed_at, row.sealed_reason, row.sealed_seen_at = following, reason, row.last_seen_at
        row.late = row.user_conflicts = 0
        users = [event.user_id for piece in self._planned.pieces for event in self._events[id(piece)]]
        user = next((each for each in reversed(users) if each is not None), None)
        if user != row.user_id:
            row.user_id, row.user_name, row.user_traits = user, None, None
        row.is_tagged = bool(users) and users[-1] is not None
        if row.properties:
            row.properties = {name: each for name, each in row.properties.items() if each.at < following} or None

    def _set_origin(self) -> None:
        """What a log shows of a first page in the middle of a session: all but its referrer."""
        row, opening = self.row, self._opening
        origin: dict[str, Scalar] = {
            name: value for name, value in self._start.attributes.items() if name in _OF_CLIENT
        }
        origin |= {name: opening.attributes[name] for name in _OF_PAGE if name in opening.attributes}
        origin[INTERNAL_REFERRER] = True
        row.origin_at, row.origin_rid = 0, ""
        merge.origin(row, origin, row.started_at, "recomputed")
        self._origin = origin

    @property
    def _opening(self) -> Event:
        since = self._planned.started_at
        own = [event for event in self._events[id(self._planned.pieces[0])] if event.time == since]
        return next((event for event in own if event.name == events.PAGE_VIEW), own[-1])

    def count(self, counts: Mapping[str, Counter[str]]) -> None:
        """Count what each piece has. The last of a recorded session has the rest: what left no event is somewhere."""
        total: Counter[str] = Counter()
        for piece in self._planned.pieces:
            row = piece.of.row
            whole = Counter({name: getattr(row, name) for name in _COUNTED})
            own = _counted(self._events[id(piece)])
            if piece.is_last:
                own = Counter({name: max(0, whole[name] - counts[row.key][name]) for name in _COUNTED})
            counts[row.key].update(own)
            total.update(own)
        for name in _COUNTED:
            setattr(self.row, name, total[name])

    def made(self) -> list[Event]:
        """Make the events, and end the row."""
        row, pieces = self.row, self._planned.pieces
        if pieces[0].is_first:
            own = {"id": start_id(row.key), "time": row.started_at}
            made = [msgspec.structs.replace(self._moved(self._start), **own)]
        else:
            made = [row_events.start(row, self._origin, self._opening.user_id)]
        for at, same in groupby(sorted(self._all(), key=_time), key=_time):
            made += self._at(at, list(same))
        if self._slot(row.last_seen_at) > row.slot:
            made += self._at(row.last_seen_at, [])
        row.end_reason = self._planned.reason if not pieces[-1].is_last else pieces[-1].of.row.end_reason
        end = row_events.end(row)
        row.end_event_id = end.id
        return [*made, end]

    def _all(self) -> list[Event]:
        return [
            event
            for piece in self._planned.pieces
            for event in self._events[id(piece)]
            if event.name not in {events.SESSION_START, events.SESSION_END}
        ]

    def _slot(self, at: int) -> int:
        interval = self._rules.heartbeat_interval
        return 0 if interval is None else (at - self.row.anchor) // interval

    def _at(self, at: int, same: list[Event]) -> list[Event]:
        """Make the events of one moment: a heartbeat first, if it begins a slot."""
        row = self.row
        made: list[Event] = []
        others = [event for event in same if event.name != events.SESSION_HEARTBEAT]
        slot = self._slot(at)
        if slot > row.slot and at <= row.last_seen_at:
            row.slot = slot
            beat = next((event for event in same if event.name == events.SESSION_HEARTBEAT), None)
            path = None if beat is None else beat.attributes.get("url.path")
            made.append(row_events.heartbeat(row, at, slot, path if isinstance(path, str) else None))
        for event in others:
            moved = self._moved(event)
            if event.name == events.PAGE_VIEW:
                merge.page_view(row, moved)
            made.append(moved)
        return made

    def _moved(self, event: Event) -> Event:
        row = self.row
        attributes = {name: value for name, value in event.attributes.items() if name != "session.previous_id"}
        attributes["session.id"] = row.session_id
        previous = row.previous_id if row.previous_reason in LINKING else None
        if previous is not None:
            attributes["session.previous_id"] = previous
        return msgspec.structs.replace(
            event,
            session_id=row.session_id,
            session_key=row.key,
            session_started_at=row.started_at,
            previous_id=previous,
            attributes=attributes,
        )


def _start_of(own: Sequence[Event] | None) -> Event | None:
    return next((event for event in own or () if event.name == events.SESSION_START), None)


def _events_of(piece: Piece) -> Sequence[Event]:
    """The events of a piece: those from its start to the next piece's, which begins after its last activity."""
    return [
        event
        for event in piece.of.events or ()
        if (piece.is_first or event.time >= piece.since) and (piece.is_last or event.time <= piece.last_seen_at)
        if event.name not in {events.SESSION_START, events.SESSION_END}
    ]


def _counted(own: Sequence[Event]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for event in own:
        if event.name in _MADE:
            continue
        counts["events"] += 1
        counts["tracked_events"] += event.name not in events.RESERVED_NAMES
        if event.name == events.PAGE_VIEW:
            counts["page_views"] += 1
            counts["requests"] += events.PREFETCHED not in event.attributes
            counts["client_errors"] += failures.is_client_error(event.name, event.attributes)
    for _, same in groupby(sorted(own, key=_time), key=_time):
        counts["errors"] += failures.errors_in([Entry(each.name, each.time, dict(each.attributes)) for each in same], 0)
    return counts


def _time(event: Event) -> int:
    return event.time
