"""What a person may ask of the store: all there is about them, and that it goes. For the command line; never on a request.

A person is a visitor (a browser), or a user: then the sessions tagged with that user, and only those. Where
`hash_user_ids` is on, the store knows users by their hash, and so the hash is what to give here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, TextIO

import msgspec

from sojourn.backends.cloudevents import encode, rfc3339
from sojourn.core.events import START, Event, Position, Scalar
from sojourn.stores.model import USER, VISITOR, DataSubject, DeadLetter, Place
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow

_ERASED_AT_ONCE: Final = 500
_READ_AT_ONCE: Final = 500
_LOOKED_THROUGH_AT_ONCE: Final = 2_000

_MOMENTS: Final = ("started_at", "last_seen_at", "previous_seen_at", "sealed_at", "user_at")
# How rows are joined and events made: nothing about the person.
_BOOKKEEPING: Final = frozenset(
    {
        "activity",
        "anchor",
        "exit_at",
        "is_suppressed",
        "late",
        "origin_at",
        "origin_rid",
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
    """How much was deleted. What had left already has to be asked back from where it went.

    `forwarded`: by backend, how many of the events it had been given; at most, for some it may not have wanted.
    """

    sessions: int
    events: int
    dead_letters: int
    forwarded: Mapping[str, int] = field(default_factory=dict)


def erase(store: Store, *, visitor_id: str | None = None, user_id: str | None = None, now: int) -> Erased:
    """Delete all about this visitor, or all sessions of this user, and keep late records from bringing it back.

    In short transactions. It may be stopped at any time and begun again. A visitor who comes later begins anew: to
    erase is not to opt out.
    """
    person = _person(visitor_id, user_id)
    # The tombstone comes first: what is recorded from here on is dropped, and no dispatcher sends what it has not sent.
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
    return Erased(sessions=sessions, events=events, dead_letters=letters, forwarded=dict(forwarded))


def export(store: Store, *, user_id: str | None = None, visitor_id: str | None = None) -> Iterator[str]:
    """All sessions and events of this person: one JSON document, in pieces, each read in a short transaction."""
    person = _person(visitor_id, user_id)
    name = "visitor.id" if person.kind == VISITOR else "user.id"
    yield f'{{"person":{_json({name: person.id})},"sessions":['
    yield from _sessions(store, person)
    yield '],"other_events":['
    yield from _separated(_events_naming(store, person))
    yield '],"dead_letters":['
    yield from _separated(_letters_naming(store, person))
    yield "]}\n"


def export_json(store: Store, *, user_id: str | None = None, visitor_id: str | None = None, out: TextIO) -> None:
    """Write the document of `export`, however long it gets, as it is read."""
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
            yield f'{before}{{"session":{_json(_told(row))},"events":['
            yield from _separated(_events_of(store, row.key))
            yield "]}"
            before = ","
        after = rows[-1].key


def _told(row: SessionRow) -> dict[str, object]:
    told: dict[str, object] = {}
    for name in row.__struct_fields__:
        value = getattr(row, name)
        if name in _BOOKKEEPING or value is None or value == {}:
            continue
        if name == "properties":
            told[name] = {key: each.value for key, each in value.items()}
        else:
            told[name] = rfc3339(value) if name in _MOMENTS and value else value
    return told


def _events_of(store: Store, session_key: str) -> Iterator[str]:
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


def _separated(values: Iterator[str]) -> Iterator[str]:
    before = ""
    for value in values:
        yield before + value
        before = ","


def _json(value: Mapping[str, object] | Mapping[str, Scalar]) -> str:
    return msgspec.json.encode(value).decode()
