"""Encode rows and events as the JSON parameters of a statement, and decode its results. No SQL.

A batch is one parameter and a result one value: a statement per row would give up the interpreter lock per row.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Final

import msgspec

from sojourn.core.events import CONTEXT, Event, Position, Scalar

from .model import BackendState, DataSubject, DeadLetter, InboxRow, Mark, SessionNote, WaitingRow
from .rows import SessionRow

# A database silently cuts a text at its first NUL, and a lone surrogate is not valid UTF-8.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_NUL: Final = b"\\u0000"
_REPLACEMENT: Final = "\ufffd"
_DIGEST_BYTES: Final = 16


class _EventRow(msgspec.Struct, array_like=True):
    seq: int
    id: str
    name: str
    time: int
    session_key: str
    session_started_at: int
    is_manual: bool
    no_forward: bool
    data: dict[str, Scalar | None]


# Not strict, because SQLite returns 0 and 1 for a bool. Every other field has the type of its column.
_rows = msgspec.json.Decoder(list[SessionRow], strict=False)
_events = msgspec.json.Decoder(list[_EventRow], strict=False)
_totals = msgspec.json.Decoder(dict[str, int])
_tombstones = msgspec.json.Decoder(list[tuple[str, int, bool]], strict=False)
_starts = msgspec.json.Decoder(list[_EventRow | None], strict=False)
_names = msgspec.json.Decoder(list[str])
_marks = msgspec.json.Decoder(list[tuple[str, int, int, int, dict[str, int]]])
_aliases = msgspec.json.Decoder(list[tuple[str, str]])
_pages = msgspec.json.Decoder(list[tuple[int, str, str]])
_notes = msgspec.json.Decoder(list[SessionNote])
_inbox = msgspec.json.Decoder(list[tuple[str, str]])
_letters = msgspec.json.Decoder(list[DeadLetter])


def encode(value: object) -> str:
    """Encode as JSON that a database can store. What it cannot store becomes U+FFFD, so one bad text never stops a batch."""
    try:
        data = msgspec.json.encode(value)
    except UnicodeEncodeError:
        data = msgspec.json.encode(_clean(msgspec.to_builtins(value)))
    else:
        if _ESCAPED_NUL in data:
            data = msgspec.json.encode(_clean(msgspec.to_builtins(value)))
    return data.decode()


def encode_rows_by_name(rows: Iterable[SessionRow]) -> str:
    """Encode rows as objects, by the names of their columns."""
    return encode([msgspec.structs.asdict(row) for row in rows])


def encode_events_by_name(events: Iterable[Event]) -> str:
    """Encode events as objects, by the names of their columns."""
    return encode(
        [
            {
                "id": e.id,
                "name": e.name,
                "time": e.time,
                "session_key": e.session_key,
                "session_started_at": e.session_started_at,
                "is_manual": e.is_manual,
                "data": dict(e.attributes),
            }
            for e in events
        ]
    )


def encode_local(events: Sequence[Event]) -> str:
    """Encode events as arrays in the order of the log's columns; the first item counts them."""
    return encode(
        [
            (
                number,
                e.id,
                e.name,
                e.time,
                e.session_key,
                e.session_started_at,
                int(e.is_manual),
                0,
                encode(dict(e.attributes)),
            )
            for number, e in enumerate(events, 1)
        ]
    )


def encode_marks(marks: Iterable[tuple[Mark, int]]) -> str:
    """Encode marks as arrays, in the order of the journals' upsert."""
    return encode(
        [
            (
                mark.journal,
                mark.position,
                before,
                mark.recorded_until,
                mark.recorded_until if mark.heard_at is None else mark.heard_at,
                dict(mark.totals),
            )
            for mark, before in marks
        ]
    )


def encode_dead(dead: Sequence[tuple[Event, str, int | None]]) -> str:
    """Encode dead letters as arrays, each with its whole event."""
    return encode([(event.id, reason, status, _finite(event)) for event, reason, status in dead])


def encode_waiting(rows: Sequence[WaitingRow]) -> str:
    return encode([(row.id, row.visitor_id, row.session_key, row.data.hex()) for row in rows])


def decode_inbox(text: str) -> list[InboxRow]:
    return [InboxRow(own_id, bytes.fromhex(data)) for own_id, data in _inbox.decode(text)]


def decode_aliases(text: str) -> dict[str, str]:
    return dict(_aliases.decode(text))


def decode_agent_pages(text: str) -> dict[int, set[tuple[str, str]]]:
    """Decode agents and paths by their hour."""
    pages: dict[int, set[tuple[str, str]]] = {}
    for at, agent, path in _pages.decode(text):
        pages.setdefault(at, set()).add((agent, path))
    return pages


def decode_notes(text: str) -> list[SessionNote]:
    return _notes.decode(text)


def decode_rows(text: str) -> list[SessionRow]:
    return _rows.decode(text)


def decode_events(text: str) -> tuple[list[Event], list[str]]:
    """Decode events, and the ids of those that are not forwarded."""
    rows = _events.decode(text)
    return [_to_event(row) for row in rows], [row.id for row in rows if row.no_forward]


def decode_starts(text: str) -> dict[str, Event]:
    """Decode events by session key."""
    return {row.session_key: _to_event(row) for row in _starts.decode(text) if row is not None}


def decode_contexts(text: str) -> dict[str, dict[str, Scalar]]:
    """Decode the contexts of sessions by key, from arrays of key and values in the order of `CONTEXT`."""
    return {
        key: {name: value for name, value in zip(CONTEXT, values, strict=True) if value is not None}
        for key, *values in msgspec.json.decode(text)
    }


def decode_times(text: str) -> dict[str, int]:
    """Decode times by key, from pairs."""
    return dict(msgspec.json.decode(text, type=list[tuple[str, int]]))


def decode_tombstones(text: str) -> list[tuple[str, int, bool]]:
    return _tombstones.decode(text)


def decode_marks(text: str) -> dict[str, Mark]:
    """Decode marks by journal, from arrays of journal, position, recorded_until, heard_at, totals."""
    return {
        journal: Mark(
            journal=journal, position=position, recorded_until=recorded_until, heard_at=heard_at, totals=totals
        )
        for journal, position, recorded_until, heard_at, totals in _marks.decode(text)
    }


def decode_states(text: str) -> list[BackendState]:
    """Decode states from arrays in the order of their fields."""
    names = BackendState.__dataclass_fields__
    return [
        BackendState(**dict(zip(names, [name, Position(cursor), *figures], strict=True)))
        for name, cursor, *figures in msgspec.json.decode(text)
    ]


def decode_letters(text: str) -> list[DeadLetter]:
    return _letters.decode(text)


def decode_totals(text: str) -> dict[str, int]:
    return _totals.decode(text)


def decode_names(text: str) -> list[str]:
    return _names.decode(text)


def _to_event(row: _EventRow) -> Event:
    # JSON has no NaN and no infinities: they were stored as null.
    attributes = {name: value for name, value in row.data.items() if value is not None}
    previous = attributes.get("session.previous_id")
    user = attributes.get("user.id")
    return Event(
        id=row.id,
        name=row.name,
        time=row.time,
        session_id=str(attributes.get("session.id", row.session_key)),
        session_key=row.session_key,
        session_started_at=row.session_started_at,
        visitor_id=str(attributes.get("visitor.id", "")),
        is_manual=row.is_manual,
        previous_id=None if previous is None else str(previous),
        user_id=None if user is None else str(user),
        position=Position(row.seq),
        attributes=attributes,
    )


def _finite(event: Event) -> Event:
    kept = {
        name: value for name, value in event.attributes.items() if not isinstance(value, float) or math.isfinite(value)
    }
    return msgspec.structs.replace(event, attributes=kept)


def digest(store_key: bytes, person: DataSubject) -> str:
    """Return the keyed hash that stands for a person in a tombstone. It cannot be turned back into the id."""
    name = f"{person.kind}:{clean(person.id)}"
    return blake2b(name.encode(), key=store_key, digest_size=_DIGEST_BYTES).hexdigest()


def clean(text: str) -> str:
    """Replace what a database cannot store in a text."""
    return _UNSTORABLE.sub(_REPLACEMENT, text)


def _clean(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {_clean(name): _clean(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value
