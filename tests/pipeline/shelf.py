"""A store of a few lines: what folding record by record comes to, for laws to compare with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec

from sojourn.core.events import SESSION_END, SESSION_HEARTBEAT, Event
from sojourn.core.session import Rules
from sojourn.pipeline.record.fold import Folded, Numbered, also_needed, fold, own_keys, sweep
from sojourn.stores.rows import SessionRow
from tests.core.player import RULES, SERVICE

BOOKKEEPING = frozenset(
    {"activity", "anchor", "slot", "end_revision", "end_event_id", "late", "has_late_events", "user_conflicts"}
)
"""What events were made, and what was met on the way: not part of the join."""


class Shelf:
    """A store in memory that keeps only the changes that the recorder passes to it."""

    def __init__(self, rules: Rules = RULES) -> None:
        self.rules = rules
        self.log: list[Event] = []
        self.unread: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._rows: dict[str, bytes] = {}

    def rows(self) -> dict[str, SessionRow]:
        return {key: msgspec.msgpack.decode(row, type=SessionRow) for key, row in self._rows.items()}

    def apply(self, batch: Sequence[Numbered]) -> None:
        rows = self._load(own_keys(batch), ())
        needed = also_needed(batch, rows)
        rows = {**self._load(needed.keys, needed.successors_of), **rows}
        self._save(fold(batch, rows, self.rules, defaults=SERVICE, unread=self.unread))

    def sweep(self, as_of: int) -> None:
        self._save(sweep(self.rows().values(), self.rules, as_of=as_of))

    def deliver(self) -> None:
        """A backend reads all there is: from now on it can not be taken back."""
        self.unread.clear()

    def _load(self, keys: Collection[str], successors_of: Collection[str]) -> dict[str, SessionRow]:
        every = self.rows()
        wanted, after = set(keys), set(successors_of)
        while True:
            more = {row.key for row in every.values() if row.previous_key in after} - after
            if not more:
                break
            wanted |= more
            after |= more
        return {key: every[key] for key in wanted if key in every}

    def _save(self, folded: Folded) -> None:
        gone = set(folded.withdrawn)
        self.log = [event for event in self.log if event.id not in gone]
        known = {event.id for event in self.log}
        for event in folded.events:
            if event.id not in known:
                known.add(event.id)
                self.log.append(event)
                if event.name == SESSION_END:
                    self.unread.add(event.id)
        for key in folded.changed:
            self._rows[key] = msgspec.msgpack.encode(folded.rows[key])
        self.counts += folded.counts


def joined(rows: Mapping[str, SessionRow]) -> dict[str, dict[str, object]]:
    return {
        key: {name: getattr(row, name) for name in row.__struct_fields__ if name not in BOOKKEEPING}
        for key, row in rows.items()
    }


def event_ids(log: Iterable[Event]) -> set[tuple[str, str]]:
    """All but heartbeats and ends made anew: their number depends on the order of records."""
    return {
        (event.name, event.id)
        for event in log
        if event.name != SESSION_HEARTBEAT and "session.end_revision" not in event.attributes
    }
