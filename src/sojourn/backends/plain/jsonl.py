"""Append events to a file, one CloudEvent per line.

A batch is one `write()` in append mode, so the lines of two writers do not mix. A write that stops half-way (a full disk, a
kill) leaves at most one incomplete line, and the next batch begins on a new line.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, Self

from sojourn.backends import cloudevents
from sojourn.backends.filters import EventFilter, Patterns
from sojourn.backends.options import COMMON_OPTIONS, split_place
from sojourn.backends.protocol import Receipt
from sojourn.core.events import Event
from sojourn.core.shared_places import is_anothers, is_in_shared_folder, is_shared_link, others_may_write
from sojourn.errors import SettingsError

__all__ = ["JSONLinesBackend"]

log = logging.getLogger("sojourn")

_PLANTED: Final = (
    "it is a symbolic link, or another user's file, in a folder that others may write to; choose another folder"
)
_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)


class JSONLinesBackend:
    """Appends every event to a file that only its owner can read. A rotated file is reopened."""

    url_form: ClassVar[str] = "jsonl:<file>"

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        name: str = "jsonl",
        third_party: bool = False,
        events: Patterns | None = None,
        heartbeats: bool = True,
    ) -> None:
        # Made absolute now, because servers change their directory when they daemonise.
        self.path = Path(os.path.abspath(Path(path).expanduser()))
        if not os.fspath(path) or self.path.is_dir():
            raise SettingsError("path of the JSON lines file is not a file; write a file name, such as events.jsonl")
        if is_shared_link(self.path) or is_anothers(self.path):
            raise SettingsError(f"jsonl: {self.path} cannot be used: {_PLANTED}")
        self.name = name
        self.third_party = third_party
        self._choice = EventFilter(events, has_heartbeats=heartbeats)
        self._fd: int | None = None
        self._pid = 0
        self._has_warned = False

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build from `jsonl:events.jsonl` or `jsonl:/an/absolute/path`."""
        place, options = split_place(url)
        if not place:
            raise SettingsError("jsonl: the file name is missing; write jsonl:events.jsonl")
        arguments = options.take(COMMON_OPTIONS)
        options.finish()
        return cls(place, **arguments)

    def __repr__(self) -> str:
        return f"JSONLinesBackend({str(self.path)!r}, name={self.name!r})"

    def accepts(self, event: Event) -> bool:
        return self._choice.accepts(event)

    def send(self, batch: Sequence[Event]) -> Receipt:
        if batch:
            self._append(b"".join(cloudevents.encode(event) + b"\n" for event in batch))
        return Receipt(delivered=len(batch))

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def _append(self, lines: bytes) -> None:
        fd = self._open()
        size = os.fstat(fd).st_size
        data = b"\n" + lines if _is_torn(fd, size) else lines
        written = os.write(fd, data)
        if written == len(data):
            return
        # A short write means that the disk is full. Undo it, unless another writer has appended since: the next batch repairs
        # an incomplete line, but another writer's lines would be lost.
        if os.fstat(fd).st_size == size + written:
            os.ftruncate(fd, size)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))

    def _open(self) -> int:
        if self._fd is not None and (self._pid != os.getpid() or self._is_moved(self._fd)):
            self.close()
        if self._fd is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd, self._pid = self._opened(), os.getpid()
        return self._fd

    def _opened(self) -> int:
        """Open the file. In a folder where others may plant files, not through a link, and no file of theirs."""
        if is_shared_link(self.path) or is_anothers(self.path):
            raise PermissionError(errno.EPERM, _PLANTED, str(self.path))
        no_link = getattr(os, "O_NOFOLLOW", 0) if is_in_shared_folder(self.path) else 0
        fd = os.open(self.path, _FLAGS | no_link, 0o600)
        if others_may_write(os.fstat(fd)) and not self._has_warned:
            self._has_warned = True
            log.warning("Other users may write to the JSON lines file %s: run chmod go-w on it", self.path)
        return fd

    def _is_moved(self, fd: int) -> bool:
        try:
            return not os.path.samestat(os.stat(self.path), os.fstat(fd))
        except FileNotFoundError:
            return True


def _is_torn(fd: int, size: int) -> bool:
    if size == 0:
        return False
    os.lseek(fd, -1, os.SEEK_END)
    return os.read(fd, 1) != b"\n"
