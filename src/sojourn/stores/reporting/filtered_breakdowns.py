"""Breakdowns of the sessions of a filter: read from the sessions themselves, or from a sample of them.

Events are read of fewer sessions still, since each has many.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from sojourn.stores.database import Database

from .breakdown_reader import visits_of
from .breakdowns import BREAKDOWNS, EventFacts, SessionFacts, Table, Visit, breakdown_of, scaled
from .breakdowns_sql import BreakdownStatements
from .model import Breakdowns, Filter, Span
from .sampling import select

_READ: Final = 3_000
"""About so many matching sessions are counted, or a few more."""
_READ_WITH_EVENTS: Final = 800

_sessions: Final = msgspec.json.Decoder(list[SessionFacts], strict=False)
_events: Final = msgspec.json.Decoder(list[EventFacts])


class FilteredBreakdowns:
    """Reads the sessions of a filter."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = BreakdownStatements(database.dialect)

    def of_filter(self, where: Filter, span: Span, names: Sequence[str], started: int) -> Breakdowns:
        """Return the tables of the sessions of a filter, of the `started` sessions of the span."""
        selection = select(self._database, where, span, started, most=_READ)
        sessions = _sessions.decode(self._text(self._sql.facts(selection.tables), selection.values))
        tables: dict[str, Table] = {}
        plain = [Visit(session) for session in sessions]
        factor = float(selection.one_in)
        for breakdown in (BREAKDOWNS[name] for name in names if not BREAKDOWNS[name].reads_events):
            tables[breakdown.name] = _scaled(breakdown_of(plain, breakdown), factor)
        with_events = [BREAKDOWNS[name] for name in names if BREAKDOWNS[name].reads_events]
        if with_events:
            chosen = sessions[:: -(-len(sessions) // _READ_WITH_EVENTS) or 1]
            factor *= len(sessions) / len(chosen) if chosen else 1
            visits = list(visits_of(chosen, self._events_of(chosen)))
            for breakdown in with_events:
                tables[breakdown.name] = _scaled(breakdown_of(visits, breakdown), factor)
        return Breakdowns(tables=tables, is_sampled=factor > 1)

    def _events_of(self, sessions: Sequence[SessionFacts]) -> list[EventFacts]:
        keys = msgspec.json.encode([session.key for session in sessions]).decode()
        return _events.decode(self._text(self._sql.events_of, {"keys": keys})) if sessions else []

    def _text(self, statement: str, values: Mapping[str, object]) -> str:
        text: str = self._database.read(statement, **values)[0]
        return text


def _scaled(table: Table, factor: float) -> Table:
    return table if factor == 1 else scaled(table, factor)
