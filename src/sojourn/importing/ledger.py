"""Which lines were imported: importing a file again, or a longer one, adds only what is new.

A line is known by a keyed hash of its text, and of how many times its file had the same text before. Hashes are kept by the
hour of the line's time; only the hours at hand are in memory.
"""

from __future__ import annotations

import secrets
from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

from sojourn.core.bounded import Bounded
from sojourn.stores.imports_protocol import Imports

from .files import LoggedLine

HOUR_MS: Final = 3_600_000
_BYTES: Final = 8
_HOURS_AT_HAND: Final = 24
_REMEMBERED: Final = 50_000


class Ledger:
    """The lines that were imported before, and those of this run."""

    def __init__(self, imports: Imports, key: bytes) -> None:
        self._imports = imports
        self._key = key
        self._hours: dict[int, set[bytes]] = {}
        self._repeats: Bounded[tuple[int, bytes], int] = Bounded(_REMEMBERED)
        self._added: dict[int, list[bytes]] = {}

    def id_of(self, line: LoggedLine) -> bytes:
        """Name a line. Call it once for each, in the order of its file."""
        digest = self._digest(line.raw)
        place = (line.file, digest)
        before = self._repeats.get(place) or 0
        self._repeats[place] = before + 1
        return self._digest(line.raw, before) if before else digest

    def is_new(self, line: LoggedLine, name: bytes) -> bool:
        return name not in self._hour(line.at)

    def add(self, line: LoggedLine, name: bytes) -> None:
        self._hour(line.at).add(name)
        self._added.setdefault(line.at // HOUR_MS * HOUR_MS, []).append(name)

    def taken(self) -> list[tuple[int, str, str]]:
        """Return what was added since the last call, as `Batch.imported` has it."""
        part = secrets.token_hex(8)
        added, self._added = self._added, {}
        return [(hour, part, b64encode(b"".join(names)).decode()) for hour, names in added.items()]

    def _digest(self, raw: bytes, before: int = 0) -> bytes:
        return blake2b(raw, digest_size=_BYTES, key=self._key, salt=before.to_bytes(8, "big")).digest()

    def _hour(self, at: int) -> set[bytes]:
        hour = at // HOUR_MS * HOUR_MS
        names = self._hours.get(hour)
        if names is None:
            if len(self._hours) >= _HOURS_AT_HAND:
                del self._hours[min(self._hours)]
            names = self._hours[hour] = set(_names(self._imports.lines([hour])[hour]))
            names.update(self._added.get(hour, ()))  # not saved yet
        return names


def _names(parts: Iterable[str]) -> Iterable[bytes]:
    for part in parts:
        data = b64decode(part)
        yield from (data[start : start + _BYTES] for start in range(0, len(data), _BYTES))
