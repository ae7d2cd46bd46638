"""Paths of an app that is mounted below a prefix (`SCRIPT_NAME`, `root_path`): one rule for patterns and beacon. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def readings(path: str, mount: str) -> tuple[str, ...]:
    """The path as it was given, and the other way to read it: below the mount, or with it.

    The standards want the mount in an ASGI path, but not every server repeats it, and a proxy may have cut it off. So both are
    tried: where the path begins with the mount, the rest; else the two together.
    """
    mount = mount.rstrip("/")
    if not mount:
        return (path,)
    if path == mount:
        return (path, "/")
    return (path, path.removeprefix(mount) if path.startswith(f"{mount}/") else mount + path)


def matches(path: str, mount: str, patterns: Iterable[str]) -> bool:
    """Whether one of these glob patterns matches the whole path, or the path below the mount."""
    texts = readings(path, mount)
    return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)
