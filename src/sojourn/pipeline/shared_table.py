"""What the processes of one host know of sessions before the store does: a bounded table in shared memory.

One file beside the journal, mapped by every process of the host and read on the request path without a lock. It holds
hints, never the truth: the cookie and the store's row stay the authorities, and a lost entry costs no more than what a
worker knew without it. It survives restarts.

Writers race, so nothing spans two words. A slot is a key of two words and values of one word each; a value carries 16
bits of its key, so one that a racing writer left behind for another session is not believed. Storing an aligned word
through a map is one instruction, as it is for the journal's frames. Two racing writers of one value may lose one of
them: a count of a network or an activity some milliseconds younger. An end is never lost: nothing takes it back.

See P26 in docs/internals.md.
"""

from __future__ import annotations

import mmap
import struct
from hashlib import blake2b
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from sojourn.core.session import EndReason

from .journal import SYSTEM_FILES, Files
from .shared_file import map_shared

FILE_NAME: Final = "sessions.table"
SESSIONS: Final = 32_768
NETWORKS: Final = 8_192

_MAGIC: Final = b"sojourn-table-1\n"
_HEADER: Final = struct.Struct("<16sQQ")
_HEADER_SIZE: Final = 4096

_WAYS: Final = 8
"""Slots in which a key may lie: of eight, the one idle for longest gives way."""
_SLOT: Final = 16
_ACTIVITY, _REVISION, _END, _FLAGS, _TARGETS = 2, 3, 4, 5, 6
_MOMENT: Final = _TARGETS
_COUNT_SLOT: Final = 2

_LOOK: Final = struct.Struct("@5Q").unpack_from
"""Key, activity, revision and end of a slot in one call."""
_LOOK_AT_TARGETS: Final = struct.Struct(f"@{_SLOT - _TARGETS}Q").unpack_from
_NOTHING: Final = (0, 0, 0)
_NO_SLOT: Final = (-1, -1, -1, -1, -1)
"""What no slot holds, a free one neither."""

_CHECK_BITS: Final = 48
_VALUE: Final = (1 << _CHECK_BITS) - 1
_WORD: Final = (1 << 64) - 1
_AT_BITS: Final = 45
_AT: Final = (1 << _AT_BITS) - 1
_REASONS: Final = tuple(EndReason)


def key_of(session_key: str) -> int:
    """The table's key of a session: its UUID as a number."""
    return int(session_key.replace("-", ""), 16)


def digest_of(kind: str, name: str) -> int:
    """The table's key of anything else, such as a visitor. `kind` keeps names of different things apart."""
    return int.from_bytes(blake2b(f"{kind}:{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest())


class SharedSession:
    """One session in the table. Safe to keep: when another session has taken its slot, it finds or makes a new one."""

    __slots__ = ("_check", "_high", "_low", "_offset", "_seen", "_table")

    def __init__(self, table: SharedTable, key: int) -> None:
        self._table = table
        self._high = key >> 64 & _WORD or 1  # zero is a free slot
        self._low = key & _WORD
        self._check = self._low >> _CHECK_BITS << _CHECK_BITS or 1 << _CHECK_BITS
        self._offset = table.find(self._high, self._low)
        self._seen = (_NO_SLOT, _NOTHING)
        """The slot as `look` saw it last, and what that means: most requests come between two notes."""

    @property
    def is_present(self) -> bool:
        """Whether the table has this session."""
        words, offset = self._table.words, self._offset
        if offset >= 0 and words[offset] == self._high and words[offset + 1] == self._low:
            return True
        self._offset = self._table.find(self._high, self._low)
        return self._offset >= 0

    def look(self) -> tuple[int, int, int]:
        """Last activity (milliseconds since the epoch), revision with logout counter, and end; 0 where unknown.

        For the request path: half a microsecond. `last_seen_at`, `revision` and `end` are the same, one by one.
        """
        offset = self._offset
        if offset < 0 and (offset := self._table.find(self._high, self._low)) < 0:
            return _NOTHING
        self._offset = offset
        slot = _LOOK(self._table.words, offset << 3)
        seen, noted = self._seen
        if slot == seen:
            return noted
        high, low, activity, revision, end = slot
        if low != self._low or high != self._high:
            self._offset = -1  # another session has the slot; where this one is, if anywhere, the next look finds
            return _NOTHING
        check = self._check
        noted = (
            activity & _VALUE if activity & ~_VALUE == check else 0,
            revision & _VALUE if revision & ~_VALUE == check else 0,
            end & _VALUE if end & ~_VALUE == check else 0,
        )
        self._seen = slot, noted
        return noted

    @property
    def last_seen_at(self) -> int:
        """The last activity that any process saw, in milliseconds since the epoch; 0: none is known."""
        return self.look()[0]

    def see(self, at: int) -> None:
        """Note activity. Time never runs back."""
        if at > self._read(_ACTIVITY):
            self._write(_ACTIVITY, at, at)

    @property
    def revision(self) -> tuple[int, int]:
        """The highest revision and logout counter that any process made; zeros: none is known."""
        value = self.look()[1]
        return value >> 16 & 0xFFFF, value & 0xFFFF

    def revise(self, revision: int, logouts: int, at: int) -> None:
        """Note a change of the session's user or flags. Neither number ever falls."""
        known, known_logouts = self.revision
        merged = (max(revision, known) << 16) | max(logouts, known_logouts)
        if merged != (known << 16) | known_logouts:
            self._write(_REVISION, merged, at)

    @property
    def end(self) -> tuple[EndReason, int] | None:
        """Why and when (milliseconds since the epoch) a call ended this session; `None`: none did."""
        value = self.look()[2]
        number = value >> _AT_BITS
        return (_REASONS[number - 1], value & _AT) if 0 < number <= len(_REASONS) else None

    def seal(self, reason: EndReason, at: int) -> None:
        """Note the end of the session. The first one holds, but an opt-out outranks all others."""
        if reason is EndReason.OPTED_OUT or not self._read(_END):
            self._write(_END, (_REASONS.index(reason) + 1) << _AT_BITS | (at & _AT), at)

    @property
    def moment(self) -> int:
        """What `put_moment` put, of an entry that is no session: milliseconds since the epoch; 0: nothing."""
        return self._read(_MOMENT)

    def put_moment(self, at: int) -> None:
        """Note a moment, instead of the one before. What is noted for the future gives way last."""
        self.see(at)
        self._write(_MOMENT, at, at)

    @property
    def is_in_use(self) -> bool:
        """Whether a fetch extended this session: its page is one that is used without navigations."""
        return self._read(_FLAGS) != 0

    def mark_in_use(self, at: int) -> None:
        if not self._read(_FLAGS):
            self._write(_FLAGS, 1, at)

    def targets(self) -> list[int]:
        """What `put_target` put, by place; 0: nothing."""
        if not self.is_present:
            return [0] * (_SLOT - _TARGETS)
        check, values = self._check, _LOOK_AT_TARGETS(self._table.words, self._offset + _TARGETS << 3)
        return [value & _VALUE if value & ~_VALUE == check else 0 for value in values]

    def put_target(self, place: int, value: int, at: int) -> None:
        """Remember 48 bits about a target that the session's page fetched."""
        self._write(_TARGETS + place, value, at)

    def forget_targets(self) -> None:
        """A new page: every target is new again."""
        if self.is_present and self._table.words[self._offset + _TARGETS]:  # the first place is taken first
            for word in range(_TARGETS, _SLOT):
                self._table.words[self._offset + word] = 0

    def _read(self, word: int) -> int:
        if not self.is_present:
            return 0
        value = self._table.words[self._offset + word]
        return value & _VALUE if value & ~_VALUE == self._check else 0

    def _write(self, word: int, value: int, at: int) -> None:
        if not self.is_present:
            self._offset = self._table.take(self._high, self._low)
            if word != _ACTIVITY:  # what gives way first is decided by activity
                self._table.words[self._offset + _ACTIVITY] = self._check | at & _VALUE
        self._table.words[self._offset + word] = self._check | value & _VALUE


class SharedTable:
    """The table of one host. Opened on first use; where it cannot be a mapped file, known to this process alone.

    `folder`: where the file is; `None` for a table in memory. Any thread may use it; a forked child shares it.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        files: Files = SYSTEM_FILES,
        sessions: int = SESSIONS,
        networks: int = NETWORKS,
    ) -> None:
        self._folder = folder
        self._files = files
        self._sessions, self._networks = sessions, networks
        self._buckets = sessions // _WAYS
        self._counts = sessions * _SLOT
        self._mapped: mmap.mmap | None = None
        self._is_open = False
        self.words = self._zeros()

    @property
    def is_shared(self) -> bool:
        """Whether other processes see it."""
        return self._mapped is not None

    def session(self, session_key: str) -> SharedSession:
        """The entry of a session. None is made until something is noted."""
        return self.entry(key_of(session_key))

    def entry(self, key: int) -> SharedSession:
        """The entry of any key: see `digest_of`."""
        self.open()
        return SharedSession(self, key)

    def open(self) -> None:
        """Map the file, and make it if there is none. Idempotent; a file that cannot be mapped is logged once."""
        if self._is_open:
            return
        self._is_open = True
        if self._folder is None:
            return
        header = _HEADER.pack(_MAGIC, self._sessions, self._networks)
        size = _size(self._sessions, self._networks)
        self._mapped = map_shared(self._files, self._folder / FILE_NAME, header, size, what="sessions")
        if self._mapped is not None:
            self.words = memoryview(self._mapped).cast("Q")[_HEADER_SIZE >> 3 :]

    def close(self) -> None:
        """Give the file back. What is used afterwards is in memory until the table is opened again."""
        self._is_open = False
        if self._mapped is not None:
            self.words = self._zeros()
            self._mapped = None  # unmapped when the last request that looks at it is done

    def count(self, network: int, window: int) -> int:
        """Count one more for a network in this window of time (a number that only grows); return how many there are.

        About right: two processes that count at the same instant may count one.
        """
        self.open()
        tag = network & _WORD or 1
        words, first = self.words, self._counts + network % (self._networks // _WAYS) * _WAYS * _COUNT_SLOT
        window &= 0xFFFFFFFF
        oldest, oldest_value = first, 1 << 64
        for offset in range(first, first + _WAYS * _COUNT_SLOT, _COUNT_SLOT):
            value = words[offset + 1]
            if words[offset] == tag:
                number = (value & 0xFFFFFFFF) + 1 if value >> 32 == window else 1
                words[offset + 1] = window << 32 | min(number, 0xFFFFFFFF)
                return number
            if value < oldest_value:  # of one window the smallest: many networks do not push out one that floods
                oldest, oldest_value = offset, value
        words[oldest] = tag
        words[oldest + 1] = window << 32 | 1
        return 1

    def find(self, high: int, low: int) -> int:
        """The place of a key, or -1."""
        words, first = self.words, low % self._buckets * _WAYS * _SLOT
        for offset in range(first, first + _WAYS * _SLOT, _SLOT):
            if words[offset] == high and words[offset + 1] == low:
                return offset
        return -1

    def take(self, high: int, low: int) -> int:
        """Make room for a key: a free slot of its bucket, else that of the session idle for longest."""
        words, first = self.words, low % self._buckets * _WAYS * _SLOT
        offsets = range(first, first + _WAYS * _SLOT, _SLOT)
        taken = min(offsets, key=lambda offset: words[offset] and (words[offset + _ACTIVITY] & _VALUE) + 1)
        words[taken] = 0
        for word in range(_ACTIVITY, _SLOT):
            words[taken + word] = 0
        words[taken + 1] = low
        words[taken] = high  # last: until now nothing finds it
        return taken

    def _zeros(self) -> memoryview:
        """As many words as the file has, so that an entry which is held keeps a place. Costs nothing until used."""
        return memoryview(bytearray(_size(self._sessions, self._networks) - _HEADER_SIZE)).cast("Q")


def in_memory(folder: Path | None = None) -> SharedTable:
    """A table in memory; one for all engines of this process that name the same folder.

    For engines with a manual clock, whose journals are in memory too: they behave as the workers of one host.
    """
    if folder is None:
        return SharedTable(None)
    return _in_memory.setdefault(str(folder), SharedTable(None))


_in_memory: WeakValueDictionary[str, SharedTable] = WeakValueDictionary()


def _size(sessions: int, networks: int) -> int:
    return _HEADER_SIZE + 8 * (sessions * _SLOT + networks * _COUNT_SLOT)
