"""Builds what is published, and installs it into environments that have nothing else."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]


@dataclass(frozen=True)
class Build:
    """A source distribution, unpacked, and the wheel that was built from it."""

    sdist: Path
    wheel: Path
    tree: Path
    """Without `src`, so that what its tests import is installed, or missing."""


def build(folder: Path) -> Build:
    """Make both, the wheel from the unpacked source distribution: it shows that nothing is missing there."""
    _hatchling("sdist", ROOT, folder)
    (sdist,) = folder.glob("sojourn-*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    tree = folder / sdist.name.removesuffix(".tar.gz")
    _hatchling("wheel", tree, folder)
    (wheel,) = folder.glob("sojourn-*.whl")
    shutil.rmtree(tree / "src")
    return Build(sdist, wheel, tree)


def _hatchling(target: str, source: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
    subprocess.run(command, cwd=source, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def environment(folder: Path, program: Path) -> Path:
    """Make an empty virtual environment with uv, which needs no `ensurepip`, and return its Python."""
    uv("venv", "--clear", "--python", str(program), str(folder))
    return folder / "bin" / "python"


def uv(*arguments: str) -> None:
    """Run uv of our own environment; what it says is shown if it fails. Away from the checkout, whose `tool.uv` it reads."""
    done = subprocess.run([sys.executable, "-m", "uv", "--quiet", *arguments], check=False, cwd=tempfile.gettempdir())
    if done.returncode:
        raise SystemExit(f"uv {arguments[0]} failed; its own words are above")


def installed_at(python: Path, tree: Path) -> Path:
    """Return where this Python, started in this folder, imports sojourn from."""
    code = "import sojourn; print(sojourn.__file__)"
    done = subprocess.run([python, "-c", code], cwd=tree, capture_output=True, text=True, check=True, env=clean())
    return Path(done.stdout.strip())


def clean() -> dict[str, str]:
    """Return this process's variables without those that lead Python back to the checkout."""
    return {
        name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    }
