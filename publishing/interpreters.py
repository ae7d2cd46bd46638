"""Finds the Python of a version on this machine, or lays it into a folder from the packages of a Debian suite."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROMISED: Final[dict[str, str | None]] = {
    "3.11": None,
    "3.12": None,
    "3.13": "trixie",
    "3.14": "forky",
}
"""The versions of pyproject's classifiers, and the suite that each comes from where a machine lacks it. Code names, because
"testing" is another suite every two years. CI's machines have 3.11, which the other tests run on."""

OPTIONAL: Final = frozenset({"3.12"})
"""No Debian release has them: tested where they are found, counted as missing elsewhere."""

_WORKS: Final = "import ctypes, sqlite3, ssl, sys; print(*sys.version_info[:2], sys.version_info[3], sep='.')"


class MissingError(Exception):
    """This version is not on the machine, and cannot be laid."""


@dataclass(frozen=True)
class Interpreter:
    version: str
    program: Path
    source: str


def find(version: str, place: Path) -> Interpreter:
    """Return a Python of this version; lay it below `place` if there is none.

    Raises:
        MissingError: With what to install.
    """
    for program, source in _candidates(version, place):
        if _is(program, version):
            return Interpreter(version, program, source)
    suite = PROMISED.get(version)
    if suite is None:
        raise MissingError(f"no Python {version} on PATH, in pyenv or in uv")
    program = _lay(version, suite, place / version)
    if not _is(program, version):
        raise MissingError(f"{program}, laid from {suite}, does not run")
    return Interpreter(version, program, f"laid from {suite}")


def _candidates(version: str, place: Path) -> Iterator[tuple[Path, str]]:
    yield Path(sys.executable).resolve(), "this one"
    if on_path := shutil.which(f"python{version}"):
        yield Path(on_path), "on PATH"
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    uv = Path(os.environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python")
    for program in sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True):
        yield program, "in pyenv"
    for program in sorted(uv.glob(f"cpython-{version}.*/bin/python{version}"), reverse=True):
        yield program, "in uv"
    yield _program(version, place / version), f"laid from {PROMISED.get(version)}"


def _is(program: Path, version: str) -> bool:
    """Run it: a version manager's shim exists and fails all the same. A pre-release does not count."""
    if not program.exists():
        return False
    done = subprocess.run([program, "-c", _WORKS], capture_output=True, text=True, check=False)
    return done.returncode == 0 and done.stdout.strip() == f"{version}.final"


def _program(version: str, folder: Path) -> Path:
    return folder / "usr" / "bin" / f"python{version}"


def _lay(version: str, suite: str, folder: Path) -> Path:
    """Unpack Python and the libraries that it needs, and make it load those instead of the system's older ones.

    So it runs without chroot, beside the servers and the browser that this machine has, and only unpacking is needed
    (15 s; debootstrap, which configures a whole system, took two minutes).
    """
    missing = [name for name in ("mmdebstrap", "patchelf") if shutil.which(name) is None]
    if missing:
        raise MissingError(f"no Python {version} was found, and to lay it, install {' and '.join(missing)}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    unpack = (
        "mmdebstrap",
        "--quiet",
        "--variant=extract",
        # A mirror may lag behind; what it has is signed all the same.
        '--aptopt=Acquire::Check-Valid-Until "false"',
        f"--include=python{version}-venv",
        suite,
        str(folder),
    )
    try:
        _run(*unpack)
    except MissingError:  # a mirror was out of reach for a moment, or in the middle of an update
        shutil.rmtree(folder, ignore_errors=True)
        _run(*unpack)
    program = _program(version, folder)
    loader = _run("patchelf", "--print-interpreter", str(program)).strip()
    (libraries,) = {path.parent for path in (folder / "usr" / "lib").glob("*/libc.so.6")}
    # RPATH, not RUNPATH: it holds for the libraries of libraries too, those of extension modules among them.
    _run(
        "patchelf",
        "--set-interpreter",
        f"{folder}/usr{loader}",
        "--force-rpath",
        "--set-rpath",
        str(libraries),
        str(program),
    )
    return program


def _run(*command: str) -> str:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise MissingError(f"{' '.join(command[:2])} failed: {done.stderr[-1000:]}")
    return done.stdout
