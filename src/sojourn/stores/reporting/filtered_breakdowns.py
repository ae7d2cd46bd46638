"""Breakdowns of the sessions of a filter: read from the sessions themselves, or from a sample of them.

Events are read of fewer sessions still, since each has many.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sojourn.stores.database import Database

from .breakdowns import BREAKDOWNS, Table, scaled, tables_of
from .model import Breakdowns, Filter, Span
from .sampling import select
from .visit_reader import VisitReader
from .visits import Visit

_READ: Final = 3_000
"""About so many matching sessions are counted, or a few more."""
_READ_WITH_EVENTS: Final = 800


class FilteredBreakdowns:
    """Reads the sessions of a filter."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._visits = VisitReader(database)

    def of_filter(self, where: Filter, span: Span, names: Sequence[str], started: int) -> Breakdowns:
        """Return the tables of the sessions of a filter, of the `started` sessions of the span."""
        selection = select(self._database, where, span, started, most=_READ)
        sessions = self._visits.among(selection.tables, selection.values)
        factor = float(selection.one_in)
        plain = [name for name in names if not BREAKDOWNS[name].reads_events]
        tables = _scaled(tables_of(map(Visit, sessions), plain), factor)
        with_events = [name for name in names if BREAKDOWNS[name].reads_events]
        if with_events:
            chosen = sessions[:: -(-len(sessions) // _READ_WITH_EVENTS) or 1]
            factor *= len(sessions) / len(chosen) if chosen else 1
            tables |= _scaled(tables_of(self._visits.with_events(chosen), with_events), factor)
        return Breakdowns(tables=tables, is_sampled=factor > 1)


def _scaled(tables: dict[str, Table], factor: float) -> dict[str, Table]:
    return tables if factor == 1 else {name: scaled(table, factor) for name, table in tables.items()}
