"""Faults of a fleet: two hosts, each with its own journals and its own idea of the time, on one PostgreSQL.

A host is here a server with a journal directory of its own, which is what Sojourn takes for a host, and a clock that is
wrong by what a file says.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from .clocks import CLOCK_FILE, set_clock, skew_of
from .scene import Fault, Promise, Scene
from .stores import no_postgres, use_postgres
from .visitors import Host, Manners

_MINUTE_MS: Final = 60_000
_IDLE_S: Final = 30 * 60.0
_MANNERS: Final = Manners(always_ends=True, ends=0.1, pages=(3, 9))


def hosts_apart(scene: Scene) -> None:
    """Set the clocks five minutes apart. Visitors change hosts at each page, and nothing must show."""
    with _hosts(scene, 0, -5 * _MINUTE_MS) as (one, other, _):
        with scene.visitors(one, other, manners=_MANNERS):
            scene.wait(scene.seconds)
        scene.settle()


def host_steps_back(scene: Scene) -> None:
    """Set one clock back by an hour: for that host all visits of the other are in the future."""
    with _hosts(scene, 0, -5 * _MINUTE_MS) as (one, other, clock):
        with scene.visitors(one, other, manners=_MANNERS):
            scene.wait(scene.seconds / 2)
            set_clock(clock, -65 * _MINUTE_MS)
            scene.say("one host's clock is set back by an hour")
            scene.wait(scene.seconds / 2)
        scene.settle()


def host_late(scene: Scene) -> None:
    """Kill one host's worker again and again: its records come late, when their sessions have continued elsewhere."""
    scene.deployment.settings["DELIVER"] = "worker"
    with _hosts(scene, 0, 0) as (one, other, _), scene.deployment.worker(0):
        far = scene.deployment.start_worker(1)
        with scene.visitors(one, other, manners=_MANNERS):
            for _ in scene.ticks(3):
                far.kill()
                scene.wait(1)
                far = scene.deployment.start_worker(1)
        try:
            scene.settle()
        finally:
            far.stop()


@contextlib.contextmanager
def _hosts(scene: Scene, *skews_ms: int) -> Iterator[tuple[Host, Host, Path]]:
    """Two of them, and the file that sets the clock of the second."""
    use_postgres(scene)
    scene.idle_s = _IDLE_S
    scene.deployment.settings["IDLE_TIMEOUT"] = "30m"
    scene.deployment.journals = [scene.folder / f"host-{number}" for number in range(len(skews_ms))]
    with contextlib.ExitStack() as stack:
        hosts, clocks = [], []
        for number, skew in enumerate(skews_ms):
            clock = scene.folder / f"clock-{number}"
            set_clock(clock, skew)
            environ = {CLOCK_FILE: str(clock)}
            server = stack.enter_context(scene.deployment.gunicorn(workers=2, host=number, **environ))
            hosts.append(_host(server.url, clock))
            clocks.append(clock)
        yield hosts[0], hosts[1], clocks[1]


def _host(url: str, clock: Path) -> Host:
    return Host(lambda: url, lambda: skew_of(clock))


FAULTS = (
    Fault(
        name="hosts-apart",
        about="two hosts on one PostgreSQL, their clocks five minutes apart",
        play=hosts_apart,
        seconds=12,
        missing=no_postgres,
    ),
    Fault(
        name="host-steps-back",
        about="two hosts on one PostgreSQL, one clock is set back by an hour",
        play=host_steps_back,
        seconds=16,
        promise=Promise(
            may_split="a visit that goes from a host to one whose clock is ahead by more than the idle timeout is two"
        ),
        missing=no_postgres,
    ),
    Fault(
        name="host-late",
        about="two hosts on one PostgreSQL, one records seconds late, again and again",
        play=host_late,
        seconds=12,
        missing=no_postgres,
    ),
)
