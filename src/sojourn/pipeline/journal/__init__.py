"""The journal: where a request leaves its record, and where the recorder finds it, whatever became of the process.

One process writes one journal: a random id, a lock file that says whether its owner lives, and segments of frames. Any
process of the host may read. The request path must never wait and never fail because of it; a full disk, a killed
process and a fork are everyday matters. Payloads are bytes: the journal does not know what a record means.

See P4, P5, P6 and P7 in docs/internals.md.
"""

from __future__ import annotations

from .files import SYSTEM_FILES, Files
from .format import MAX_PAYLOAD, SEGMENT_SIZE
from .memory import MemoryJournal
from .opening import open_files, open_journal
from .protocol import Frame, Journal, JournalReader, JournalStats, Reading
from .reader import JournalDirectory
from .writer import FileJournal

__all__ = [
    "MAX_PAYLOAD",
    "SEGMENT_SIZE",
    "SYSTEM_FILES",
    "FileJournal",
    "Files",
    "Frame",
    "Journal",
    "JournalDirectory",
    "JournalReader",
    "JournalStats",
    "MemoryJournal",
    "Reading",
    "open_files",
    "open_journal",
]
