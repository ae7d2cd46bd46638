"""What a batch of records needs of the store to be folded: rows, ends that no backend has read, tombstones, and aliases.

See P11 and P33 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sojourn.core.session import Rules
from sojourn.stores.recording_protocol import Recording
from sojourn.stores.rows import SessionRow

from .fold import Numbered, also_needed, own_keys, previous_keys
from .fold_in import begins_without_cookie, fold_in
from .suppression import Suppression, people


class BatchRows:
    """Loads within one transaction, in a constant number of statements.

    `has_others`: whether another host writes to the store, so that a successor may have to be folded in. `waits`: whether
    the rows of sessions before are needed at once, to see which record has to wait.
    """

    def __init__(self, transaction: Recording, rules: Rules, *, has_others: bool, waits: bool) -> None:
        self._transaction = transaction
        self._rules = rules
        self._has_others = has_others
        self._waits = waits
        self._aliases: Mapping[str, str] = {}
        self._in_progress: Mapping[str, str] = {}
        self.rows: dict[str, SessionRow] = {}
        self.unread: frozenset[str] = frozenset()
        self.suppression = Suppression()
        self.has_tombstones = False
        self.new_aliases: list[tuple[str, str, int]] = []
        """Keys that stand for another session from this batch on, that session, and when (ms)."""

    def load(self, records: Sequence[Numbered]) -> list[Numbered]:
        """Load what shows which records count, and for which sessions; return them as they count."""
        keys = own_keys(records)
        if self._waits or self._has_others:
            keys |= previous_keys(records)
        named = people(numbered.record for numbered in records)
        loaded = self._transaction.load(keys, people=named, reads_aliases=self._has_others)
        self.rows, self.unread, tombstones = loaded.rows, loaded.unread, loaded.tombstones
        if self._has_others:
            self._aliases = loaded.aliases
            if targets := set(self._aliases.values()) - self.rows.keys():
                self._add(targets)
            self._find_in_progress(records)
            records = self.counted(records)
            if self._aliases or self.new_aliases:
                of_targets = people(numbered.record for numbered in records)
                tombstones = {**tombstones, **self._transaction.load((), people=of_targets).tombstones}
        self.suppression = Suppression(tombstones)
        self.has_tombstones = bool(tombstones)
        return list(records)

    def counted(self, records: Sequence[Numbered]) -> list[Numbered]:
        """Return these records, or fewer than before, as they count."""
        if not self._has_others:
            return list(records)
        folded_in = fold_in(records, self.rows, self.unread, self._aliases, self._rules, in_progress=self._in_progress)
        self.new_aliases = [(key, target, self.rows[target].last_seen_at) for key, target in folded_in.aliases.items()]
        return folded_in.records

    def _find_in_progress(self, records: Sequence[Numbered]) -> None:
        """Load the open sessions of visitors without a cookie who begin another: no cookie has told this host of them."""
        visitors = {
            numbered.record.visitor_id
            for numbered in records
            if numbered.record.key not in self.rows and begins_without_cookie(numbered.record)
        }
        if visitors:
            self._in_progress = self._transaction.in_progress(visitors)
            if keys := set(self._in_progress.values()) - self.rows.keys():
                self._add(keys)

    def complete(self, records: Sequence[Numbered]) -> None:
        """Load what else folding these records needs."""
        needed = also_needed(records, self.rows)
        if needed.keys or needed.successors_of:
            self._add(needed.keys, successors_of=needed.successors_of)

    def _add(self, keys: frozenset[str] | set[str], *, successors_of: frozenset[str] = frozenset()) -> None:
        more = self._transaction.load(keys, successors_of=successors_of)
        self.rows = {**more.rows, **self.rows}
        self.unread |= more.unread
