"""A small fleet in one thread, with one clock, and everything that happens to it.

A run is a list of actions made from a seed, each with numbers of its own, so that it can be played again, and played with
some left out. Everything that could differ between two runs (ids, waiting times) comes from the seed too.
"""

from __future__ import annotations

import errno
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from unittest.mock import patch
from wsgiref.util import setup_testing_defaults

from sojourn.core.events import START
from sojourn.errors import StoreError
from sojourn.pipeline.scheduling import Step as Work
from sojourn.stores import SQLiteStore
from tests.faults.truth import Step

from .inhabitants import Browser, Host, Process, SimulatedBackend
from .machine import Killed, PowerLost, ShortWrite, WorldClock

BEGAN: Final = 1_780_000_000_000
HEADERS: Final = {
    "HTTP_USER_AGENT": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "HTTP_ACCEPT": "text/html",
    "HTTP_SEC_FETCH_MODE": "navigate",
    "HTTP_SEC_FETCH_DEST": "document",
    "HTTP_SEC_FETCH_SITE": "none",
}
FAILURES: Final[dict[str, Callable[[], BaseException]]] = {
    "disk full": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "disk broken": lambda: OSError(errno.EIO, "Input/output error"),
    "short write": ShortWrite,
    "killed at a file": Killed,
    "power lost": PowerLost,
    "lost connection": lambda: StoreError("the connection is lost"),
    "killed at the store": Killed,
}
AT_THE_STORE: Final = frozenset({"lost connection", "killed at the store"})
Action = tuple[str, int, int, int]


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """What a world is made of."""

    hosts: int = 2
    processes: int = 2
    """Of each host."""
    browsers: int = 6
    fsync: bool = False
    may_jump: bool = False
    """Whether the hosts' clocks differ and are set."""


@dataclass
class World:
    """The fleet, and everything that happens to it."""

    fleet: Fleet
    seed: int
    complaints: list[str] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.clock = WorldClock(BEGAN)
        self.store = SQLiteStore(None)
        self.store.open()
        self.is_store_away = False
        self.backends = [SimulatedBackend("steady", self), SimulatedBackend("moody", self)]
        self.serials = 0
        self.refused = 0
        """How many records journals had no room for, as their processes count them."""
        self.lost = 0
        """How many records a loss of power may have taken from journals, and damaged."""
        self.accounts: list[Browser] = []
        self.browsers = [self._new_browser() for _ in range(self.fleet.browsers)]
        self.hosts = [Host(self, number) for number in range(self.fleet.hosts)]
        for host in self.hosts:
            host.processes = [Process(self, host) for _ in range(self.fleet.processes)]

    # --- playing -------------------------------------------------------------------------------------------------

    def play(self, actions: Sequence[Action]) -> None:
        """Let it happen, then let everything settle."""
        with determined(self.seed):
            for name, first, second, third in actions:
                self.clock.now_ms += 1
                getattr(self, f"do_{name}")(first, second, third)
            self.settle()

    def do_pass(self, milliseconds: int, _second: int, _third: int) -> None:
        self.clock.now_ms += milliseconds

    def do_visit(self, browser: int, process: int, kind: int) -> None:
        place = browser % len(self.browsers)
        visitor = self.browsers[place]
        self.request(visitor, self._process(process), kind)
        step = visitor.steps[-1]
        if not step.is_complete and (step.changes_state or not visitor.cookies):
            self.browsers[place] = self._new_browser()  # one that cannot know any more whose session it has

    def do_step(self, process: int, which: int, times: int) -> None:
        """Run steps that are due."""
        for turn in range(times):
            owner = self._process(process + turn)
            due = [step for step, at in owner.steps.items() if at <= self.clock.now_ms]
            if due:
                self.run_step(owner, due[(which + turn) % len(due)])

    def do_kill(self, process: int, _second: int, _third: int) -> None:
        self._restart(self._process(process), Process.die)

    def do_stop(self, process: int, _second: int, _third: int) -> None:
        self._restart(self._process(process), Process.stop)

    def do_fail_at(self, process: int, calls: int, kind: int) -> None:
        """One of the next calls fails; the process goes on, unless it is killed."""
        owner = self._process(process)
        name = [*FAILURES][kind % len(FAILURES)]
        trouble = owner.store_trouble if name in AT_THE_STORE else owner.trouble
        trouble.left, trouble.error = calls, FAILURES[name]

    def do_mood(self, backend: int, mood: int, _third: int) -> None:
        moods = ("well", "well", "down", "lost response", "half", "choosy")
        self.backends[backend % len(self.backends)].mood = moods[mood % len(moods)]

    def do_store(self, is_away: int, _second: int, _third: int) -> None:
        self.is_store_away = is_away % 3 == 0

    def do_clock(self, host: int, by: int, _third: int) -> None:
        if self.fleet.may_jump:
            self.hosts[host % len(self.hosts)].clock.lead_ms += by

    def do_power(self, host: int, seed: int, _third: int) -> None:
        self._lose_power(self.hosts[host % len(self.hosts)], random.Random(seed))

    def close(self) -> None:
        for host in self.hosts:
            for process in host.processes:
                process.die()
        self.store.close()

    # --- parts ---------------------------------------------------------------------------------------------------

    def request(self, browser: Browser, process: Process, kind: int) -> None:
        step = self._next_step(browser, kind)
        is_lost = kind % 31 == 30
        query = [f"user={step.user}"] if step.user else []
        query += [f"cart={step.cart}"] if step.cart else []
        query += ["end=1"] if step.ends else []
        environ: dict[str, Any] = {**HEADERS, "PATH_INFO": f"/page/{step.serial}", "QUERY_STRING": "&".join(query)}
        if browser.cookies:
            environ["HTTP_COOKIE"] = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
        setup_testing_defaults(environ)
        browser.steps.append(step)
        step.sent_at, step.skew_ms = self.clock.now_ms, process.clock.lead_ms
        starts: list[tuple[str, list[tuple[str, str]]]] = []
        refused = process.refused

        def start_response(status: str, headers: list[tuple[str, str]], error: Any = None) -> Callable[[bytes], object]:
            starts.append((status, headers))
            return lambda data: None

        try:
            body = process.door(environ, start_response)
            for _ in body:
                pass
            if hasattr(body, "close"):
                body.close()
        except Killed as death:
            self.reached["killed in a request"] += 1
            self._bury(process, death)
            return
        except Exception as error:  # noqa: BLE001 - the promise: none of ours in the app's face
            self.complaints.append(f"request {step.serial} raised {error!r}")
            return
        if is_lost:
            self.reached["a response was lost"] += 1
            return
        ((status, headers),) = starts
        step.responded_at, step.status = self.clock.now_ms, int(status[:3])
        process.served.append(step)
        process.host.served.append(step)
        if process.refused > refused:
            self.refused += process.refused - refused
            self.reached["a record was refused"] += 1
            self.lose([step])
        for name, value in headers:
            if name == "X-Session":
                step.session = value or None
            elif name == "Set-Cookie":
                key, _, content = value.partition(";")[0].partition("=")
                browser.cookies[key] = content

    def _next_step(self, browser: Browser, kind: int) -> Step:
        self.serials += 1
        step = Step(serial=self.serials, visitor=browser.number)
        match kind % 12:
            case 0 | 1:
                step.user = f"user-{browser.number}-{'ab'[kind // 12 % 2]}"
            case 2:
                step.cart = self.serials
            case 3:
                step.ends = True
        return step

    def run_step(self, process: Process, step: Work) -> None:
        try:
            rest = step.run()
        except Killed as death:
            self._bury(process, death)
            return
        except Exception as error:  # noqa: BLE001 - as the scheduler of threads does
            self.reached[f"a step failed: {type(error).__name__}"] += 1
            rest = 1.0
        process.steps[step] = self.clock.now_ms + rest * 1000

    def settle(self) -> None:
        """Mend everything, and wait until all is recorded, ended and delivered, or longer than it may take."""
        self._mend()
        for turn in range(2000):
            for process in [process for host in self.hosts for process in host.processes]:
                for step, at in list(process.steps.items()):
                    if at <= self.clock.now_ms:
                        self.run_step(process, step)
            self.clock.now_ms += 200 if turn < 50 else 20_000
            if turn > 70 and turn % 10 == 0 and self._is_settled():
                return
        self.complaints.append("it did not settle: something is not recorded, not ended or not delivered")

    def _mend(self) -> None:
        self.is_store_away = False
        for backend in self.backends:
            backend.mood = "well"
        for process in [process for host in self.hosts for process in host.processes]:
            for trouble in (process.trouble, process.store_trouble):
                trouble.calls_before_the_end, trouble.left = trouble.calls, None
            if process.is_in_memory:  # the operator restarts it, as the log asks for
                self._restart(process, Process.stop)
        for process in [process for host in self.hosts for process in host.processes]:
            process.engine.start()

    def _is_settled(self) -> bool:
        stats = self.store.stats()
        return stats.open_sessions == 0 and all(
            state.backlog == 0 for backend in self.backends for state in [self.store.delivery.state(backend.name)]
        )

    def _bury(self, process: Process, death: Killed) -> None:
        if isinstance(death, PowerLost):
            self._lose_power(process.host, random.Random(self.serials))
        else:
            self._restart(process, Process.die)

    def _lose_power(self, host: Host, chance: random.Random) -> None:
        """Stop a machine. With `journal_fsync` that loses no record; without it, those that the disk did not have yet."""
        self.reached[f"power was lost, {'with' if self.fleet.fsync else 'without'} journal_fsync"] += 1
        for process in host.processes:
            process.die()
        if not self.fleet.fsync:
            self.lost += len(host.served)
            self.lose(host.served)
        host.served = []
        host.disk.lose_power(chance, host.new_boot())
        host.processes = [Process(self, host) for _ in range(self.fleet.processes)]

    def lose(self, served: Sequence[Step]) -> None:
        """Take back that these requests will be recorded, unless they are, and what their visitors know."""
        pages = {event.attributes.get("url.path") for event in self.store.log.after(START, limit=1_000_000)}
        visitors = {step.visitor for step in served if f"/page/{step.serial}" not in pages}
        for step in (step for number in visitors for step in self.accounts[number].steps):
            step.responded_at, step.status = None, 0
        self.browsers = [self._new_browser() if each.number in visitors else each for each in self.browsers]

    def _new_browser(self) -> Browser:
        self.accounts.append(Browser(len(self.accounts)))
        return self.accounts[-1]

    def _process(self, number: int) -> Process:
        processes = [process for host in self.hosts for process in host.processes]
        return processes[number % len(processes)]

    def _restart(self, process: Process, end: Callable[[Process], None]) -> None:
        if process not in process.host.processes:
            return
        try:
            end(process)
        except PowerLost as death:
            self._bury(process, death)
            return
        except Killed:
            process.die()
        process.host.processes.remove(process)
        process.host.processes.append(Process(self, process.host))


@contextmanager
def determined(seed: int) -> Iterator[None]:
    """Let chance be that of the seed, for ids and waiting times too."""
    chance = random.Random(seed)
    state = random.getstate()
    random.seed(seed)
    try:
        with patch.object(os, "urandom", chance.randbytes):
            yield
    finally:
        random.setstate(state)
