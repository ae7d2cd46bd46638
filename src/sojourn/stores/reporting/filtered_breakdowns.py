"""Breakdowns of the sessions of a filter: read from the sessions themselves, or from a sample of them.

Of many sessions those of some visitors are read, as for the figures of a filter: ids of visitors are random, so that is a fair
sample. Events are read of fewer sessions still, since each has many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from sojourn.stores.database import Database

from .breakdown_reader import visits_of
from .breakdowns import BREAKDOWNS, EventFacts, SessionFacts, Table, Visit, breakdown_of, scaled
from .breakdowns_sql import BreakdownStatements
from .filters_sql import Conditions, sessions_where
from .model import Breakdowns, Filter, Span

_EXAMINED: Final = 20_000
"""Of more sessions than this in the span, a sample is read."""
_EXAMINED_BY_EVENTS: Final = 10_000
"""The same where the filter itself reads the events of each session."""
_EXAMINED_WITH_EVENTS: Final = 2_000
_FEW: Final = 500
"""Fewer sessions than this in a sample say too little; then all of the span are read, unless that takes their events."""
_PREFIXES: Final = 2**32

_sessions: Final = msgspec.json.Decoder(list[SessionFacts], strict=False)
_events: Final = msgspec.json.Decoder(list[EventFacts])


class FilteredBreakdowns:
    """Reads the sessions of a filter."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = BreakdownStatements(database.dialect)

    def of_filter(self, where: Filter, span: Span, names: Sequence[str], started: int) -> Breakdowns:
        """Return the tables of the sessions of a filter, of the `started` sessions of the span."""
        conditions = sessions_where(self._database.dialect, where.conditions, where.text)
        one_in = 1
        while started > (_EXAMINED_BY_EVENTS if conditions.reads_events else _EXAMINED) * one_in:
            one_in *= 2
        sessions = self._read(conditions, span, one_in)
        if one_in > 1 and len(sessions) < _FEW and not conditions.reads_events:
            one_in = 1
            sessions = self._read(conditions, span, one_in)
        tables: dict[str, Table] = {}
        plain = [Visit(session) for session in sessions]
        factor = float(one_in)
        for breakdown in (BREAKDOWNS[name] for name in names if not BREAKDOWNS[name].reads_events):
            tables[breakdown.name] = _scaled(breakdown_of(plain, breakdown), factor)
        with_events = [BREAKDOWNS[name] for name in names if BREAKDOWNS[name].reads_events]
        if with_events:
            chosen = sessions[:: -(-len(sessions) // _EXAMINED_WITH_EVENTS) or 1]
            factor *= len(sessions) / len(chosen) if chosen else 1
            visits = list(visits_of(chosen, self._events_of(chosen)))
            for breakdown in with_events:
                tables[breakdown.name] = _scaled(breakdown_of(visits, breakdown), factor)
        return Breakdowns(tables=tables, is_sampled=factor > 1)

    def _read(self, conditions: Conditions, span: Span, one_in: int) -> list[SessionFacts]:
        values: dict[str, object] = {**conditions.values, "since": span.since, "until": span.until}
        if one_in > 1:
            values["below"] = f"{_PREFIXES // one_in:08x}"
        statement = self._sql.sessions(*conditions.parts, is_sampled=one_in > 1)
        return _sessions.decode(self._text(statement, values))

    def _events_of(self, sessions: Sequence[SessionFacts]) -> list[EventFacts]:
        keys = msgspec.json.encode([session.key for session in sessions]).decode()
        return _events.decode(self._text(self._sql.events_of, {"keys": keys})) if sessions else []

    def _text(self, statement: str, values: Mapping[str, object]) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def _scaled(table: Table, factor: float) -> Table:
    return table if factor == 1 else scaled(table, factor)
