"""A process as the others see it in the store: named after its journal, whose lock says whether it lives."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sojourn.core.clock import SYSTEM_CLOCK, Clock
from sojourn.stores.model import Lease
from sojourn.stores.protocol import Leases

from .journal import SYSTEM_FILES, FileJournal, Files, JournalDirectory, JournalReader, MemoryJournal

LEASE_MS: Final = 30_000


class LeaseHolder:
    """Asks for leases. Those of a dead process of this journal directory pass at once; all others when they are over."""

    def __init__(self, leases: Leases, journal: FileJournal | MemoryJournal, reader: JournalReader) -> None:
        self._leases = leases
        self._reader = reader
        self._place = reader.place() if isinstance(reader, JournalDirectory) else journal.id
        self.holder: Final = f"{self._place}/{journal.id}"

    @property
    def recorder_lease(self) -> str:
        """The lease for recording what is in this directory."""
        return f"recorder:{self._place}"

    def acquire(self, lease_name: str, now: int) -> Lease | None:
        """Take the lease, or go on with it, for 30 s from now. `None`: somebody else has it."""
        return self._leases.acquire(
            lease_name, self.holder, now=now, until=now + LEASE_MS, dead=self._dead_holder(lease_name)
        )

    def release(self) -> None:
        """Give all leases back."""
        self._leases.release(self.holder)

    def _dead_holder(self, lease_name: str) -> frozenset[str]:
        held = self._leases.holder(lease_name)
        if held is None or held.holder == self.holder:
            return frozenset()
        place, _, journal = held.holder.rpartition("/")
        is_dead = place == self._place and not self._reader.is_alive(journal)
        return frozenset({held.holder}) if is_dead else frozenset()


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
