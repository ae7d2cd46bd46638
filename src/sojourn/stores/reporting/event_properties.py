"""Reads what the events of one name carry, of the sessions of a span and a filter, or of a sample of them.

Without a filter that stands in trails. With one, ids of visitors are random, so the sessions of the first ids are a fair
sample of all. Events are read session by session through their index, in parts of bounded size.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from operator import itemgetter
from typing import Any, Final

import msgspec

from sojourn.core.events import RESERVED_NAMES
from sojourn.core.goals import EXCLUDED
from sojourn.stores import wire
from sojourn.stores.database import Database

from .conversions import SQLConversions
from .filters_sql import Conditions, sessions_where
from .model import EVERYTHING, Filter, Span
from .property_counts import EventFigures, PropertyCounter
from .rollup_figures import Sample

_EXAMINED: Final = 20_000
"""Of more sessions than this, a sample is read."""
_FEW: Final = 500
"""Fewer sessions than this in a sample say too little; then all of the span are looked for."""
_PART: Final = 250
_MOST_IN_PART: Final = 2_000
_MOST_EVENTS: Final = 50_000
_MOST_VALUES: Final = 300_000
_STRIDE: Final = 16
"""Of the sessions in trails one in so many is counted first, so that those before a bound are of the whole span."""

_sessions: Final = msgspec.json.Decoder(list[tuple[str, str]])
_events: Final = msgspec.json.Decoder(list[tuple[str, dict[str, Any]]])
_own: Final = msgspec.json.Decoder(dict[str, Any])


class EventProperties:
    """Reads events by their name."""

    def __init__(self, database: Database, conversions: SQLConversions) -> None:
        self._database = database
        self._conversions = conversions
        d = database.dialect
        row = d.array("e.session_key", d.json.format("e.data"))
        self._of_sessions: Final = f"""
SELECT {d.rows.format(row)} FROM (
    SELECT e.session_key, e.data FROM sojourn_events AS e
    WHERE {d.among.format("e.session_key", d["keys"])} AND e.name = {d["name"]} LIMIT {_MOST_IN_PART}) AS e"""

    def of_event(self, name: str, span: Span, where: Filter = EVERYTHING, *, started: int) -> EventFigures:
        """Count the properties of the events of this name, of the `started` sessions of the span."""
        if where.is_everything and name not in EXCLUDED:
            return self._of_trails(wire.clean(name), span)
        d = self._database.dialect
        conditions = sessions_where(d, where.conditions, where.text)
        sample = Sample.of(started, _EXAMINED)
        sessions = self._read(name, conditions, span, sample)
        if sample.one_in > 1 and len(sessions) < _FEW and not conditions.reads_events:
            sample = Sample()
            sessions = self._read(name, conditions, span, sample)
        keys = [key for _, key in sorted(sessions)]
        counter = PropertyCounter()
        looked = 0
        is_cut = False
        while looked < len(keys[:_EXAMINED]) and counter.events < _MOST_EVENTS and counter.seen < _MOST_VALUES:
            part = keys[looked : looked + _PART]
            looked += len(part)
            values = {"keys": msgspec.json.encode(part).decode(), "name": wire.clean(name)}
            rows = _events.decode(self._database.read(self._of_sessions, **values)[0])
            is_cut |= len(rows) == _MOST_IN_PART
            for session_key, attributes in sorted(rows, key=itemgetter(0)):
                counter.add(session_key, attributes)
        factor = sample.one_in * (len(keys) / looked if looked else 1)
        return counter.figures(factor, is_sampled=factor > 1 or is_cut)

    def _of_trails(self, name: str, span: Span) -> EventFigures:
        found = self._conversions.carrying(name, span)
        by_session: dict[str, list[msgspec.Raw]] = {}
        for trail in found.trails:
            for number, properties in trail.carried:
                by_session.setdefault(f"{trail.at} {number}", []).append(properties)
        keys = sorted(by_session)
        counter = PropertyCounter()
        looked = 0
        for key in (each for place in range(_STRIDE) for each in keys[place::_STRIDE]):
            if counter.events >= _MOST_EVENTS or counter.seen >= _MOST_VALUES:
                break
            looked += 1
            for properties in by_session[key]:
                counter.add(key, _own.decode(properties))
        factor = found.one_in * (len(keys) / looked if looked else 1)
        if found.pending:
            read = sum(trail.sessions for trail in found.trails) * found.one_in
            factor *= (read + found.pending) / read if read else 1
        return counter.figures(factor, is_sampled=factor > 1)

    def _read(self, name: str, conditions: Conditions, span: Span, sample: Sample) -> list[tuple[str, str]]:
        """The visitors and the keys of sessions that may have such an event."""
        d = self._database.dialect
        values: dict[str, object] = {**conditions.values, "since": span.since, "until": span.until}
        at = "s.started_at"
        tests = list(conditions.parts)
        if name not in RESERVED_NAMES:
            tests.insert(0, "s.tracked_events > 0")
        if sample.one_in > 1:
            at = "+s.started_at"  # read the index by visitor, not the one by start
            tests.insert(0, f"s.visitor_id < {d['below']}")
            values["below"] = sample.first_id_not
        tests += [f"{at} >= {d['since']}", f"{at} < {d['until']}"]
        row = d.array("s.visitor_id", "s.key")
        statement = f"SELECT {d.rows.format(row)} FROM sojourn_sessions AS s WHERE {' AND '.join(tests)}"
        return _sessions.decode(self._database.read(statement, **values)[0])
