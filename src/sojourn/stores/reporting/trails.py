"""Trails: which pages and events the sessions of an hour had, and when. Goals and funnels are counted from them.

A finished hour's trail is stored beside its rollup: one row per path and per event name, with one number of eight bytes per
occurrence, and a row each for the keys and the visitors of its sessions. So a funnel reads its own steps, and no event. A
day's trail is the same as those of its hours, in fewer and longer rows. A block of days has a thin one: all sessions of some
visitors. Rows count only while the rollup that they were made with is there; with the first deleted session of it they are
deleted. Hours without a rollup are read from their events.

See P37 in docs/internals.md.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec

from sojourn.core.events import PAGE_VIEW
from sojourn.core.goals import Step, value_text
from sojourn.core.properties import EVENT_PREFIX
from sojourn.stores import wire
from sojourn.stores.database import Database

from .levels import BLOCK, COARSE_FIRST, DAY, HOUR, Level, cover
from .model import HOUR_MS
from .rollup_figures import little, unpacked, visitor_hash
from .trails_sql import EVENT, KEYS, PATH, PROPERTIES, VISITORS, TrailStatements
from .visit_reader import VisitReader
from .visits import Events

SESSION_BITS: Final = 40
RANK_BITS: Final = 4
_MOST_OFFSET: Final = 2 ** (SESSION_BITS - RANK_BITS) - 1 - BLOCK.width
"""Milliseconds: about two years. In the trail of a day or a block it grows by up to so much."""
LONGEST_MS: Final = _MOST_OFFSET // 2
"""How long a span may be whose sessions have one trail: its last ones need some time too."""
_MOST_RANK: Final = 2**RANK_BITS - 1
_PLACE: Final = 2**SESSION_BITS - 1
_LAST: Final = "\U0010ffff"
THIN: Final = 16
"""A thin trail has the sessions of one in so many visitors."""
_THIN_BELOW: Final = 2**64 // THIN


class Started(Protocol):
    """What a trail needs of a session."""

    @property
    def key(self) -> str: ...
    @property
    def visitor_id(self) -> str: ...
    @property
    def started_at(self) -> int: ...


class _Session(msgspec.Struct, array_like=True, frozen=True, gc=False):
    key: str
    visitor_id: str
    started_at: int


_sessions: Final = msgspec.json.Decoder(list[_Session])
_covered: Final = msgspec.json.Decoder(list[tuple[int, int]])
_rows: Final = msgspec.json.Decoder(list[tuple[int, str]])
_named: Final = msgspec.json.Decoder(list[tuple[int, str, str]])
_keys: Final = msgspec.json.Decoder(list[str])
_properties: Final = msgspec.json.Decoder(list[dict[str, Any]])
_raws: Final = msgspec.json.Decoder(list[msgspec.Raw])
_NOTHING: Final = msgspec.Raw(b"{}")


@dataclass(slots=True, kw_only=True)
class Trail:
    """The sessions that started in an hour (or a day, or a block), by number, and the hits of some steps.

    A hit is one number: the session's number, the milliseconds since `at`, and a rank among the events of one
    moment. So hits in ascending order are those of one session after the other, each in order of time. `keys` and `visitors`
    (hashes) are by number, and empty where they were not asked for.
    """

    at: int
    sessions: int
    keys: list[str] = field(default_factory=list)
    visitors: array[int] = field(default_factory=lambda: array("Q"))
    hits: dict[Step, Collection[int]] = field(default_factory=dict)
    """In no order."""
    carried: list[tuple[int, msgspec.Raw]] = field(default_factory=list)
    """Of the events of one name: the number of the session, and the properties as JSON. In no order."""
    chosen: Collection[int] | None = None
    """The numbers of the sessions that count; `None`: all."""

    def thin_out(self, further: int = 1) -> None:
        """Let only the sessions count that a thin trail has, or of these one visitor in so many. Needs the visitors."""
        bound = _THIN_BELOW // further
        self.keep({number for number, visitor in enumerate(self.visitors) if visitor < bound})

    @property
    def numbers(self) -> Collection[int]:
        """Of the sessions that count."""
        return range(self.sessions) if self.chosen is None else self.chosen

    @property
    def chosen_keys(self) -> Iterable[str]:
        """Of the sessions that count. Needs the keys."""
        return self.keys if self.chosen is None else (self.keys[number] for number in self.chosen)

    def keep(self, numbers: Collection[int]) -> None:
        """Let only these sessions count."""
        self.chosen, self.sessions = numbers, len(numbers)
        self.hits = {step: [hit for hit in hits if hit >> SESSION_BITS in numbers] for step, hits in self.hits.items()}
        self.carried = [(number, properties) for number, properties in self.carried if number in numbers]


@dataclass(slots=True, kw_only=True)
class WholeTrail:
    """All pages and events of some sessions, by path or name with their mark."""

    at: int
    keys: list[str]
    visitors: array[int]
    hits: dict[str, array[int]] = field(default_factory=dict)
    properties: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Of the events of a name, in the order of its hits."""

    def append(self, part: WholeTrail) -> None:
        """Add the sessions of a later hour or day."""
        by = (len(self.keys) << SESSION_BITS) + (part.at - self.at << RANK_BITS)
        self.keys += part.keys
        self.visitors += part.visitors
        for name, hits in part.hits.items():
            known = self.hits.setdefault(name, array("Q"))
            properties = part.properties.get(name)
            if properties is not None or name in self.properties:
                own = self.properties.setdefault(name, [{}] * len(known))
                own += [{}] * len(hits) if properties is None else properties
            known.extend([hit + by for hit in hits])

    def thinned(self) -> WholeTrail:
        """Return the sessions of some visitors only."""
        numbers = [number for number, visitor in enumerate(self.visitors) if visitor < _THIN_BELOW]
        places = {number: place for place, number in enumerate(numbers)}
        thin = WholeTrail(
            at=self.at,
            keys=[self.keys[number] for number in numbers],
            visitors=array("Q", [self.visitors[number] for number in numbers]),
        )
        for name, hits in self.hits.items():
            kept = [place for place, hit in enumerate(hits) if hit >> SESSION_BITS in places]
            if not kept:
                continue
            thin.hits[name] = array(
                "Q", [(places[hits[place] >> SESSION_BITS] << SESSION_BITS) | (hits[place] & _PLACE) for place in kept]
            )
            if (own := self.properties.get(name)) is not None:
                thin.properties[name] = [own[place] for place in kept]
        return thin

    def of(self, steps: Iterable[Step], *, carrying: str | None = None) -> Trail:
        """Return what concerns these steps, and what the events of one name carry."""
        trail = Trail(at=self.at, sessions=len(self.keys), keys=self.keys, visitors=self.visitors)
        for step in steps:
            low, high = bounds(step)
            names = [name for name in self.hits if low <= name <= high]
            trail.hits[step] = [
                hit for name in names for hit in _where(step, self.hits[name], self.properties.get(name, ()))
            ]
        if carrying is not None:
            name = EVENT + carrying
            pairs = zip(self.hits.get(name, ()), self.properties.get(name, ()), strict=True)
            trail.carried = [(hit >> SESSION_BITS, msgspec.Raw(msgspec.json.encode(own))) for hit, own in pairs]
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
        self._visits = VisitReader(database)

    def made(self, since: int, until: int) -> WholeTrail:
        """Return the trail of the sessions that started in an hour, or a part of one, from their events."""
        span = {"since": since, "until": until}
        at = since // HOUR_MS * HOUR_MS
        sessions = _sessions.decode(self._text(self._sql.sessions, **span))
        return trail_of(at, sessions, self._visits.events(since, until), self._database.store_key())

    def of_sessions(self, at: int, keys: Sequence[str]) -> WholeTrail:
        """Return the trail of these sessions, which started at `at` or later, from their events."""
        values = {"keys": wire.encode(list(keys))}
        sessions = _sessions.decode(self._text(self._sql.sessions_of, **values))
        return trail_of(at, sessions, self._visits.events_of(keys), self._database.store_key())

    def keeping(self, trail: WholeTrail) -> tuple[tuple[str, ...], Mapping[str, object]]:
        """Return the statements that store a trail beside the rollup `id` of this `token`, and their values."""
        rows = msgspec.json.encode(list(trail.rows())).decode()
        return (self._sql.forget, self._sql.keep), {"trail": rows}

    def of_parts(self, level: Level, at: int) -> WholeTrail | None:
        """Return the trail of a day from its hours, or the thin one of a block from its days; `None` if one has no trail."""
        parts = DAY if level is BLOCK else HOUR
        ids = {"ids": wire.encode(parts.ids(at, at + level.width))}
        whole = WholeTrail(at=at, keys=[], visitors=array("Q"))
        starts = sorted(number - parts.number for number, _ in _covered.decode(self._text(self._sql.covered, **ids)))
        if len(starts) != self._database.read(self._sql.parts, **ids)[0]:
            return None
        for start in starts:
            part = self._whole(parts, start)
            whole.append(part.thinned() if level is BLOCK else part)
        return whole

    def _whole(self, level: Level, at: int) -> WholeTrail:
        """Return a stored trail."""
        whole = WholeTrail(at=at, keys=[], visitors=array("Q"))
        text = self._text(self._sql.named, low="", high=_LAST, ids=wire.encode([at + level.number]))
        for _, name, content in _named.decode(text):
            if name == KEYS:
                whole.keys = _keys.decode(content)
            elif name == VISITORS:
                whole.visitors = unpacked("Q", content)
            elif name.startswith(PROPERTIES):
                whole.properties[name.removeprefix(PROPERTIES)] = _properties.decode(content)
            else:
                whole.hits[name] = unpacked("Q", content)
        return whole

    def covering(
        self,
        since: int,
        until: int,
        steps: Iterable[Step],
        *,
        with_visitors: bool = False,
        with_keys: bool = False,
        is_thin: bool = False,
        carrying: str | None = None,
    ) -> dict[range, Trail]:
        """Return the stored trails of a span, each by the hours that it covers; of `is_thin`, some visitors' sessions only.

        `carrying`: also what the events of this name carry.
        """
        steps = list(dict.fromkeys(steps))
        read: dict[tuple[Level, int], Trail] = {}

        def stored(level: Level, first: int, last: int) -> Collection[int]:
            has_visitors = with_visitors or (is_thin and level is not BLOCK)
            found = self._stored(level, first, last, steps, with_visitors=has_visitors, with_keys=with_keys)
            if carrying is not None:
                self._read_carried({trail.at + level.number: trail for trail in found.values()}, carrying)
            for at, trail in found.items():
                if is_thin and level is not BLOCK:
                    trail.thin_out()
                read[level, at] = trail
            return found

        levels = COARSE_FIRST if is_thin else COARSE_FIRST[1:]
        return {
            range(at, at + level.width, HOUR_MS): read[level, at] for level, at in cover(since, until, stored, levels)
        }

    def _stored(
        self, level: Level, since: int, until: int, steps: Iterable[Step], *, with_visitors: bool, with_keys: bool
    ) -> dict[int, Trail]:
        """Return the stored trails of a level, by their start."""
        ids = wire.encode(level.ids(since, until))
        covered = _covered.decode(self._text(self._sql.covered, ids=ids))
        trails = {number: Trail(at=number - level.number, sessions=sessions) for number, sessions in covered}
        if not trails:
            return {}
        ids = wire.encode(list(trails))
        if with_keys:
            for trail, text in self._contents(trails, KEYS, KEYS, ids):
                trail.keys = _keys.decode(text)
        if with_visitors:
            for trail, text in self._contents(trails, VISITORS, VISITORS, ids):
                trail.visitors = unpacked("Q", text)
        for step in steps:
            for trail in trails.values():
                trail.hits[step] = ()
            if step.condition is not None:
                self._read_where(trails, step, ids)
                continue
            for trail, text in self._contents(trails, *bounds(step), ids):
                trail.hits[step] = unpacked("Q", text)
        return {trail.at: trail for trail in trails.values()}

    def _contents(self, trails: Mapping[int, Trail], low: str, high: str, ids: str) -> Iterator[tuple[Trail, str]]:
        """Yield the contents of a range of names, with the trail of each."""
        for number, text in _rows.decode(self._text(self._sql.joined, low=low, high=high, ids=ids)):
            yield trails[number], text

    def _read_where(self, trails: Mapping[int, Trail], step: Step, ids: str) -> None:
        named, (low, high) = self._sql.named, bounds(step)
        stored = _named.decode(self._text(named, low=PROPERTIES + low, high=PROPERTIES + high, ids=ids))
        properties = {(number, name.removeprefix(PROPERTIES)): text for number, name, text in stored}
        for number, name, text in _named.decode(self._text(named, low=low, high=high, ids=ids)):
            if (own := properties.get((number, name))) is not None:
                hits = _where(step, unpacked("Q", text), _properties.decode(own))
                trails[number].hits[step] = [*trails[number].hits[step], *hits]

    def _read_carried(self, trails: Mapping[int, Trail], event: str) -> None:
        ids, name = wire.encode(list(trails)), EVENT + event
        properties = {
            trail.at: text for trail, text in self._contents(trails, PROPERTIES + name, PROPERTIES + name, ids)
        }
        for trail, text in self._contents(trails, name, name, ids):
            hits = unpacked("Q", text)
            stored = properties.get(trail.at)
            own = [_NOTHING] * len(hits) if stored is None else _raws.decode(stored)
            trail.carried = [(hit >> SESSION_BITS, each) for hit, each in zip(hits, own, strict=True)]

    def _text(self, statement: str, **values: object) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def trail_of(at: int, sessions: Iterable[Started], events: Events, key: bytes) -> WholeTrail:
    """Return the trail of sessions in any order."""
    ordered = sorted(sessions, key=lambda each: (each.started_at, each.key))
    trail = WholeTrail(
        at=at,
        keys=[each.key for each in ordered],
        visitors=array("Q", [visitor_hash(key, each.visitor_id) for each in ordered]),
    )
    pages: dict[str, list[int]] = {}
    others: dict[str, list[int]] = {}
    for number, session_key in enumerate(trail.keys):
        first = number << SESSION_BITS
        before, rank = -1, 0
        for event in events.get(session_key, ()):
            offset = event.time - at
            if not 0 <= offset <= _MOST_OFFSET:
                offset = min(max(0, offset), _MOST_OFFSET)
            if offset != before:
                before, rank = offset, 0
            elif rank < _MOST_RANK:
                rank += 1
            # Sessions by number, and events in their order: so are the hits of each name.
            hit = first | offset << RANK_BITS | rank
            name = event.name
            if name != PAGE_VIEW:
                own = {each: value for each, value in (event.attributes or {}).items() if each.startswith(EVENT_PREFIX)}
                trail.properties.setdefault(EVENT + name, []).append(own)
                others.setdefault(name, []).append(hit)
            elif isinstance(event.path, str):
                pages.setdefault(event.path, []).append(hit)
    hits = {EVENT + name: others[name] for name in sorted(others)} | {
        PATH + path: pages[path] for path in sorted(pages)
    }
    trail.hits = {name: array("Q", found) for name, found in hits.items()}
    return trail


def _digits(numbers: array[int]) -> str:
    """Return numbers as hexadecimal digits, so that a database may join the rows of several names."""
    return little(numbers).tobytes().hex()
