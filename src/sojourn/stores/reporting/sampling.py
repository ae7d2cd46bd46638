"""How the sessions of a filter are read: all where few match, else those of some visitors; and along which index.

Ids of visitors are random hexadecimal digits, so those below a bound are a fair sample of the visitors, with all their
sessions. A small probe says how many sessions match. To examine all sessions of a span by start is quick for each, and to
examine those of some visitors is slow for each, since they lie scattered; so the latter is only for small shares.
"""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sojourn.stores.database import Database

from .filters_sql import Conditions, sessions_where
from .model import Filter, Span
from .rollup_figures import Sample

_PROBED: Final = 4_000
"""How many sessions the probe examines."""
_EXAMINED_BY_EVENTS: Final = 2_500
"""Of how many sessions the events are looked up where a condition is on events: each costs as much as a hundred others."""
_SCATTERED: Final = 16
"""From this on, one in so many visitors are quicker to find by their ids than among all sessions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Sessions of a filter in a span: of one visitor in `one_in`. Parts of a statement, with the values of its parameters."""

    one_in: int
    tables: str
    """What follows FROM: the sessions AS s."""
    values: dict[str, object]
    reads_events: bool


def select(database: Database, where: Filter, span: Span, started: int, *, most: int) -> Selection:
    """Choose so that about `most` sessions are read, or somewhat more, of the `started` sessions of the span."""
    conditions = sessions_where(database.dialect, where.conditions, where.text)
    if conditions.reads_events:
        return _selection(database, conditions, span, _sample(started, _EXAMINED_BY_EVENTS))
    if started <= most:
        return _selection(database, conditions, span, Sample())
    probed = _sample(started, _PROBED)
    probe = _selection(database, conditions, span, probed, is_scattered=True)
    matches: int = database.read(f"SELECT COUNT(*) FROM {probe.tables}", **probe.values)[0]
    return _selection(database, conditions, span, _sample(matches * probed.one_in, most))


def _sample(count: int, most: int) -> Sample:
    """Choose a sample of not much more than this."""
    return Sample.of(count, most * 1.5)


def _selection(
    database: Database, conditions: Conditions, span: Span, sample: Sample, *, is_scattered: bool = False
) -> Selection:
    d, one_in = database.dialect, sample.one_in
    values: dict[str, object] = {**conditions.values, "since": span.since, "until": span.until}
    started = f"s.started_at >= {d['since']} AND s.started_at < {d['until']}"
    if one_in > 1:
        values["below"] = sample.first_id_not
        sampled = f"s.visitor_id < {d['below']}"
    if one_in >= _SCATTERED or (is_scattered and one_in > 1):
        # Along the index by visitor, not the one by start.
        started = started.replace("s.started_at", "+s.started_at")
        tables = f"sojourn_sessions AS s WHERE {sampled} AND {started} AND {conditions.sql}"
    elif one_in > 1:
        tables = d.found.format(f"{started} AND {conditions.sql} AND {sampled}")
    else:
        tables = d.found.format(f"{started} AND {conditions.sql}")
    return Selection(one_in=one_in, tables=tables, values=values, reads_events=conditions.reads_events)
