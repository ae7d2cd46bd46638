"""Faults that kill or stop processes: web servers, recorders, workers."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from typing import Self

from . import receiver
from .scene import Fault, Promise, Scene
from .servers import Server
from .visitors import Host

_CUTS = Promise(cuts_requests=True)


def web_killed_gunicorn(scene: Scene) -> None:
    """Kill workers, one of which is the recorder. The master starts another for each."""
    chance, killed = random.Random(2), 0
    with scene.deployment.gunicorn(workers=3) as server:
        with scene.visitors(server):
            for tick in scene.ticks(1.0):
                if workers := server.workers():
                    killed += _killed(chance.choice(workers))
                if tick % 10 == 0:
                    scene.say(f"{killed} workers killed")
        scene.settle()
    scene.notes.append(f"{killed} workers killed")


def web_killed_uvicorn(scene: Scene) -> None:
    """Kill the whole server, and restart it at once on another port."""
    with RestartedUvicorn(scene) as site:
        with scene.visitors(Host(lambda: site.server.url)):
            for _ in scene.ticks(1.0):
                site.server.kill()
                site.restart()
        scene.settle()
    scene.notes.append(f"{site.restarts} servers killed")


def recorder_killed(scene: Scene) -> None:
    """Kill the process that records and delivers, again and again. The next one takes over at once."""
    killed = 0
    with scene.deployment.gunicorn(workers=3) as server:
        with scene.visitors(server):
            scene.receiver.behave(receiver.slow(0.1))
            for _ in scene.ticks(1.5):
                pid = scene.deployment.recorder_pid()
                if pid in server.workers():
                    killed += _killed(pid)
        scene.receiver.behave(receiver.well)
        scene.settle()
    scene.notes.append(f"{killed} recorders killed")


def worker_killed(scene: Scene) -> None:
    """Kill the worker in the middle of its work, again and again. The web processes only append."""
    chance, killed = random.Random(3), 0
    scene.deployment.settings["DELIVER"] = "worker"
    scene.receiver.behave(receiver.slow(0.15))
    with scene.deployment.gunicorn(workers=2) as server:
        with scene.visitors(server):
            for tick in scene.ticks(0.5):
                worker = scene.deployment.start_worker()
                with contextlib.suppress(TimeoutError):
                    scene.deployment.await_recorder(5, of=worker.pid)
                    scene.wait(chance.uniform(0.0, 0.8))
                worker.kill()
                killed += 1
                if tick % 5 == 0:
                    scene.say(f"{killed} workers killed, {scene.receiver.calls} calls of the backend")
        scene.receiver.behave(receiver.well)
        with scene.deployment.worker():
            scene.settle()
    scene.notes.append(f"{killed} workers killed")


def worker_frozen(scene: Scene) -> None:
    """Freeze the worker in mid-call beyond its lease. Another takes over, then the first wakes up."""
    scene.deployment.settings["DELIVER"] = "worker"
    with scene.deployment.gunicorn(workers=2) as server, contextlib.ExitStack() as workers:
        with scene.visitors(server):
            first = workers.enter_context(scene.deployment.worker())
            scene.deployment.await_recorder(of=first.pid)
            second = workers.enter_context(scene.deployment.worker())
            scene.receiver.behave(receiver.slow(0.5))
            scene.wait(3)
            first.send(signal.SIGSTOP)
            scene.say("the recording worker is frozen")
            scene.deployment.await_recorder(60, of=second.pid)
            scene.say("the other worker has taken over")
            scene.wait(max(0.0, scene.seconds - 30))
            scene.receiver.behave(receiver.well)
            first.send(signal.SIGCONT)
            scene.say("the frozen worker continues")
            scene.wait(5)
        scene.settle()


def last_process(scene: Scene) -> None:
    """Stop the only server, as a service manager does, while events wait. No process comes that could deliver them."""
    scene.deployment.settings["SHUTDOWN_TIMEOUT"] = "10s"
    deployment, began, stops = scene.deployment, time.monotonic(), 0
    kinds = (lambda: deployment.gunicorn(workers=1), lambda: deployment.gunicorn(workers=3), deployment.uvicorn)
    scene.receiver.behave(receiver.slow(0.1))
    while stops < len(kinds) or time.monotonic() - began < scene.seconds:
        with kinds[stops % len(kinds)]() as server:
            with scene.visitors(server, seed=stops):
                scene.wait(2)
            took = server.stop()
        stops += 1
        figures = deployment.figures()
        waiting = None if figures is None else sum(state.backlog for state in figures.stats.backends)
        scene.say(f"stopped in {took:.1f} s; {waiting} events wait")
        if figures is None or waiting or figures.unread:
            scene.wrong.append(
                f"stop {stops}: {waiting} events wait for the backend though there was time to deliver them"
            )
    scene.receiver.behave(receiver.well)
    with deployment.gunicorn(workers=1) as server:
        with scene.visitors(server, seed=stops):
            scene.wait(1)
        scene.settle()
    scene.notes.append(f"stopped {stops} times; nothing was left for a next process")


class RestartedUvicorn:
    """A uvicorn that is started anew after each kill; its port changes."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._stack = contextlib.ExitStack()
        self.server: Server
        self.restarts = -1

    def __enter__(self) -> Self:
        self.restart()
        return self

    def restart(self) -> None:
        self.restarts += 1
        self.server = self._stack.enter_context(self._scene.deployment.uvicorn())

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _killed(pid: int | None) -> int:
    if pid is None:
        return 0
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        return 1
    return 0


FAULTS = (
    Fault(
        name="web-killed-gunicorn",
        about="SIGKILL of a gunicorn worker every second",
        play=web_killed_gunicorn,
        seconds=60,
        promise=_CUTS,
    ),
    Fault(
        name="web-killed-uvicorn",
        about="SIGKILL of the whole uvicorn server, repeated as soon as it is back",
        play=web_killed_uvicorn,
        seconds=30,
        promise=_CUTS,
    ),
    Fault(
        name="recorder-killed",
        about="SIGKILL of the web process that records and delivers",
        play=recorder_killed,
        seconds=20,
        promise=_CUTS,
    ),
    Fault(
        name="worker-killed",
        about="SIGKILL of the worker in mid-batch and mid-delivery",
        play=worker_killed,
        seconds=25,
    ),
    Fault(
        name="worker-frozen",
        about="SIGSTOP of the recording worker beyond its lease, then SIGCONT, beside another worker",
        play=worker_frozen,
        seconds=35,
    ),
    Fault(
        name="last-process",
        about="SIGTERM to the only server (one process, several, ASGI) while its events wait for a slow backend",
        play=last_process,
        seconds=12,
        promise=_CUTS,
    ),
)
