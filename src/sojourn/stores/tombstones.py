"""Persons, and the tombstones for those who left: what keeps late records from bringing them back. Knows no SQL.

A store keeps a tombstone under a keyed hash of its own, never under the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Protocol

VISITOR: Final = "visitor"
USER: Final = "user"
SESSION: Final = "session"


class DataSubject(NamedTuple):
    """A visitor, or a user in all sessions tagged with it. A session has a tombstone where it was erased with its user."""

    kind: Literal["visitor", "user", "session"]
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """Records made at `at` or before count no more; for good (opt-out): none ever does."""

    at: int
    is_for_good: bool = False


@dataclass(slots=True)
class StoreKey:
    """The store's own key, and whether a tombstone was ever seen: until then nobody's id is hashed to look for one."""

    value: bytes
    has_tombstones: bool = False


class Place(NamedTuple):
    """How far an erasure has come: which part of it, and behind which number."""

    part: int
    after: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """What one slice of an erasure deleted. `after` is where the next begins; `None`: nothing is left."""

    sessions: int = 0
    events: int = 0
    dead_letters: int = 0
    forwarded: Mapping[str, int] = field(default_factory=dict)
    """By backend, how many of the events it had been given: at most, for some it may not have wanted."""
    after: Place | None = None


class SuppressionList(Protocol):
    """What leaving needs of a store."""

    def add_tombstone(self, person: DataSubject, *, at: int) -> int:
        """Set the tombstone; from now on no dispatcher sends what it has not sent yet. Returns the head of the log."""
        ...

    def erase(self, person: DataSubject, *, at: int, upto: int, after: Place, limit: int) -> Slice:
        """Delete the next at most `limit` rows of this person, those of the log up to the `seq` `upto`.

        Dead letters too. Events that a backend had still to read are counted as skipped for it, so its figures add up.
        An erased session of a user gets a tombstone of its own, because not every record names the user.
        """
        ...
