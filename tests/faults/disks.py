"""Faults of the disk: full, journals deleted, journals read-only. Mounting needs root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path
from typing import Final

from .scene import Fault, Promise, Scene

_DISK_MB: Final = 48
_SLACK: Final = 4096


def disk_full(scene: Scene) -> None:
    """Fill the small disk that holds store and journals."""
    disk = _mounted_disk(scene, scene.folder / "disk", _DISK_MB)
    scene.deployment.store = f"sqlite:///{disk / 'sojourn.db'}"
    scene.deployment.journals = [disk / "journals"]
    with scene.deployment.gunicorn(workers=2) as server:
        with scene.visitors(server):
            scene.wait(2)
            filled = _fill(disk / "filler")
            scene.say(f"the disk is full: {filled // 1024} KiB were left")
            scene.wait(scene.seconds)
            before = scene.deployment.figures()
            (disk / "filler").unlink()
            scene.say("there is room again")
            scene.wait(2)
        scene.settle()
    after = scene.deployment.figures()
    if before is not None and after is not None:
        late = after.counters["records.recorded"] - before.counters["records.recorded"]
        scene.notes.append(f"{late} records waited in the journals for room")
        if not late:
            scene.wrong.append("nothing waited: the fault did not happen")


def journals_removed(scene: Scene) -> None:
    """Delete the folder of the journals, then reload the server, as the log asks for."""
    with scene.deployment.gunicorn(workers=2) as server:
        with scene.visitors(server):
            scene.wait(3)
            _remove(scene.deployment.journals[0])
            scene.say("the journals are gone")
            scene.wait(scene.seconds / 2)
            server.process.send_signal(signal.SIGHUP)
            scene.say("the server is reloaded")
            scene.wait(scene.seconds / 2)
        scene.settle(240)


def journals_read_only(scene: Scene) -> None:
    """Make the folder read-only: no file can be made or removed, open ones stay open. Kill a worker meanwhile."""
    folder = _mounted_disk(scene, scene.folder / "disk", _DISK_MB) / "journals"
    scene.deployment.journals = [folder]
    with scene.deployment.gunicorn(workers=2) as server:
        with scene.visitors(server):
            scene.wait(2)
            # A second mount of the folder upon itself, read-only: a remount is refused while files are open to write.
            _mount("--bind", str(folder), str(folder))
            try:
                _mount("-o", "remount,bind,ro", str(folder))
                if _is_writable(folder):
                    scene.wrong.append("the folder can still be written: the fault did not happen")
                scene.say("the journals are read-only")
                scene.wait(scene.seconds / 2)
                os.kill(server.workers()[0], signal.SIGKILL)
                scene.say("a worker is killed; the next one cannot make its journal")
                scene.wait(scene.seconds / 2)
            finally:
                _unmount(folder)
            scene.say("the journals can be written again")
            scene.wait(2)
        scene.settle()


def _mounted_disk(scene: Scene, place: Path, size_mb: int) -> Path:
    """A disk of its own, for the time of the scene."""
    place.mkdir()
    _mount("-t", "tmpfs", "-o", f"size={size_mb}m,mode=0700", "sojourn-fault", str(place))
    scene.stack.callback(_unmount, place)
    return place


def _fill(file: Path) -> int:
    """Write until there is no room for a page; how many bytes it took."""
    written, piece = 0, 1024 * 1024
    with file.open("wb", buffering=0) as out:
        while piece >= _SLACK:
            try:
                written += out.write(bytes(piece))
            except OSError:
                piece //= 2
    return written


def _remove(folder: Path) -> None:
    """Delete it, though its owners go on making files in it."""
    deadline = time.monotonic() + 5
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def _is_writable(folder: Path) -> bool:
    try:
        (folder / "probe").touch()
    except OSError:
        return False
    (folder / "probe").unlink()
    return True


def _mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def _unmount(place: Path) -> None:
    subprocess.run(["umount", "--lazy", str(place)], check=True, capture_output=True)


@cache
def _no_mounts() -> str:
    """Say why no disk can be mounted here."""
    if not sys.platform.startswith("linux") or os.geteuid() != 0:
        return "it mounts a small disk, which only root may, and only on Linux"
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "sojourn-fault", "/mnt"]
    done = subprocess.run(probe, capture_output=True, check=False)
    return "" if done.returncode == 0 else "this system does not let root mount a disk"


FAULTS = (
    Fault(
        name="disk-full",
        about="the disk of store and journals is full",
        play=disk_full,
        seconds=12,
        missing=_no_mounts,
    ),
    Fault(
        name="journals-read-only",
        about="the journals' folder becomes read-only, and a worker is killed meanwhile",
        play=journals_read_only,
        seconds=10,
        promise=Promise(cuts_requests=True),
        missing=_no_mounts,
    ),
    Fault(
        name="journals-removed",
        about="the journals' folder is deleted, then the server reloaded",
        play=journals_removed,
        seconds=8,
        promise=Promise(
            cuts_requests=True,
            may_lose="what was not yet recorded is deleted with the journals; see docs/reliability.md",
            most_lost=0.05,
        ),
    ),
)
