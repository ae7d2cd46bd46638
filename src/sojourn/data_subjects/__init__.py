"""Export and erase all data about one person. For the command line; never called by a request.

A person is a visitor (a browser) or a user. A user's data is the sessions tagged with that user, and only those. With
`hash_user_ids` the store has users by their hash, so give the hash here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TextIO

import msgspec

from sojourn.backends.cloudevents import encode, rfc3339
from sojourn.core.events import START, Event, Position, Scalar
from sojourn.stores.definitions import VIEW, views_naming
from sojourn.stores.model import USER, VISITOR, DataSubject, DeadLetter, Place
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow

_ERASED_AT_ONCE: Final = 500
_READ_AT_ONCE: Final = 500
_LOOKED_THROUGH_AT_ONCE: Final = 2_000

_MOMENTS: Final = ("started_at", "last_seen_at", "previous_seen_at", "sealed_at", "user_at")
# Needed to merge records and make events; nothing about the person.
_BOOKKEEPING: Final = frozenset(
    {
        "activity",
        "anchor",
        "exit_at",
        "has_late_events",
        "is_suppressed",
        "late",
        "origin_at",
        "origin_rid",
        "revision",
        "sealed_seen_at",
        "slot",
        "tagged_at",
        "tagged_rid",
        "user_conflicts",
        "user_rid",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How much was deleted. What was forwarded before has to be deleted at the vendors, too.

    `forwarded`: at most how many of the events each backend has received; it may have filtered some.
    """

    sessions: int
    events: int
    dead_letters: int
    forwarded: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_something(self) -> bool:
        return any((self.sessions, self.events, self.dead_letters, self.forwarded))


def erase(store: Store, *, visitor_id: str | None = None, user_id: str | None = None, now: int) -> Erased:
    """Delete all data about this visitor, or all sessions of this user, so that late records do not bring it back.

    Works in short transactions, and may be stopped at any time and run again. A visitor who comes back later is tracked
    anew: erasing is not opting out. Raises `StoreError`, and `ValueError` unless one person is named.
    """
    person = _person(visitor_id, user_id)
    # First the tombstone: from here on records are dropped, and dispatchers skip what they have not sent.
    upto = store.data_subjects.add_tombstone(person, at=now)
    sessions, events, letters = 0, 0, 0
    forwarded: Counter[str] = Counter()
    place: Place | None = Place(0)
    while place is not None:
        done = store.data_subjects.erase(person, at=now, upto=upto, after=place, limit=_ERASED_AT_ONCE)
        sessions += done.sessions
        events += done.events
        letters += done.dead_letters
        forwarded.update({name: count for name, count in done.forwarded.items() if count})
        place = done.after
    for name in views_naming(store.definitions.of(VIEW), person):
        store.definitions.remove(VIEW, name)
    return Erased(sessions=sessions, events=events, dead_letters=letters, forwarded=dict(forwarded))


def export(store: Store, *, user_id: str | None = None, visitor_id: str | None = None) -> Iterator[str]:
    """Yield all sessions and events of this person: one JSON document in pieces, each read in a short transaction."""
    person = _person(visitor_id, user_id)
    name = "visitor.id" if person.kind == VISITOR else "user.id"
    yield f'{{"person":{_json({name: person.id})},"sessions":['
    yield from _sessions(store, person)
    yield '],"other_events":['
    yield from separated(_events_naming(store, person))
    yield '],"dead_letters":['
    yield from separated(_letters_naming(store, person))
    yield "]}\n"


def export_json(store: Store, *, user_id: str | None = None, visitor_id: str | None = None, out: TextIO) -> None:
    """Write the document of `export` while it is read, so that its length does not matter."""
    out.writelines(export(store, user_id=user_id, visitor_id=visitor_id))


def _person(visitor_id: str | None, user_id: str | None) -> DataSubject:
    if visitor_id and not user_id:
        return DataSubject(VISITOR, visitor_id)
    if user_id and not visitor_id:
        return DataSubject(USER, user_id)
    msg = "name one person: either visitor_id or user_id"
    raise ValueError(msg)


def _sessions(store: Store, person: DataSubject) -> Iterator[str]:
    before, after = "", ""
    while rows := store.data_subjects.sessions_of(person, after=after, limit=_READ_AT_ONCE):
        for row in rows:
            yield f'{before}{{"session":{_json(public_fields(row))},"events":['
            yield from separated(events_of(store, row.key))
            yield "]}"
            before = ","
        after = rows[-1].key


def public_fields(row: SessionRow) -> dict[str, object]:
    """Return the fields of a session that say something about it, for JSON."""
    fields: dict[str, object] = {}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if name in _BOOKKEEPING or value is None or value == {}:
            continue
        if name == "properties":
            fields[name] = {key: each.value for key, each in value.items()}
        else:
            fields[name] = rfc3339(value) if name in _MOMENTS and value else value
    return fields


def events_of(store: Store, session_key: str) -> Iterator[str]:
    """Yield the events of a session as JSON, each read in a short transaction. Raises `StoreError`."""
    after = START
    while events := store.log.of_session(session_key, limit=_READ_AT_ONCE, after=after):
        yield from map(_event, events)
        after = events[-1].position


def _events_naming(store: Store, person: DataSubject) -> Iterator[str]:
    last: Position | None = START
    while last is not None:
        events, last = store.data_subjects.events_naming(person, after=last, limit=_LOOKED_THROUGH_AT_ONCE)
        yield from map(_event, events)


def _letters_naming(store: Store, person: DataSubject) -> Iterator[str]:
    last: int | None = 0
    while last is not None:
        letters, last = store.data_subjects.letters_naming(person, after=last, limit=_LOOKED_THROUGH_AT_ONCE)
        yield from map(_letter, letters)


def _event(event: Event) -> str:
    return encode(event).decode()


def _letter(letter: DeadLetter) -> str:
    about = _json({"backend": letter.backend, "reason": letter.reason, "at": rfc3339(letter.at)})
    return f'{about[:-1]},"event":{_event(letter.event)}}}'


def separated(values: Iterator[str]) -> Iterator[str]:
    """Put commas between the values of a JSON array."""
    before = ""
    for value in values:
        yield before + value
        before = ","


def _json(value: Mapping[str, object] | Mapping[str, Scalar]) -> str:
    return msgspec.json.encode(value).decode()
