"""Goals and funnels of a span, from the trails of its hours."""

# ruff: noqa: S608 - every part is written here; values are always parameters
from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

import msgspec

from sojourn.core.goals import EXCLUDED, Step
from sojourn.stores import wire
from sojourn.stores.database import Database
from sojourn.stores.dimensions import NAMES

from .conversions_model import FunnelFigures, GoalCount, GoalFigures, Reached
from .filters import Condition, Kind, Operator
from .filters_sql import sessions_where
from .funnels import count_sessions, count_visitors, scaled, visitors_of
from .levels import HOUR
from .model import HOUR_MS, Filter, Span
from .retention import SQLRetention
from .rollup_figures import SAMPLED_ABOVE, Sample
from .rollups import Rollups
from .trails import LONGEST_MS, SESSION_BITS, THIN, Trail

_EXAMINED_BY_EVENTS: Final = 5_000
"""Of about so many sessions the events are looked up for a condition that no trail answers."""
_FEW: Final = 2_000
"""The events of so many sessions of a filter are read themselves."""
ALL: Final = Filter()
_values: Final = msgspec.json.Decoder(list[list[str | None]])


def split(where: Filter) -> tuple[list[tuple[Step, bool]], Filter]:
    """Return which conditions of a filter trails can answer, as steps that a session has or has not, and the others."""
    on_trail: list[tuple[Step, bool]] = []
    rest: list[Condition] = []
    has_details = any(each.definition.kind is Kind.EVENT_PROPERTY for each in where.conditions)
    for each in where.conditions:
        is_path = each.field == "path"
        is_event = (
            each.field == "event" and not has_details and each.value not in EXCLUDED and not each.value.endswith("*")
        )
        if each.operator is Operator.CONTAINS or not (is_path or is_event):
            rest.append(each)
        else:
            on_trail.append((Step(is_path=is_path, value=each.value), each.operator is Operator.IS))
    return on_trail, Filter(conditions=tuple(rest), text=where.text)


class Found(NamedTuple):
    """Trails, how many sessions were left out, and which share of the visitors they have: one in so many."""

    trails: list[Trail]
    pending: int = 0
    one_in: int = 1


class SQLConversions:
    """The port `Conversions`."""

    def __init__(self, database: Database, rollups: Rollups) -> None:
        self._database = database
        self._rollups = rollups
        self._trails = rollups.trails
        self.retention = SQLRetention(database, rollups.about).retention

    def goals(self, span: Span, steps: Sequence[Step], *, where: Filter = ALL) -> GoalFigures:
        found = self._of(span, steps, where, with_visitors=True)
        trails, one_in = found.trails, found.one_in
        return GoalFigures(
            sessions=sum(trail.sessions for trail in trails) * one_in,
            visitors=len(visitors_of(trails)) * one_in,
            goals=tuple(_count(trails, step, one_in) for step in steps),
            pending=found.pending,
            is_sampled=one_in > 1,
        )

    def funnel(
        self, span: Span, steps: Sequence[Step], *, by_visitor: bool = False, where: Filter = ALL
    ) -> FunnelFigures:
        found = self._of(span, steps, where, with_visitors=by_visitor)
        figures = count_visitors(found.trails, steps) if by_visitor else count_sessions(found.trails, steps)
        return scaled(figures, found.one_in, pending=found.pending)

    def sessions(self, span: Span, step: Step, *, where: Filter = ALL) -> Reached:
        found = self._of(span, (step,), where, with_keys=True)
        keys = [
            trail.keys[number] for trail in found.trails for number in {hit >> SESSION_BITS for hit in trail.hits[step]}
        ]
        return Reached(keys, found.one_in)

    def carrying(self, event: str, span: Span) -> Found:
        """Return the trails of a span, with what the events of this name carry."""
        return self._of(span, (), ALL, carrying=event)

    def by_value(self, keys: Sequence[str], dimensions: Sequence[str]) -> dict[str, dict[str, int]]:
        for name in dimensions:
            if name not in NAMES:
                msg = f"{name!r} is no dimension of a session; use one of {', '.join(NAMES)}"
                raise ValueError(msg)
        d = self._database.dialect
        row = d.array(*(f"s.{name}" for name in dimensions))
        statement = f"SELECT {d.rows.format(row)} FROM sojourn_sessions AS s WHERE {d.among.format('s.key', d['keys'])}"
        rows = _values.decode(self._database.read(statement, keys=wire.encode(keys))[0])
        counts = {name: Counter(row[place] for row in rows) for place, name in enumerate(dimensions)}
        return {
            name: {value: count for value, count in counted.items() if value is not None}
            for name, counted in counts.items()
        }

    def _of(
        self,
        span: Span,
        steps: Sequence[Step],
        where: Filter,
        *,
        with_visitors: bool = False,
        with_keys: bool = False,
        carrying: str | None = None,
    ) -> Found:
        """Return the trails of a span in order of time; of very many sessions, those of some visitors."""
        if not where.is_everything and (few := self._few(span, where)) is not None:
            return Found([self._trails.of_sessions(span.since // HOUR_MS * HOUR_MS, few).of(steps)])
        begin, end = HOUR.inside(span.since, span.until)
        on_trail, rest = split(where)
        further = self._further(span, rest)
        is_thin = further > 0
        read = (*steps, *(step for step, _ in on_trail))
        found: dict[int, Trail] = {}
        pending = 0
        if begin < end:
            whole = Span(begin, end)
            missing = set(self._rollups.missing_hours(whole))
            stored = self._trails.covering(
                begin,
                end,
                read,
                with_visitors=with_visitors or further > 1,
                with_keys=with_keys or not rest.is_everything,
                is_thin=is_thin,
                carrying=carrying,
            )
            found = {hours[0]: trail for hours, trail in stored.items()}
            # What was rolled up, or changed, between these reads stands in one of the two.
            missing |= set(self._rollups.missing_hours(whole))
            missing.difference_update(*stored)
            counted, pending = self._rollups.to_count(missing)
            for at in counted:
                found[at] = self._made(at, at + HOUR_MS, read, is_thin=is_thin, carrying=carrying)
        for since, until in HOUR.outside(span.since, span.until):
            found[since] = self._made(since, until, read, is_thin=is_thin, carrying=carrying)
        trails = [found[at] for at in sorted(found)]
        for trail in trails:
            if further > 1:
                trail.thin_out(further)
            for step, has_it in on_trail:
                numbers = {hit >> SESSION_BITS for hit in trail.hits[step]}
                trail.keep({number for number in trail.numbers if (number in numbers) is has_it})
        if not rest.is_everything:
            keys = [key for trail in trails for key in trail.chosen_keys] if is_thin else None
            matching = self._matching(span, keys, rest)
            for trail in trails:
                trail.keep({number for number in trail.numbers if trail.keys[number] in matching})
        return Found(trails, pending, THIN * further if is_thin else 1)

    def _further(self, span: Span, rest: Filter) -> int:
        """Of how many visitors in a thin trail one is read; 0: all sessions are, not those of a thin trail."""
        started = self._rollups.rolled_up(span)
        conditions = sessions_where(self._database.dialect, rest.conditions, rest.text)
        if not conditions.reads_events:
            return int(started > SAMPLED_ABOVE)
        if started <= _EXAMINED_BY_EVENTS:
            return 0
        return Sample.of(started, _EXAMINED_BY_EVENTS * THIN).one_in

    def _made(self, since: int, until: int, steps: Sequence[Step], *, is_thin: bool, carrying: str | None) -> Trail:
        trail = self._trails.made(since, until).of(steps, carrying=carrying)
        if is_thin:
            trail.thin_out()
        return trail

    def _few(self, span: Span, where: Filter) -> list[str] | None:
        """Return the keys of the sessions of a filter; `None` if they are many, or if their events had to be read to know."""
        d = self._database.dialect
        conditions = sessions_where(d, where.conditions, where.text)
        if conditions.reads_events or span.until - span.since > LONGEST_MS:
            return None
        started = f"s.started_at >= {d['since']} AND s.started_at < {d['until']}"
        found = d.found.format(f"{started} AND {conditions.sql}")
        statement = f"SELECT {d.rows.format('key')} FROM (SELECT s.key FROM {found} LIMIT {_FEW + 1}) AS first"
        values = {**conditions.values, "since": span.since, "until": span.until}
        keys = wire.decode_names(self._database.read(statement, **values)[0])
        return keys if len(keys) <= _FEW else None

    def _matching(self, span: Span, keys: Sequence[str] | None, where: Filter) -> set[str]:
        """Return the keys of the sessions of a filter: of these ones, or of all of a span."""
        d = self._database.dialect
        conditions = sessions_where(d, where.conditions, where.text)
        started = f"s.started_at >= {d['since']} AND s.started_at < {d['until']}"
        among = started if keys is None else d.among.format("s.key", d["keys"])
        statement = f"SELECT {d.rows.format('s.key')} FROM sojourn_sessions AS s WHERE {among} AND {conditions.sql}"
        values: dict[str, object] = {**conditions.values, "since": span.since, "until": span.until}
        if keys is not None:
            values["keys"] = wire.encode(keys)
        return set(wire.decode_names(self._database.read(statement, **values)[0]))


def _count(trails: Sequence[Trail], step: Step, one_in: int) -> GoalCount:
    hits = sessions = 0
    visitors: set[int] = set()
    for trail in trails:
        of_step = trail.hits[step]
        numbers = {hit >> SESSION_BITS for hit in of_step}
        hits += len(of_step)
        sessions += len(numbers)
        visitors.update([trail.visitors[number] for number in numbers])
    return GoalCount(hits=hits * one_in, sessions=sessions * one_in, visitors=len(visitors) * one_in)
