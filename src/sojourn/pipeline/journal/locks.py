"""The lock of a journal's owner: a POSIX record lock, which ends with its process and is not inherited by children.

A process loses such a lock as soon as it closes *any* descriptor of the file. So it opens its own lock files once and never
again; `_held_here` says which they are. Other processes test with a shared lock, so that two readers that test at the same
moment do not take each other for the owner.

See P6 in docs/internals.md.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    is_supported = False
else:
    is_supported = True

_held_here: set[tuple[int, str]] = set()
"""(pid, path): with the pid, since a forked child inherits this set but not the locks."""


class OwnerLock:
    """The lock that says "the owner of this journal is alive". Raises `OSError` if it cannot be taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._key = (os.getpid(), os.path.realpath(path))
        # Locked before it gets its name, so that a process that is just starting never looks dead.
        unnamed = path.with_suffix(".new")
        self._fd = os.open(unnamed, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _held_here.add(self._key)
            os.rename(unnamed, path)
        except BaseException:
            self.release()
            with contextlib.suppress(OSError):
                os.unlink(unnamed)
            raise

    def release(self) -> None:
        """Give the lock up, for good. Idempotent. The file stays until the recorder has read the journal."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
        _held_here.discard(self._key)


def is_held(path: Path) -> bool:
    """Say whether the owner of this lock file is alive. A file that cannot be opened counts as yes."""
    if (os.getpid(), os.path.realpath(path)) in _held_here:
        return True
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.lockf(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(fd)
