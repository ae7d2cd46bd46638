"""A store over any database: its ports, put together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

from . import counting, wire
from .alerts import SQLAlerts
from .data_subjects import SQLDataSubjects
from .database import Database
from .definitions import SQLDefinitions
from .delivery import SQLDelivery
from .history import SQLHistory
from .imports import SQLImports
from .leases import SQLLeases
from .log import SQLLog
from .maintenance import SQLMaintenance
from .model import StoreStats
from .outbox import SQLOutbox
from .recomputing import SQLRecomputing
from .recording_protocol import Recording
from .records import SQLRecords
from .reporting.agents import SQLAgents
from .reporting.conversions import SQLConversions
from .reporting.report import SQLReport
from .reporting.rollups import Rollups
from .reporting.session_lists import SQLSessionLists
from .revocations import SQLRevocations
from .salts import SQLSalts


class SQLStore:
    """The ports of `Store`. A database adds how a batch is recorded, and the store's life."""

    def __init__(
        self,
        database: Database,
        *,
        recording: Callable[[], AbstractContextManager[Recording]],
        checkpoint: Callable[[], bool],
        replicas: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        self.database: Final = database
        self.rollups: Final = Rollups(database)
        self.records: Final = SQLRecords(database, recording)
        self.leases: Final = SQLLeases(database)
        self.revocations: Final = SQLRevocations(database)
        self.salts: Final = SQLSalts(database)
        self.log: Final = SQLLog(database)
        self.delivery: Final = SQLDelivery(database)
        self.outbox: Final = SQLOutbox(database)
        self.data_subjects: Final = SQLDataSubjects(database)
        self.sessions: Final = SQLSessionLists(database)
        self.conversions: Final = SQLConversions(database, self.rollups)
        self.report: Final = SQLReport(database, self.rollups, self.conversions)
        self.alerts: Final = SQLAlerts(database)
        self.definitions: Final = SQLDefinitions(database)
        self.maintenance: Final = SQLMaintenance(database, self.rollups, checkpoint, replicas)
        self.agents: Final = SQLAgents(database)
        self.history: Final = SQLHistory(database)
        self.imports: Final = SQLImports(database)
        self.recomputing: Final = SQLRecomputing(database)
        d = database.dialect
        self._stats: Final = f"""
SELECT (SELECT {d.totals.format("name", "value")} FROM sojourn_counters),
       (SELECT COUNT(*) FROM sojourn_sessions),
       (SELECT COUNT(*) FROM sojourn_sessions WHERE end_reason IS NULL),
       {counting.STORED},
       (SELECT {d.rows.format(counting.state(d, counting.BACKLOG))} FROM sojourn_backends),
       {d.size}
"""  # noqa: S608 - every part is written here

    def stats(self) -> StoreStats:
        counters, sessions, open_sessions, events, states, size = self.database.read(self._stats)
        return StoreStats(
            counters=wire.decode_totals(counters),
            sessions=sessions,
            open_sessions=open_sessions,
            events=events,
            backends=tuple(wire.decode_states(states)),
            size=int(size),
        )
