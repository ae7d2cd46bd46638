"""The two sides of a journal: requests write to one, the recorder reads from the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

Medium = Literal["mapped", "written", "memory"]


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One payload as it lies in a journal.

    `end` is the position after it and grows within a journal, as does `mono`, the machine's monotonic clock (ns) at the
    append. `wall` is milliseconds since the epoch. `accepted` and `refused` are the running counts of the process,
    this append included, so that the last frame of a killed process still says how many there were.
    """

    journal: str
    end: int
    mono: int
    wall: int
    accepted: int
    refused: int
    payload: bytes


class Damage(msgspec.Struct, frozen=True, gc=False):
    """A range of a segment in which no frame can be read, in bytes from the beginning of the file."""

    journal: str
    number: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Reading:
    """The frames of one pass in the order of the machine's clock, and whether the limit cut it short.

    `damaged`: what could not be read on the way; the same range may be in several readings.
    """

    frames: list[Frame]
    more: bool
    damaged: Sequence[Damage] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalStats:
    """A journal as its owner sees it; `bytes_used` counts what the recorder has not yet removed."""

    id: str
    medium: Medium
    path: str | None
    accepted: int
    refused: int
    refused_by_kind: Mapping[str, int]
    bytes_used: int
    limit: int


class Journal(Protocol):
    """The writing side. Any thread of the owning process may append; `prepare` is for a background thread.

    `append` never raises and never waits. It returns False for what it refused, and counts that under its kind. In a forked
    child it always returns False: a child opens its own journal. `close` is idempotent and keeps the frames.
    """

    @property
    def id(self) -> str: ...
    @property
    def owner_pid(self) -> int: ...
    def append(self, payload: bytes, *, kind: str, essential: bool, wall: int) -> bool: ...
    def prepare(self) -> None: ...
    def close(self) -> None: ...
    def stats(self) -> JournalStats: ...


class JournalReader(Protocol):
    """The reading side, for any thread. A journal that `positions` does not name is read from its beginning.

    `read` gives at most `limit` frames with `mono < before` (those of an earlier boot are always older), of each
    journal a prefix of what is unread, and removes nothing. `discard` removes what lies wholly before the positions,
    and all of a dead journal that was read to its end; it returns the ids of which nothing is left. Raises `OSError` if the
    directory cannot be listed. A single journal that cannot be read is left out and logged.

    `read` goes on behind damaged bytes. `set_aside` keeps the segments in which it met some, under another name, and logs
    each once. Call it before positions move past the damage: nothing leads back there afterwards. `erase` overwrites the
    payloads of frames that were read; `expire` deletes what was set aside and last written before a time (ms). Both log
    what they could not do.
    """

    def journals(self) -> frozenset[str]: ...
    def read(self, positions: Mapping[str, int], *, before: int, limit: int) -> Reading: ...
    def is_alive(self, journal: str) -> bool: ...
    def set_aside(self) -> None: ...
    def erase(self, frames: Sequence[Frame]) -> None: ...
    def expire(self, older_than: int) -> None: ...
    def discard(self, positions: Mapping[str, int]) -> frozenset[str]: ...
