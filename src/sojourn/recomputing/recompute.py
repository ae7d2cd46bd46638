"""Recompute the sessions of a span, visitor by visitor. Each change is one transaction: an interruption leaves whole sessions.

See P43 in docs/internals.md.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from sojourn.core.clock import SYSTEM_CLOCK
from sojourn.core.session import Rules
from sojourn.errors import SojournError
from sojourn.stores.model import VISITOR, Batch, DataSubject, TryAgain
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow

from .figures import Figures
from .rebuild import Rebuilt, rebuilt
from .replay import Kept, Planned, Recorded, may_split, replayed, segments

LEASE: Final = "recompute"
_LEASE_MS: Final = 60_000
_VISITORS_AT_ONCE: Final = 100
_SESSIONS_AT_ONCE: Final = 500
_MOST_EVENTS: Final = 5_000


@dataclass(slots=True)
class Recomputed:
    """What was found, and done. `kept`: sessions that stay as they are although others rules might change them, by why."""

    sessions: int = 0
    before: Figures = field(default_factory=Figures)
    after: Figures = field(default_factory=Figures)
    kept: Counter[str] = field(default_factory=Counter)
    changed: int = 0
    """Sessions that are others by these rules."""
    applied: int = 0


def check(rules: Rules) -> None:
    """Refuse rules that the log cannot show. Raises `SojournError`."""
    interval = rules.heartbeat_interval
    if interval is None:
        raise SojournError(
            "recompute: heartbeat_interval is off, so the log does not show when sessions were active between their pages"
        )
    if rules.idle_timeout < interval:
        msg = (
            f"--idle-timeout must be at least {interval // 1000} s (heartbeat_interval), got {rules.idle_timeout // 1000} s: "
            "activity that comes more often leaves no event, so the log cannot show shorter pauses"
        )
        raise SojournError(msg)


class Recomputation:
    """One run over an open store. Blocks; raises `SojournError`. One at a time, while it changes anything."""

    def __init__(self, store: Store, rules: Rules, *, since: int, until: int, applies: bool) -> None:
        check(rules)
        self._store = store
        self._rules = rules
        self._since, self._until = since, until
        self._applies = applies
        self._holder = f"recompute/{secrets.token_hex(8)}"
        self.done = Recomputed()

    def run(self) -> Iterator[None]:
        """Recompute; yields now and then, so that progress can be shown."""
        after = ""
        try:
            while visitors := self._store.recomputing.visitors(
                after=after, since=self._since, until=self._until, limit=_VISITORS_AT_ONCE
            ):
                self._hold()
                for visitor in visitors:
                    self._recompute(visitor)
                yield
                after = visitors[-1]
        finally:
            if self._applies:
                self._store.leases.release(self._holder)

    def _hold(self) -> None:
        if not self._applies:
            return
        now = self._store.time() or SYSTEM_CLOCK.now()
        if self._store.leases.acquire(LEASE, self._holder, now=now, until=now + _LEASE_MS) is None:
            raise SojournError(f"another recomputation of {self._store.name} is at work; try again when it is done")

    def _recompute(self, visitor: str) -> None:
        sessions = [self._recorded(row) for row in self._rows(visitor)]
        self.done.sessions += len(sessions)
        for segment in segments(sessions, self._rules):
            self._segment(segment)

    def _rows(self, visitor: str) -> list[SessionRow]:
        """The visitor's sessions that started in the span, in the order of time."""
        rows: list[SessionRow] = []
        after = ""
        while part := self._store.data_subjects.sessions_of(
            DataSubject(VISITOR, visitor), after=after, limit=_SESSIONS_AT_ONCE
        ):
            rows += [row for row in part if self._since <= row.started_at < self._until]
            after = part[-1].key
        return sorted(rows, key=lambda row: (row.started_at, row.key))

    def _recorded(self, row: SessionRow) -> Recorded:
        return self._with_events(row) if may_split(row, self._rules) else Recorded(row)

    def _with_events(self, row: SessionRow) -> Recorded:
        return Recorded(row, self._store.log.of_session(row.key, limit=_MOST_EVENTS))

    def _segment(self, segment: Sequence[Recorded]) -> None:
        rows = [session.row for session in segment]
        self.done.before.add(rows)
        outcome = self._planned(segment)
        if isinstance(outcome, Kept):
            self.done.kept[outcome] += len(rows)
        if isinstance(outcome, Rebuilt) and not self._may_change(outcome):
            self.done.kept["waiting"] += len(rows)
            outcome = None
        if not isinstance(outcome, Rebuilt):
            self.done.after.add(rows)
            return
        old = {*outcome.gone, *(row.key for row in outcome.rows)}
        unchanged = [row for row in rows if row.key not in old]
        self.done.after.add([*unchanged, *outcome.rows])
        self.done.changed += len(rows) - len(unchanged)
        if self._applies:
            self._apply([row for row in rows if row.key in old], outcome)

    def _planned(self, segment: Sequence[Recorded]) -> Rebuilt | Kept | None:
        """What takes the place of the segment; `None` if it stays because the rules say so."""
        planned = self._replayed(segment)
        if isinstance(planned, Kept) or all(each.is_unchanged for each in planned):
            return planned if isinstance(planned, Kept) and self._might_change(segment) else None
        planned = self._replayed([self._with_events(session.row) for session in segment])
        if isinstance(planned, Kept):
            return planned
        return rebuilt(planned, self._rules) or Kept.EXPIRED

    def _replayed(self, segment: Sequence[Recorded]) -> list[Planned] | Kept:
        if any(len(session.events or ()) >= _MOST_EVENTS for session in segment):
            return Kept.TOO_LONG
        return replayed(segment, self._rules)

    def _might_change(self, segment: Sequence[Recorded]) -> bool:
        return len(segment) > 1 or may_split(segment[0].row, self._rules)

    def _may_change(self, outcome: Rebuilt) -> bool:
        """Whether each backend is done with the events that are replaced."""
        settled = self._store.recomputing.settled()
        return settled is None or all(self._store.log.has_passed(settled, each) for each in outcome.positions)

    def _apply(self, rows: Sequence[SessionRow], outcome: Rebuilt) -> None:
        while True:
            try:
                with self._store.records.recording() as transaction:
                    loaded = transaction.load([row.key for row in rows])
                    if loaded.rows != {row.key: row for row in rows}:
                        self.done.kept["changed_meanwhile"] += len(rows)
                        return
                    transaction.save(
                        Batch(
                            rows=outcome.rows,
                            events=outcome.events,
                            withdrawn=outcome.replaced,
                            removed=outcome.gone,
                            is_local=True,
                        )
                    )
                self.done.applied += len(rows)
                return
            except TryAgain:
                continue
