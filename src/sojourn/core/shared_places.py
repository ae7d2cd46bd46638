"""Files and folders that other users of the machine may write to. On systems without POSIX users there are none."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def others_may_write(status: os.stat_result) -> bool:
    """Whether users other than this process's may write to it: everybody, or the group of a place that is not ours."""
    if not hasattr(os, "geteuid"):
        return False
    others = 0o002 if status.st_uid == os.geteuid() else 0o022
    return bool(status.st_mode & others)


def is_in_shared_folder(path: Path) -> bool:
    """Whether others may put files beside this one; no for a folder that cannot be looked at."""
    try:
        return others_may_write(os.stat(path.parent))
    except OSError:
        return False


def is_shared_link(path: Path) -> bool:
    """Whether the path is a symbolic link in a folder where others may put one, to any file that this process may write."""
    return path.is_symlink() and is_in_shared_folder(path)


def is_anothers(path: Path) -> bool:
    """Whether the path is another user's file in a folder where anybody may put one."""
    try:
        owner, folder = os.lstat(path).st_uid, os.stat(path.parent)
    except OSError:
        return False
    return hasattr(os, "geteuid") and owner != os.geteuid() and bool(folder.st_mode & stat.S_IWOTH)


def is_replaceable(path: Path) -> bool:
    """Whether others may replace the file: in a shared folder without the sticky bit."""
    try:
        folder = os.stat(path.parent)
    except OSError:
        return False
    return others_may_write(folder) and not folder.st_mode & stat.S_ISVTX
