"""Who records and who delivers: leases in the store, held in the name of this process's journal.

A free lock of a journal means that its process is dead, so a lease of a dead process of this host passes on at once.

See P8 and P20 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sojourn.core.clock import SYSTEM_CLOCK, Clock
from sojourn.stores.model import Lease
from sojourn.stores.protocol import Leases

from .journal import SYSTEM_FILES, FileJournal, Files, JournalDirectory, JournalReader, MemoryJournal

LEASE_MS: Final = 30_000


class LeaseHolder:
    """This process as a lease holder. Its name is the place of its journal directory and the journal's id."""

    def __init__(self, leases: Leases, journal: FileJournal | MemoryJournal, reader: JournalReader) -> None:
        self._leases = leases
        self._reader = reader
        self._place = reader.place() if isinstance(reader, JournalDirectory) else journal.id
        self.holder: Final = f"{self._place}/{journal.id}"

    @property
    def recorder_lease(self) -> str:
        """The name of the lease for recording the journals of this directory."""
        return f"recorder:{self._place}"

    def acquire(self, lease_name: str, now: int) -> Lease | None:
        """Take or renew the lease, for 30 s from now. `None`: another process holds it. Raises `StoreError`."""
        return self._leases.acquire(
            lease_name, self.holder, now=now, until=now + LEASE_MS, dead=self._dead_holder(lease_name)
        )

    def release(self) -> None:
        """Give all leases back. Raises `StoreError`."""
        self._leases.release(self.holder)

    def _dead_holder(self, lease_name: str) -> frozenset[str]:
        lease = self._leases.holder(lease_name)
        if lease is None or lease.holder == self.holder:
            return frozenset()
        place, _, journal = lease.holder.rpartition("/")
        is_dead = place == self._place and not self._reader.is_alive(journal)
        return frozenset({lease.holder}) if is_dead else frozenset()


class Leadership:
    """Whether this process records for its journal directory. `on_election` runs when it becomes the recorder."""

    def __init__(self, holder: LeaseHolder, *, on_election: Callable[[], None]) -> None:
        self._holder = holder
        self._on_election = on_election
        self._until = 0
        self.is_recorder = False

    def acquire(self, lease_name: str, now: int) -> Lease | None:
        """Take or renew a lease in the name of the present journal."""
        return self._holder.acquire(lease_name, now)

    def stand(self, now: int) -> bool:
        """Be the recorder if no other process is, and return whether this one is. Renews at half the lease's time."""
        if self.is_recorder and self._until - now > LEASE_MS // 2:
            return True
        has_lease = self.acquire(self._holder.recorder_lease, now) is not None
        if has_lease and not self.is_recorder:
            self._on_election()
        self.is_recorder = has_lease
        self._until = now + LEASE_MS if has_lease else 0
        return has_lease

    def step_down(self) -> None:
        """Give all leases back, so that another process may take them at once. Raises `StoreError`."""
        self._holder.release()
        self.is_recorder, self._until = False, 0

    def change(self, holder: LeaseHolder) -> LeaseHolder:
        """Go on under another journal's name, as one that is not elected yet; return the holder of before."""
        before, self._holder = self._holder, holder
        self.is_recorder, self._until = False, 0
        return before


def reader_of(
    journal: FileJournal | MemoryJournal,
    directory: Path | None,
    *,
    files: Files = SYSTEM_FILES,
    clock: Clock = SYSTEM_CLOCK,
) -> JournalReader:
    """Return what reads this journal and the others in its directory."""
    if isinstance(journal, MemoryJournal):
        return journal
    return JournalDirectory(directory or Path(), files=files, now=clock.now)
