"""The journal: requests append their records to it, and the recorder reads them, whatever became of the process.

One process writes one journal: a random id, a lock file that says whether its owner is alive, and segments of frames. Any
process of the host may read it. The request path never waits for it and never fails because of it; full disks, killed
processes and forks are expected. Payloads are bytes: what they mean is none of the journal's business.

See P4, P5, P6 and P7 in docs/internals.md.
"""

from __future__ import annotations

from .damaged import examine
from .erasing import JournalEraser
from .files import SYSTEM_FILES, Files
from .format import ERASED, MAX_PAYLOAD, SEGMENT_SIZE
from .memory import MemoryJournal
from .opening import open_files, open_journal
from .protocol import Damage, Frame, Journal, JournalReader, JournalStats, Reading
from .reader import JournalDirectory
from .writer import TURN_OVER_MS, FileJournal

__all__ = [
    "ERASED",
    "MAX_PAYLOAD",
    "SEGMENT_SIZE",
    "SYSTEM_FILES",
    "TURN_OVER_MS",
    "Damage",
    "FileJournal",
    "Files",
    "Frame",
    "Journal",
    "JournalDirectory",
    "JournalEraser",
    "JournalReader",
    "JournalStats",
    "MemoryJournal",
    "Reading",
    "examine",
    "open_files",
    "open_journal",
]
