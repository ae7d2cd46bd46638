"""The disk changes bytes of journals, while nothing records: those of a living process, and those of a killed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from sojourn.core.records import Record
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import Frame, JournalDirectory

from .scene import Fault, Promise, Scene

_PAGE: Final = 4096
_STATUS: Final = "from sojourn.cli import main; raise SystemExit(main(['status', '--check', '--store', '{store}']))"


def journals_damaged(scene: Scene) -> None:
    """Flip bytes and zero a page, in each journal; kill one of its owners; then let a worker record."""
    folder = scene.deployment.journals[0]
    scene.deployment.settings["DELIVER"] = "worker"
    with scene.deployment.gunicorn(workers=2) as server:
        with scene.visitors(server):
            scene.wait(scene.seconds / 2)
            frames, damaged = _damage(folder)
            lost = {serial for frame in frames for serial in _serials(frame)}
            scene.say(f"{len(frames)} records of {len(lost)} requests are damaged in {len(damaged)} journals")
            os.kill(server.workers()[0], signal.SIGKILL)
            with scene.deployment.worker():
                scene.wait(scene.seconds / 2)
        with scene.deployment.worker():
            scene.settle()
    _judge(scene, frames, lost, damaged)


def _judge(scene: Scene, frames: Sequence[Frame], lost: Collection[int], damaged: Collection[str]) -> None:
    """What is missing is what was damaged, no more and no less; and the operator is shown it."""
    complete = {step.serial for steps in scene.truth.by_visitor() for step in steps if step.is_complete}
    recorded = {
        int(event.attributes["event_properties.serial"])
        for event in scene.deployment.log_of_events()
        if event.name == "step"
    }
    if complete - recorded != complete & set(lost):
        scene.wrong.append(
            f"{len(complete - recorded)} requests are missing, and {len(complete & set(lost))} were damaged"
        )
    figures = scene.deployment.figures()
    counted = 0 if figures is None else figures.counters.get("records.lost", 0)
    if counted != len(frames):
        scene.wrong.append(f"{len(frames)} records were damaged, and {counted} are counted as lost")
    kept = {path.name.partition("-")[0] for path in scene.deployment.journals[0].glob("*.damaged")}
    if kept != set(damaged):
        scene.wrong.append(f"{len(damaged)} journals were damaged, and segments of {len(kept)} are set aside")
    status = _status(scene)
    if status.returncode != 1 or f"{len(damaged)} damaged segment" not in status.stdout:
        scene.wrong.append(f"sojourn status --check exits with {status.returncode} and does not show the damage")
    scene.notes.append(f"{len(frames)} records in damaged bytes, {counted} counted as lost")


def _status(scene: Scene) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", _STATUS.format(store=scene.deployment.store)]
    # The command looks for the journals beside the store.
    beside = Path(f"{scene.deployment.store.removeprefix('sqlite:///')}.d")
    if not beside.exists():
        beside.symlink_to(scene.deployment.journals[0])
    return subprocess.run(
        command, env=scene.deployment.environ(), cwd=scene.folder, capture_output=True, text=True, check=False
    )


def _damage(folder: Path) -> tuple[list[Frame], set[str]]:
    """Damage every journal that has records; return the frames that were hit, and the journals."""
    reader = JournalDirectory(folder)
    frames = reader.read({}, before=time.monotonic_ns(), limit=100_000).frames
    reader.close()
    hit: list[Frame] = []
    damaged = {frame.journal for frame in frames}
    for journal in damaged:
        places = [(frame, *_range(frame)) for frame in frames if frame.journal == journal]
        # Not the last ones: if their process is killed, no later record shows that they are missing.
        flips = [(start + end) // 2 for _, start, end in places[: -len(places) // 5 : max(1, len(places) // 4)]]
        page = places[len(places) // 2][1] // _PAGE * _PAGE
        (path,) = folder.glob(f"{journal}-00000000.seg")
        with path.open("r+b") as file:
            for at in flips:
                file.seek(at)
                byte = file.read(1)[0]
                file.seek(at)
                file.write(bytes([byte ^ 0x20]))
            if page:
                file.seek(page)
                file.write(bytes(_PAGE))
        hit += [
            frame
            for frame, start, end in places
            if any(start <= at < end for at in flips) or (page and start < page + _PAGE and end > page)
        ]
    return hit, damaged


def _range(frame: Frame) -> tuple[int, int]:
    """Where a frame of the first segment lies: its padding does not matter."""
    length = 40 + len(frame.payload)
    start = frame.end - (length + 7 & -8)
    return start, start + length


def _serials(frame: Frame) -> list[int]:
    record = payloads.decode(frame.payload)
    assert isinstance(record, Record)
    attributes = [entry.attributes or {} for entry in record.entries if entry.name == "step"]
    return [int(each["event_properties.serial"]) for each in attributes]


FAULTS = (
    Fault(
        name="journals-damaged",
        about="bytes of every journal are changed, and one of the owners is killed",
        play=journals_damaged,
        seconds=8,
        promise=Promise(
            cuts_requests=True,
            may_lose="the damaged records, and no other; see docs/reliability.md",
            most_lost=0.5,
        ),
    ),
)
