"""Trails: which pages and events the sessions of an hour had, and when. Goals and funnels are counted from them.

A finished hour's trail is stored beside its rollup: one row per path and per event name, with one number of eight bytes per
occurrence, and a row each for the keys and the visitors of its sessions. So a funnel reads its own steps, and no event. Rows
count only while the rollup that they were made with is there; with the first deleted session of an hour they are deleted. Hours
without a rollup are read from their events.

See P37 in docs/internals.md.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from sojourn.core.goals import Step, value_text
from sojourn.core.properties import EVENT_PREFIX
from sojourn.stores.database import Database

from .model import HOUR_MS
from .rollup_figures import little, unpacked, visitor_hash
from .trails_sql import EVENT, KEYS, PATH, PROPERTIES, VISITORS, TrailStatements

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


_sessions: Final = msgspec.json.Decoder(list[_Session])
_events: Final = msgspec.json.Decoder(list[_Event])
_hours: Final = msgspec.json.Decoder(list[tuple[int, int]])
_rows: Final = msgspec.json.Decoder(list[tuple[int, str]])
_named: Final = msgspec.json.Decoder(list[tuple[int, str, str]])
_keys: Final = msgspec.json.Decoder(list[str])
_properties: Final = msgspec.json.Decoder(list[dict[str, Any]])


@dataclass(slots=True, kw_only=True)
class Trail:
    """The sessions that started in an hour, by number, and the hits of some steps.

    A hit is one number: the session's number, the milliseconds since the hour began, and a rank among the events of one
    moment. So hits in ascending order are those of one session after the other, each in order of time. `keys` and `visitors`
    (hashes) are by number, and empty where they were not asked for.
    """

    at: int
    sessions: int
    keys: list[str] = field(default_factory=list)
    visitors: array[int] = field(default_factory=lambda: array("Q"))
    hits: dict[Step, Collection[int]] = field(default_factory=dict)
    """In no order."""
    chosen: Collection[int] | None = None
    """The numbers of the sessions that count; `None`: all."""

    def keep(self, numbers: Collection[int]) -> None:
        """Let only these sessions count."""
        self.chosen, self.sessions = numbers, len(numbers)
        self.hits = {step: [hit for hit in hits if hit >> SESSION_BITS in numbers] for step, hits in self.hits.items()}


@dataclass(slots=True, kw_only=True)
class WholeTrail:
    """All pages and events of the sessions of an hour, by path or name with their mark."""

    at: int
    keys: list[str]
    visitors: array[int]
    hits: dict[str, array[int]] = field(default_factory=dict)
    properties: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Of the events of a name, in the order of its hits."""

    def of(self, steps: Iterable[Step]) -> Trail:
        """Return what concerns these steps."""
        trail = Trail(at=self.at, sessions=len(self.keys), keys=self.keys, visitors=self.visitors)
        for step in steps:
            low, high = bounds(step)
            names = [name for name in self.hits if low <= name <= high]
            trail.hits[step] = [
                hit for name in names for hit in _where(step, self.hits[name], self.properties.get(name, ()))
            ]
        return trail

    def rows(self) -> Iterator[tuple[str, str]]:
        """Return names and contents, as a store keeps them."""
        yield KEYS, msgspec.json.encode(self.keys).decode()
        yield VISITORS, _digits(self.visitors)
        for name, hits in self.hits.items():
            yield name, _digits(hits)
        for name, properties in self.properties.items():
            if any(properties):
                yield PROPERTIES + name, msgspec.json.encode(properties).decode()


def _where(step: Step, hits: Sequence[int], properties: Sequence[Mapping[str, Any]]) -> Sequence[int]:
    """Return the hits of one name whose properties are as the step says."""
    if step.condition is None:
        return hits
    key, value = step.condition
    return [hit for hit, own in zip(hits, properties, strict=False) if key in own and value_text(own[key]) == value]


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

    def made(self, since: int, until: int) -> WholeTrail:
        """Return the trail of the sessions that started in an hour, or a part of one, from their events."""
        span = {"since": since, "until": until}
        at = since // HOUR_MS * HOUR_MS
        sessions = _sessions.decode(self._text(self._sql.sessions, **span))
        events = _events.decode(self._text(self._sql.events, **span))
        return trail_of(at, sessions, events, self._database.store_key())

    def keeping(self, trail: WholeTrail) -> tuple[tuple[str, ...], Mapping[str, object]]:
        """Return the statements that store a trail beside the rollup `id` of this `token`, and their values."""
        rows = msgspec.json.encode(list(trail.rows())).decode()
        return (self._sql.forget, self._sql.keep), {"trail": rows}

    def stored(
        self, since: int, until: int, steps: Iterable[Step], *, with_visitors: bool = False, with_keys: bool = False
    ) -> dict[int, Trail]:
        """Return the stored trails of whole hours, by hour."""
        span = {"since": since, "until": until}
        trails = {
            at: Trail(at=at, sessions=sessions) for at, sessions in _hours.decode(self._text(self._sql.hours, **span))
        }
        if with_keys:
            for at, text in self._rows(self._sql.joined, low=KEYS, high=KEYS, **span):
                trails[at].keys = _keys.decode(text)
        if with_visitors:
            for at, text in self._rows(self._sql.joined, low=VISITORS, high=VISITORS, **span):
                trails[at].visitors = unpacked("Q", text)
        for step in dict.fromkeys(steps):
            for trail in trails.values():
                trail.hits[step] = ()
            low, high = bounds(step)
            if step.condition is None:
                for at, text in self._rows(self._sql.joined, low=low, high=high, **span):
                    trails[at].hits[step] = unpacked("Q", text)
            else:
                self._read_where(trails, step, low, high, span)
        return trails

    def _read_where(self, trails: dict[int, Trail], step: Step, low: str, high: str, span: Mapping[str, int]) -> None:
        stored = _named.decode(self._text(self._sql.named, low=PROPERTIES + low, high=PROPERTIES + high, **span))
        properties = {(at, name.removeprefix(PROPERTIES)): text for at, name, text in stored}
        for at, name, text in _named.decode(self._text(self._sql.named, low=low, high=high, **span)):
            if (own := properties.get((at, name))) is not None:
                hits = _where(step, unpacked("Q", text), _properties.decode(own))
                trails[at].hits[step] = [*trails[at].hits[step], *hits]

    def _rows(self, statement: str, **values: object) -> list[tuple[int, str]]:
        return _rows.decode(self._text(statement, **values))

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def trail_of(at: int, sessions: Iterable[_Session], events: Iterable[_Event], key: bytes) -> WholeTrail:
    """Return the trail of sessions in any order, and of their events in the order of time."""
    ordered = sorted(sessions, key=lambda each: (each.started_at, each.key))
    trail = WholeTrail(
        at=at,
        keys=[each.key for each in ordered],
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


def _digits(numbers: array[int]) -> str:
    """Return numbers as hexadecimal digits, so that a database may join the rows of several names."""
    return little(numbers).tobytes().hex()
