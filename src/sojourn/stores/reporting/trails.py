"""Trails: which pages and events the sessions of an hour had, and when. Goals and funnels are counted from them.

A finished hour's trail is stored beside its rollup: one row per path and per event name, with one number of eight bytes per
occurrence. So a funnel reads its own steps, and no event. Rows count only while the rollup that they were made with is
there; with the first deleted session of an hour they are deleted. Hours without a rollup are read from their events.
"""

from __future__ import annotations

import binascii
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sojourn.core.goals import Step, value_text
from sojourn.core.properties import EVENT_PREFIX
from sojourn.stores.database import Database

from .model import HOUR_MS
from .rollup_figures import little, visitor_hash
from .trails_sql import EVENT, PATH, PROPERTIES, SESSIONS, TrailStatements

SESSION_BITS: Final = 40
RANK_BITS: Final = 4
_MOST_OFFSET: Final = 2 ** (SESSION_BITS - RANK_BITS) - 1
"""Milliseconds: about two years."""
_MOST_RANK: Final = 2**RANK_BITS - 1
_LAST: Final = "\U0010ffff"


class _Session(msgspec.Struct, array_like=True, frozen=True):
    key: str
    visitor_id: str
    started_at: int


class _Event(msgspec.Struct, array_like=True, frozen=True):
    """In order of time; of one moment page views first, then in the order of the log."""

    session_key: str
    time: int
    path: str | None
    """Of a page view."""
    name: str
    attributes: dict[str, Any] | None
    """Of any other event."""


class _Sessions(msgspec.Struct, array_like=True, frozen=True):
    """The sessions of an hour by number, as a row of its trail has them."""

    keys: list[str]
    starts: list[int]
    visitors: str


_sessions: Final = msgspec.json.Decoder(list[_Session])
_events: Final = msgspec.json.Decoder(list[_Event])
_rows: Final = msgspec.json.Decoder(list[tuple[int, str, str]])
_stored: Final = msgspec.json.Decoder(_Sessions)
_properties: Final = msgspec.json.Decoder(list[dict[str, Any]])


@dataclass(slots=True, kw_only=True)
class Trail:
    """The sessions that started in an hour, by number, and their hits.

    A hit is one number: the session's number, the milliseconds since the hour began, and a rank among the events of one
    moment. So hits in ascending order are those of one session after the other, each in order of time.
    """

    at: int
    keys: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    visitors: array[int] = field(default_factory=lambda: array("Q"))
    hits: dict[str, array[int]] = field(default_factory=dict)
    """By path or name, with their mark."""
    properties: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Of the events of a name, in the order of its hits."""

    @property
    def sessions(self) -> int:
        """How many sessions it has."""
        return len(self.keys)

    def counted_visitors(self) -> Iterable[int]:
        """What stands for the visitors of its sessions."""
        return self.visitors

    def of(self, step: Step) -> Sequence[int]:
        """Return the hits of a step, ascending."""
        low, high = bounds(step)
        names = (low,) if low == high else [name for name in self.hits if low <= name <= high]
        parts = [self._where(name, step.condition) for name in names if name in self.hits]
        if len(parts) == 1:
            return parts[0]
        return sorted(hit for part in parts for hit in part)

    def _where(self, name: str, condition: tuple[str, str] | None) -> Sequence[int]:
        hits = self.hits[name]
        if condition is None:
            return hits
        key, value = condition
        of_name = self.properties.get(name, ())
        return [
            hit
            for hit, properties in zip(hits, of_name, strict=False)
            if key in properties and value_text(properties[key]) == value
        ]

    def rows(self) -> Iterator[tuple[str, str]]:
        """Return names and contents, as a store keeps them."""
        yield SESSIONS, msgspec.json.encode(_Sessions(self.keys, self.starts, _packed(self.visitors))).decode()
        for name, hits in self.hits.items():
            yield name, _packed(hits)
        for name, properties in self.properties.items():
            if any(properties):
                yield PROPERTIES + name, msgspec.json.encode(properties).decode()


def bounds(step: Step) -> tuple[str, str]:
    """Return the first and the last name of a step's rows."""
    mark = PATH if step.is_path else EVENT
    value = mark + step.value
    return (value[:-1], value[:-1] + _LAST) if value.endswith("*") else (value, value)


class Trails:
    """Reads the trails of a span, and makes those of an hour."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = TrailStatements(database.dialect)

    def made(self, since: int, until: int) -> Trail:
        """Return the trail of the sessions that started in an hour, or a part of one, from their events."""
        span = {"since": since, "until": until}
        at = since // HOUR_MS * HOUR_MS
        sessions = _sessions.decode(self._text(self._sql.sessions, **span))
        events = _events.decode(self._text(self._sql.events, **span))
        return trail_of(at, sessions, events, self._database.store_key())

    def keeping(self, trail: Trail) -> tuple[tuple[str, ...], Mapping[str, object]]:
        """Return the statements that store a trail beside the rollup `id` of this `token`, and their values."""
        rows = msgspec.json.encode(list(trail.rows())).decode()
        return (self._sql.forget, self._sql.keep), {"trail": rows}

    def stored(self, since: int, until: int, steps: Iterable[Step] = ()) -> dict[int, Trail]:
        """Return the stored trails of whole hours by hour, each with its sessions and the hits of these steps."""
        trails: dict[int, Trail] = {}
        for at, _, text in self._rows(since, until, SESSIONS, SESSIONS):
            sessions = _stored.decode(text)
            trails[at] = Trail(at=at, keys=sessions.keys, starts=sessions.starts, visitors=_unpacked(sessions.visitors))
        for step in {(*bounds(step), step.condition is not None): step for step in steps}.values():
            low, high = bounds(step)
            for at, name, text in self._rows(since, until, low, high):
                if at in trails:
                    trails[at].hits[name] = _unpacked(text)
            if step.condition is not None:
                for at, name, text in self._rows(since, until, PROPERTIES + low, PROPERTIES + high):
                    if at in trails:
                        trails[at].properties[name.removeprefix(PROPERTIES)] = _properties.decode(text)
        return trails

    def _rows(self, since: int, until: int, low: str, high: str) -> list[tuple[int, str, str]]:
        return _rows.decode(self._text(self._sql.stored, since=since, until=until, low=low, high=high))

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def trail_of(at: int, sessions: Iterable[_Session], events: Iterable[_Event], key: bytes) -> Trail:
    """Return the trail of sessions in any order, and of their events in the order of time."""
    ordered = sorted(sessions, key=lambda each: (each.started_at, each.key))
    trail = Trail(
        at=at,
        keys=[each.key for each in ordered],
        starts=[each.started_at - at for each in ordered],
        visitors=array("Q", [visitor_hash(key, each.visitor_id) for each in ordered]),
    )
    numbers = {name: number for number, name in enumerate(trail.keys)}
    latest: dict[int, tuple[int, int]] = {}
    hits: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for event in events:
        number = numbers.get(event.session_key)
        if number is None:
            continue
        offset = min(max(0, event.time - at), _MOST_OFFSET)
        before, rank = latest.get(number, (-1, -1))
        rank = min(rank + 1, _MOST_RANK) if offset == before else 0
        latest[number] = offset, rank
        hit = number << SESSION_BITS | offset << RANK_BITS | rank
        attributes = event.attributes
        if attributes is None:
            if event.path is not None:
                hits.setdefault(PATH + event.path, []).append((hit, {}))
        else:
            own = {name: value for name, value in attributes.items() if name.startswith(EVENT_PREFIX)}
            hits.setdefault(EVENT + event.name, []).append((hit, own))
    for name, found in sorted(hits.items()):
        found.sort(key=lambda pair: pair[0])
        trail.hits[name] = array("Q", [hit for hit, _ in found])
        if name.startswith(EVENT):
            trail.properties[name] = [own for _, own in found]
    return trail


def _packed(numbers: array[int]) -> str:
    return binascii.b2a_base64(little(numbers).tobytes(), newline=False).decode()


def _unpacked(text: str) -> array[int]:
    numbers = array("Q")
    numbers.frombytes(binascii.a2b_base64(text))
    return little(numbers)
