"""Whether the bodies of one backend are compressed: as set, until its receiver shows that it cannot read them.

HTTP has no way to ask a receiver for the encodings that it reads, and receivers that cannot gunzip respond as if the events
were at fault: 415, or 400 or 422 from their JSON parser, or 500. So a compressed call that is refused like that is made once
more without compression. If that helps, all later calls go without. A compressed call that was accepted ends the doubt.
"""

from __future__ import annotations

import gzip
import logging
from typing import Final

from .outcomes import Delivered, Outcome, Reject, Split

log = logging.getLogger("sojourn")

GZIP_FROM: Final = 1024  # bytes; smaller bodies grow, or fit one packet anyway

# Of 540 bytes an event, 500 events: level 1 leaves 11.0% at 2.1 us an event, 4 9.9% at 2.2, 6 9.7% at 2.7, 9 9.4% at 7.9.
_LEVEL: Final = 4
_REFUSED: Final = frozenset({400, 415, 422})
_FAILED: Final = frozenset({500, 501, 502})
_FAILURES: Final = 2


class Compression:
    """What is known of one receiver. Used by one thread."""

    def __init__(self, name: str, *, is_on: bool) -> None:
        self._name = name
        self.is_on = is_on
        self.only: bool | None = None
        """For `sojourn check`: all bodies are compressed, or none is, and nothing is tried."""
        self._is_proven = False
        self._was_tried = False
        self._failures = 0

    def packs(self, body: bytes) -> bool:
        """Return whether to compress a body."""
        return (self.is_on and len(body) >= GZIP_FROM) if self.only is None else self.only

    def is_suspect(self, status: int | None, outcome: Outcome, events: int) -> bool:
        """Return whether a compressed call of so many events is worth a try without compression. Call it once a call."""
        if status is None or self._is_proven or self.only is not None:
            return False
        if isinstance(outcome, Delivered):
            self._is_proven = True
            return False
        self._failures = self._failures + 1 if status in _FAILED else 0
        # No event becomes a dead letter for a fault that is ours.
        if isinstance(outcome, Reject) or (isinstance(outcome, Split) and events == 1):
            return True
        if self._was_tried:
            return False
        self._was_tried = status in _REFUSED or self._failures >= _FAILURES
        return self._was_tried

    def judge(self, status: int | None, plain_status: int | None, plain: Outcome) -> None:
        """Note how the same call went without compression: another verdict on it means that it could be read."""
        if plain_status is None or plain_status == 429 or plain_status in _FAILED or plain_status > 502:
            return
        if isinstance(plain, Delivered) or plain_status != status:
            self.is_on = False
            log.warning(
                "backend %s refuses compressed bodies (HTTP %s), so they are sent without; gzip=False saves the try",
                self._name,
                status,
            )

    def note_plain(self, outcome: Outcome) -> None:
        """Note a call that was not compressed: the receiver is up, so a refusal may be tried once more."""
        if isinstance(outcome, Delivered):
            self._was_tried = False


def packed(body: bytes) -> bytes:
    """Compress a body. The same body gives the same bytes."""
    return gzip.compress(body, compresslevel=_LEVEL, mtime=0)
