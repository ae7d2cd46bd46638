"""Turns the unreleased changes of CHANGELOG.md into those of a version."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Final

_VERSION: Final = re.compile(r"\d+\.\d+\.\d+")
_LINE: Final = re.compile(r'^version = "([^"]+)"', re.MULTILINE)
_UNRELEASED: Final = "## [Unreleased]\n"


class CutError(Exception):
    """The version cannot be cut, or has no changes."""


def cut(root: Path, version: str, today: dt.date) -> None:
    """Write the version into pyproject.toml and its heading, with the date, below an empty Unreleased."""
    if not _VERSION.fullmatch(version):
        raise CutError(f"{version!r} is no version such as 0.1.0")
    project, changes = root / "pyproject.toml", root / "CHANGELOG.md"
    history = changes.read_text(encoding="utf-8")
    if f"\n## [{version}]" in history:
        raise CutError(f"CHANGELOG.md has {version} already")
    if not _changes_below(history, _UNRELEASED):
        raise CutError("nothing is unreleased")
    heading = f"## [{version}] - {today.isoformat()}\n"
    changes.write_text(history.replace(_UNRELEASED, f"{_UNRELEASED}\n{heading}", 1), encoding="utf-8")
    text, count = _LINE.subn(f'version = "{version}"', project.read_text(encoding="utf-8"), count=1)
    assert count == 1
    project.write_text(text, encoding="utf-8")


def section(root: Path, version: str) -> str:
    """Return what CHANGELOG.md says of a version.

    Raises:
        CutError: It says nothing.
    """
    history = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = re.search(rf"^## \[{re.escape(version)}\] - .+\n", history, re.MULTILINE)
    changes = _changes_below(history, heading.group()) if heading else ""
    if not changes:
        raise CutError(f"CHANGELOG.md has no changes for {version}: scripts/release cut VERSION comes before the tag")
    return changes


def _changes_below(history: str, heading: str) -> str:
    _, _, rest = history.partition(heading)
    return rest.partition("\n## ")[0].strip()
