"""What the processes of one host know of visitors without a cookie: a bounded file that each of them maps.

It stands for the browser's cookie: per visitor of a day the state of the session, as the request path packs it, and
before these the salts of the days. Read and written on the request path, without a lock.

Writers race, so whatever spans two words has a checksum. A torn value counts as none: its visitor's session goes on
all the same where it began lately, since its key is derived. What is written last holds; the request path looks before
that it overwrites nothing newer. Of visitors that fill a bucket, the one idle for longest gives way.

See S18 and P26 in docs/internals.md.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path
from typing import Final, NamedTuple
from weakref import WeakValueDictionary
from zlib import crc32

from sojourn.core.threads import sleep

from .journal import SYSTEM_FILES, Files
from .shared_file import map_shared

FILE_NAME: Final = "visitors.table"
VISITORS: Final = 32_768

_MAGIC: Final = b"sojourn-daily-1\n"
_HEADER: Final = struct.Struct("<16sQ")
_HEADER_SIZE: Final = 4096

_SALTS_AT: Final = 1024
_SALTS: Final = 8
_SALT: Final = struct.Struct("<QQQ32sI4x")
"""The day's start, until when the salt is of use (ms), what it is, the salt, and a checksum."""
_SALT_CONTENT: Final = 56
_SALT_SIZE: Final = 64
_OWN, _AGREED, _DISPLACED = 1, 2, 3

_WAYS: Final = 8
_SLOT: Final = 256
_HEAD: Final = struct.Struct("<16sIHHQ")
"""The visitor's hash, a checksum of all that follows with it, the length of the state, the generation, and when (ms)."""
_CHECKED_FROM: Final = 20
"""Where the checksum ends; the hash before it counts by itself."""
_SLICE: Final = 256
LONGEST_STATE: Final = _SLOT - _HEAD.size


class DaySalt(NamedTuple):
    """The salt of a day. `is_agreed`: it is the store's, which all hosts have."""

    starts_at: int
    until: int
    salt: bytes
    is_agreed: bool
    is_displaced: bool
    """This host made it, and then learned that the store has another: only sessions in progress are looked for by it."""


class VisitorTable:
    """The table of one host. Opened on first use; where it cannot be a mapped file, known to this process alone.

    `folder`: where the file is; `None` for a table in memory. Any thread may use it; a forked child shares it.
    """

    def __init__(self, folder: Path | None, *, files: Files = SYSTEM_FILES, visitors: int = VISITORS) -> None:
        self._folder = folder
        self._files = files
        self._visitors = visitors
        self._buckets = visitors // _WAYS
        self._mapped: mmap.mmap | None = None
        self._is_open = False
        self._bytes = self._zeros()
        self._read: tuple[bytes, tuple[DaySalt, ...]] = (b"", ())

    def open(self) -> None:
        """Map the file, and make it if there is none. Idempotent; a file that cannot be mapped is logged once."""
        if self._is_open:
            return
        self._is_open = True
        if self._folder is None:
            return
        header = _HEADER.pack(_MAGIC, self._visitors)
        size = _HEADER_SIZE + self._visitors * _SLOT
        self._mapped = map_shared(self._files, self._folder / FILE_NAME, header, size, what="visitors")
        if self._mapped is not None:
            self._bytes = memoryview(self._mapped)

    def close(self) -> None:
        """Give the file back. What is used afterwards is in memory until the table is opened again."""
        self._is_open = False
        if self._mapped is not None:
            self._bytes = self._zeros()
            self._mapped = None  # unmapped when the last request that looks at it is done

    # --- visitors

    def get(self, hashed: bytes) -> tuple[int, bytes] | None:
        """The generation of this visitor, and the state of the session; empty where the visitor has left it."""
        self.open()
        place = self._find(hashed)
        if place < 0:
            return None
        slot = bytes(self._bytes[place : place + _SLOT])
        _, checksum, length, generation, _ = _HEAD.unpack_from(slot)
        if length > LONGEST_STATE or crc32(slot[_CHECKED_FROM : _HEAD.size + length], crc32(hashed)) != checksum:
            return None
        return generation, slot[_HEAD.size : _HEAD.size + length]

    def put(self, hashed: bytes, generation: int, state: bytes, at: int) -> None:
        """Keep the state of this visitor's session; `at`: its last activity. Longer than `LONGEST_STATE` it is not kept."""
        if len(state) > LONGEST_STATE:
            return
        self.open()
        place = self._find(hashed)
        if place < 0:
            place = self._take(hashed)
        content = _HEAD.pack(hashed, 0, len(state), generation & 0xFFFF, max(at, 1)) + state
        checksum = crc32(content[_CHECKED_FROM:], crc32(hashed))
        self._bytes[place : place + len(content)] = hashed + checksum.to_bytes(4, "little") + content[_CHECKED_FROM:]

    def forget_visitors(self, before: int) -> None:
        """Overwrite what is kept of sessions that were last active before this time (ms). Lets other threads run meanwhile."""
        self.open()
        content = self._bytes
        for number, place in enumerate(range(_HEADER_SIZE, _HEADER_SIZE + self._visitors * _SLOT, _SLOT)):
            if number % _SLICE == 0:
                sleep(0)
            if 0 < int.from_bytes(content[place + 24 : place + 32], "little") < before:
                content[place : place + _SLOT] = bytes(_SLOT)

    def _find(self, hashed: bytes) -> int:
        content, first = self._bytes, self._bucket(hashed)
        for place in range(first, first + _WAYS * _SLOT, _SLOT):
            if content[place : place + 16] == hashed:
                return place
        return -1

    def _take(self, hashed: bytes) -> int:
        content, first = self._bytes, self._bucket(hashed)
        places = range(first, first + _WAYS * _SLOT, _SLOT)
        return min(places, key=lambda place: int.from_bytes(content[place + 24 : place + 32], "little"))

    def _bucket(self, hashed: bytes) -> int:
        return _HEADER_SIZE + int.from_bytes(hashed[:8], "little") % self._buckets * _WAYS * _SLOT

    # --- salts

    def salts(self) -> tuple[DaySalt, ...]:
        """All salts that are there. For the request path: they are decoded when they have changed."""
        self.open()
        content = bytes(self._bytes[_SALTS_AT : _SALTS_AT + _SALTS * _SALT_SIZE])
        read, salts = self._read
        if content != read:
            salts = tuple(filter(None, (_decoded(content, place) for place in range(_SALTS))))
            self._read = content, salts
        return salts

    def salt_of(self, starts_at: int, *, until: int) -> DaySalt:
        """The salt of a day; one that this host makes now, if there is none."""
        made = next((each for each in self.salts() if _is_of(each, starts_at)), None)
        if made is None:
            self._put_salt(DaySalt(starts_at, until, os.urandom(32), is_agreed=False, is_displaced=False))
            # What is there now counts, should another process have been quicker.
            made = next((each for each in self.salts() if _is_of(each, starts_at)), None)
        return made or DaySalt(starts_at, until, os.urandom(32), is_agreed=False, is_displaced=False)

    def agree(self, starts_at: int, salt: bytes, *, until: int, keep_own_until: int) -> None:
        """Use the store's salt for a day. One that this host has made meanwhile finds sessions in progress for a while."""
        for place, own in enumerate(self._places()):
            if own is not None and _is_of(own, starts_at):
                if own.salt != salt:
                    self._put_salt(own._replace(until=keep_own_until, is_displaced=True))
                self._write_salt(place, DaySalt(starts_at, until, salt, is_agreed=True, is_displaced=False))
                return
        self._put_salt(DaySalt(starts_at, until, salt, is_agreed=True, is_displaced=False))

    def forget_salts(self, now: int) -> None:
        """Overwrite the salts whose time is over."""
        for place, salt in enumerate(self._places()):
            if salt is not None and salt.until <= now:
                at = _SALTS_AT + place * _SALT_SIZE
                self._bytes[at : at + _SALT_SIZE] = bytes(_SALT_SIZE)

    def _put_salt(self, salt: DaySalt) -> None:
        places = self._places()
        free = min(range(_SALTS), key=lambda place: 0 if (kept := places[place]) is None else kept.until)
        self._write_salt(free, salt)

    def _write_salt(self, place: int, salt: DaySalt) -> None:
        kind = _DISPLACED if salt.is_displaced else _AGREED if salt.is_agreed else _OWN
        content = _SALT.pack(salt.starts_at, salt.until, kind, salt.salt, 0)[:_SALT_CONTENT]
        at = _SALTS_AT + place * _SALT_SIZE
        self._bytes[at : at + _SALT_SIZE] = content + struct.pack("<I4x", crc32(content))

    def _places(self) -> list[DaySalt | None]:
        self.open()
        content = bytes(self._bytes[_SALTS_AT : _SALTS_AT + _SALTS * _SALT_SIZE])
        return [_decoded(content, place) for place in range(_SALTS)]

    def _zeros(self) -> memoryview:
        """As many bytes as the file has. Costs nothing until used."""
        return memoryview(bytearray(_HEADER_SIZE + self._visitors * _SLOT))


def in_memory(folder: Path | None = None) -> VisitorTable:
    """A table in memory; one for all engines of this process that name the same folder (see `shared_table.in_memory`)."""
    if folder is None:
        return VisitorTable(None)
    return _in_memory.setdefault(str(folder), VisitorTable(None))


_in_memory: WeakValueDictionary[str, VisitorTable] = WeakValueDictionary()


def _is_of(salt: DaySalt, starts_at: int) -> bool:
    return salt.starts_at == starts_at and not salt.is_displaced


def _decoded(content: bytes, place: int) -> DaySalt | None:
    at = place * _SALT_SIZE
    starts_at, until, kind, salt, checksum = _SALT.unpack_from(content, at)
    if not kind or crc32(content[at : at + _SALT_CONTENT]) != checksum:
        return None
    return DaySalt(starts_at, until, salt, kind == _AGREED, kind == _DISPLACED)
