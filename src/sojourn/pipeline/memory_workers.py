"""Notices that several workers of one server keep their sessions in memory: each has a part of them, and none has all.

Workers of a server have the same parent. Each tries to lock a file in the temporary folder that is named after it and the
app's key: the first gets the first file, the second the second one, and warns; more stay silent.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from pathlib import Path
from typing import Final

from .journal.locks import is_supported

if is_supported:
    import fcntl

log = logging.getLogger("sojourn")

_FILES: Final = 2


class MemoryWorker:
    """This process among the workers of its server. Never raises: where no file can be made, it is alone."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._pid = 0
        self._fd = -1
        self._path = Path()

    def arrive(self) -> None:
        """Take a place, and warn if it is the second one. A forked child calls it again."""
        self.leave()
        self._pid = os.getpid()
        if not is_supported:
            return
        digest = hashlib.blake2b(b"%d %d " % (os.getuid(), os.getppid()) + self._key, digest_size=12).hexdigest()
        for number in range(1, _FILES + 1):
            if self._takes(Path(tempfile.gettempdir(), f"sojourn-memory-{digest}-{number}")):
                if number > 1:
                    log.warning(
                        'store="memory:" is for one process, and another worker of this app is running: each has its own '
                        'sessions. Keep them in a file (store="sqlite:///sojourn.db"), or run one worker'
                    )
                return

    def leave(self) -> None:
        """Give the place up. Idempotent; in a forked child, the file stays the parent's."""
        fd, self._fd = self._fd, -1
        if fd < 0:
            return
        if self._pid == os.getpid():
            with contextlib.suppress(OSError):
                self._path.unlink()
        os.close(fd)

    def _takes(self, path: Path) -> bool:
        with contextlib.suppress(OSError):
            # Anyone may put a link of this name into the temporary folder.
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                # A process gets its own lock again: two apps in one process are one worker.
                fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
            else:
                self._fd, self._path = fd, path
        return self._fd >= 0
