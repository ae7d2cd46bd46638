"""All faults, in the order in which they run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from . import backends, backlog, damage, disks, fleet, inbox, killing, stores, unhooked
from .scene import Fault

FAULTS: Final[Sequence[Fault]] = (
    *killing.FAULTS,
    *backends.FAULTS,
    *stores.FAULTS,
    *inbox.FAULTS,
    *disks.FAULTS,
    *damage.FAULTS,
    *fleet.FAULTS,
    *backlog.FAULTS,
    *unhooked.FAULTS,
)
