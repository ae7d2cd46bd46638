"""What other hosts recorded of sessions, brought from the store into the table that the processes of this host share.

The recorder's step does it, once a second, so the request path waits for nothing. Notes only add to what the table has: a
later activity, a higher revision, an end. So rows may be read twice, in any order, and those of this host do no harm.

See P26 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from sojourn.core.session import BY_CALL, EndReason
from sojourn.core.threads import sleep
from sojourn.stores.model import HEARD_OF_MS, SessionNote
from sojourn.stores.recording_protocol import RecordStore

LIMIT: Final = 5_000
_EVERY_S: Final = 1.0
_NEAR_MS: Final = 5_000
_FAR_EVERY_S: Final = 30.0
_FAR_MS: Final = HEARD_OF_MS
"""From time to time this much more is read, for hosts whose clocks are behind."""
_SLICE: Final = 100
_CALLS: Final = BY_CALL | {EndReason.ENDED, EndReason.OPTED_OUT}


class SharedEntry(Protocol):
    """What the table notes of one session."""

    def see(self, at: int) -> None: ...

    def revise(self, revision: int, logouts: int, at: int) -> None: ...

    def seal(self, reason: EndReason, at: int) -> None: ...


class OtherHosts:
    """Called by the recorder's step only; blocks. Raises `StoreError`."""

    def __init__(
        self,
        store: RecordStore,
        shared: Callable[[str], SharedEntry],
        *,
        journals: Callable[[], frozenset[str] | set[str]],
        monotonic: Callable[[], float],
        lookback: int,
    ) -> None:
        self._store = store
        self._shared = shared
        self._journals = journals
        self._monotonic = monotonic
        self._lookback = lookback
        """How far back the first look goes, in ms: longer ago, a session is over."""
        self._recorded_until: int | None = None
        self.are_there = False
        """Whether another host writes to the store, as of the last look."""
        self._read_at = self._far_at = float("-inf")

    def turn(self, now: int) -> None:
        """Read if it is time to."""
        if self._monotonic() - self._read_at >= _EVERY_S:
            self.read(now)

    def read(self, now: int) -> None:
        """Note what other hosts recorded since the last time."""
        tick = self._monotonic()
        is_far = tick - self._far_at >= _FAR_EVERY_S
        if self._recorded_until is None:
            since = now - self._lookback
        else:
            since = self._recorded_until - (_FAR_MS if is_far else _NEAR_MS)
        # Before the rows are read: what is recorded meanwhile is read again.
        until = self._store.recorded_until(now=now, silent_after=HEARD_OF_MS)
        # A host that has just gone counts too: its visitors come here now.
        heard_since = now - max(self._lookback, HEARD_OF_MS)
        notes = self._store.notes(seen_after=since, heard_since=heard_since, besides=self._journals(), limit=LIMIT)
        self.are_there = notes is not None
        notes = notes or []
        for start in range(0, len(notes), _SLICE):
            for note in notes[start : start + _SLICE]:
                self._take(note)
            sleep(0)  # requests of this process want the interpreter too
        self._recorded_until = min(now, now if until is None else until)
        self._read_at = tick
        self._far_at = tick if is_far else self._far_at

    def _take(self, note: SessionNote) -> None:
        entry = self._shared(note.key)
        entry.see(note.last_seen_at)
        if note.revision or note.logouts:
            entry.revise(note.revision, note.logouts, note.last_seen_at)
        if note.sealed_reason in _CALLS and note.sealed_at is not None:
            entry.seal(note.sealed_reason, note.sealed_at)
        if note.previous_reason in BY_CALL and note.previous_key is not None:
            # The session before may have been silent for long when the call came, and not be among the notes.
            self._shared(note.previous_key).seal(note.previous_reason, note.started_at)
