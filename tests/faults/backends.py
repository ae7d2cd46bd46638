"""Faults of the backend: errors, garbage, silence, outages."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Final

from sojourn.core.clock import SystemClock
from sojourn.health.checks import Limits, problems
from sojourn.health.conditions import Level, Problem, worst
from sojourn.health.snapshot import snapshot

from . import judging, receiver
from .clocks import CLOCK_FILE, set_clock, skew_of
from .deployment import BACKEND
from .killing import RestartedUvicorn
from .receiver import Behaviour, CloudEvent
from .scene import Fault, Promise, Scene
from .visitors import Host

_OLDEST_S: Final = 1_800
_HOUR_MS: Final = 3_600_000
_GONE_MS: Final = 10 * 60_000
"""For how long no process has run when its absence is looked for: the time is moved, not waited for."""


def _misbehaves(behaviour: Behaviour, until_calls: int = 3) -> Callable[[Scene], None]:
    """Let the backend misbehave while visitors browse, and recover afterwards."""

    def play(scene: Scene) -> None:
        with scene.deployment.gunicorn(workers=2) as server:
            with scene.visitors(server):
                scene.wait(2)
                scene.receiver.behave(behaviour)
                before = scene.receiver.calls
                scene.wait(scene.seconds)
                receiver.wait_for(
                    lambda: scene.receiver.calls >= before + until_calls, 60, f"{until_calls} calls hit the fault"
                )
                scene.notes.append(f"{scene.receiver.calls - before} calls hit the fault")
            scene.receiver.behave(receiver.well)
            scene.settle()

    return play


def some_invalid_for_good(scene: Scene) -> None:
    """Reject some events for good, in whatever call they come. Only they become dead letters."""
    with scene.deployment.gunicorn(workers=2) as server:
        scene.receiver.behave(receiver.choosy(_is_bad))
        with scene.visitors(server):
            scene.wait(scene.seconds)
        scene.settle()
    scene.notes.append(f"{len(scene.receiver.refused)} events rejected for good, each a dead letter")
    if not scene.receiver.refused:
        scene.wrong.append("no event was refused: the fault did not happen")


def _is_bad(event: CloudEvent) -> bool:
    return event.type == "step" and zlib.crc32(event.id.encode()) % 8 == 0


def down_and_killed(scene: Scene) -> None:
    """Stop the backend, kill every process with its backlog, restart them, then the backend."""
    with RestartedUvicorn(scene) as site:
        with scene.visitors(Host(lambda: site.server.url)):
            scene.wait(2)
            scene.receiver.down()
            scene.say("the backend is down")
            for _ in range(2):
                scene.wait(scene.seconds / 2)
                site.server.kill()
                scene.say("the server is killed and restarted")
                site.restart()
            scene.wait(2)
            scene.receiver.up()
            scene.say("the backend is back")
            scene.wait(2)
        scene.settle()


def dead_and_reported(scene: Scene) -> None:
    """Nothing listens at the backend from the start, then the app is gone, too. Its operator must see both, and why."""
    scene.receiver.down()
    with RestartedUvicorn(scene) as site:
        with scene.visitors(Host(lambda: site.server.url)):
            receiver.wait_for(lambda: _level(scene) is Level.CRITICAL, 60, "the backend that got nothing is reported")
            _expect(scene, "nothing was ever delivered", "nothing listens there")
            scene.wait(1)
        site.server.kill()
        receiver.wait_for(
            lambda: _level(scene, later_ms=_GONE_MS) is Level.CRITICAL, 10, "the missing process is reported"
        )
        _expect(scene, "no process has tried to deliver them", "nothing listens there", later_ms=_GONE_MS)
        scene.receiver.up()
        site.restart()
        with scene.visitors(Host(lambda: site.server.url), seed=2):
            scene.wait(1)
        scene.settle()
        if found := _problems(scene):
            scene.wrong.append(f"all is delivered, but problems are reported: {[problem.text for problem in found]}")


def _problems(scene: Scene, later_ms: int = 0) -> list[Problem]:
    """What `sojourn status --check` would find so much later."""
    now = SystemClock.now() + later_ms
    return problems(snapshot(scene.deployment.opened(), None, now=now), Limits(lag=10 * 60_000))


def _level(scene: Scene, later_ms: int = 0) -> Level:
    return worst(_problems(scene, later_ms))


def _expect(scene: Scene, *phrases: str, later_ms: int = 0) -> None:
    texts = [problem.text for problem in _problems(scene, later_ms)]
    if not any(all(phrase in text for phrase in phrases) for text in texts):
        scene.wrong.append(f"no problem says {' and '.join(map(repr, phrases))}, but {texts}")


def beside_a_dead_one(scene: Scene) -> None:
    """A second backend never responds; the first one gets its events all the same, and no later."""
    with receiver.Receiver(behaviour=receiver.silent) as dead:
        backends = scene.deployment.settings["BACKENDS"]
        scene.deployment.settings["BACKENDS"] = f"webhook+{dead.url}?timeout=15&name=dead,{backends}"
        with scene.deployment.gunicorn(workers=2) as server:
            with scene.visitors(server):
                scene.wait(scene.seconds)
            receiver.wait_for(lambda: _backlog(scene, BACKEND) == 0, 10, "the healthy backend has all it was sent")
            if dead.calls == 0:
                scene.wrong.append("the dead backend was never called: the fault did not happen")
            dead.behave(receiver.well)
            scene.notes.append(
                f"the hanging backend was called {dead.calls} times; both have the same events in the end"
            )
            scene.settle()
        if dead.taken.keys() != scene.receiver.taken.keys():
            scene.wrong.append(f"one backend has {len(dead.taken)} events, the other {len(scene.receiver.taken)}")


def too_old_when_it_is_back(scene: Scene) -> None:
    """Let events wait for an hour, by the host's clock, for a backend that accepts nothing older than half an hour."""
    clock = scene.folder / "clock"
    set_clock(clock, 0)
    scene.deployment.settings["BACKENDS"] += f"&oldest_accepted={_OLDEST_S}"
    environ = {CLOCK_FILE: str(clock)}
    with scene.deployment.gunicorn(workers=2, host=0, **environ) as server:
        host = Host(lambda: server.url, lambda: skew_of(clock))
        scene.receiver.down()
        scene.say("the backend is down")
        with scene.visitors(host):
            scene.wait(scene.seconds / 2)
        receiver.wait_for(lambda: _all_are_over(scene), 60, "every session is over")
        waiting = _backlog(scene, BACKEND) or 0
        later_ms = time.time_ns() // 1_000_000 + _HOUR_MS
        set_clock(clock, _HOUR_MS)
        scene.say(f"an hour later; {waiting} events have waited")
        with scene.visitors(host, seed=2):
            scene.wait(scene.seconds / 2)
            scene.receiver.up()
            scene.say("the backend is back")
        scene.settle()
    figures = scene.deployment.figures()
    expired = 0 if figures is None else sum(state.expired for state in figures.stats.backends)
    scene.notes.append(f"{expired} events expired, and {len(scene.receiver.taken)} arrived")
    if not expired or expired != waiting:
        scene.wrong.append(f"{expired} events are counted as expired, and {waiting} had waited for too long")
    old = [fact for fact in judging.of_receiver(scene.receiver.taken.values()) if fact.at < later_ms]
    if old:
        scene.wrong.append(f"{len(old)} events arrived that the backend would drop for their age")


def _all_are_over(scene: Scene) -> bool:
    figures = scene.deployment.figures()
    return figures is not None and not figures.unread and not figures.stats.open_sessions


def _backlog(scene: Scene, name: str) -> int | None:
    figures = scene.deployment.figures()
    if figures is None:
        return None
    return sum(state.backlog for state in figures.stats.backends if state.name == name)


def _cut(name: str, about: str, behaviour: Behaviour, *, seconds: float = 8, until_calls: int = 3) -> Fault:
    return Fault(name=name, about=about, play=_misbehaves(behaviour, until_calls), seconds=seconds)


FAULTS = (
    _cut("backend-5xx", "the backend responds 503", receiver.failing(503)),
    _cut("backend-429", "the backend responds 429 with Retry-After", receiver.failing(429, {"Retry-After": "2"})),
    _cut("backend-413", "the backend accepts at most 7 events per call (413)", receiver.too_large(7)),
    Fault(
        name="backend-400",
        about="the backend responds 400 to every call that contains an invalid event",
        play=some_invalid_for_good,
        seconds=8,
    ),
    _cut("backend-silent", "the backend never responds", receiver.silent, until_calls=2),
    _cut(
        "backend-garbage", "the backend keeps the events and responds with something other than HTTP", receiver.garbled
    ),
    _cut("backend-drip", "the backend keeps the events and responds byte by byte", receiver.dripping, until_calls=2),
    _cut(
        "backend-reset",
        "the backend resets the connection, half of the time after keeping the events",
        receiver.resetting,
    ),
    Fault(
        name="backend-dead-reported",
        about="nothing listens at the backend from the start, and then no process runs: both are reported, with the reason",
        play=dead_and_reported,
        seconds=0,
        promise=Promise(cuts_requests=True),
    ),
    Fault(
        name="backend-beside-dead",
        about="one backend never responds, beside a healthy one",
        play=beside_a_dead_one,
        seconds=10,
    ),
    Fault(
        name="backend-too-late",
        about="the backend is back when events have waited for longer than it accepts",
        play=too_old_when_it_is_back,
        seconds=10,
        promise=Promise(
            may_lose="what has waited for longer than the backend accepts is counted as expired, and not sent",
            most_lost=0.9,
        ),
    ),
    Fault(
        name="backend-down-killed",
        about="the backend is down, the server is killed and restarted twice, the backend comes back",
        play=down_and_killed,
        seconds=12,
        promise=Promise(cuts_requests=True),
    ),
)
