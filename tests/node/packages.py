"""Where the packages of `package.json` are. Installed at the first use; a machine without npm skips, but CI never does."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

import pytest

FOLDER: Final = Path(__file__).parent
_HOW: Final = f"needs packages from npm: install Node.js, then run `npm ci` in {FOLDER.relative_to(FOLDER.parents[1])}"


@cache
def _install() -> str | None:
    """Install what is missing; return why that failed."""
    if (FOLDER / "node_modules" / ".package-lock.json").exists():
        return None
    npm = shutil.which("npm")
    if npm is None:
        return _HOW
    command = [npm, "ci", "--no-audit", "--no-fund", "--prefix", str(FOLDER)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return None if done.returncode == 0 else f"{_HOW}: {done.stderr[-500:]}"


def package(name: str) -> Path:
    """The folder of a package. Skips the test where it cannot be installed, and fails it in CI."""
    if (problem := _install()) is not None:
        if os.environ.get("CI"):
            pytest.fail(problem)
        pytest.skip(problem)
    return FOLDER / "node_modules" / name
