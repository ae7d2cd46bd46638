"""When the steps of a runtime run: each on a thread of its own, or only when they are called for.

A step does a bounded piece of work and returns for how many seconds to rest. A runtime gives its steps to a `Scheduler`,
which the engine hands in, and waits through it; so a simulation can run the steps of many processes in one thread, in
any order.

See P2 in docs/internals.md.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from sojourn.core.threads import StopFlag, Worker, sleep, within

log = logging.getLogger("sojourn")

Result = TypeVar("Result")

_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """Something that is done again and again. `at_end` runs once after the last time, where `run` ran."""

    name: str
    run: Callable[[], float]
    at_end: Callable[[], None] | None = None


class Scheduler(Protocol):
    """Runs the steps of one runtime, and measures for how long it waits."""

    @property
    def is_stopping(self) -> bool: ...

    def start(self, steps: Sequence[Step]) -> None:
        """Run these steps from now on. Once."""
        ...

    def stop(self) -> None:
        """Let every step end after what it does now. Returns at once, unless it runs `at_end` itself."""
        ...

    def join(self, steps: Sequence[Step], deadline: float) -> bool:
        """Wait until these steps have ended, at most until `deadline`, and return whether they have."""
        ...

    def within(self, seconds: float, work: Callable[[], Result]) -> Result | None:
        """Return or raise what the work does; `None` if it takes longer. Then it goes on by itself."""
        ...

    def monotonic(self) -> float:
        """Return the seconds that deadlines go by."""
        ...

    def pause(self, seconds: float) -> None:
        """Let others get on before the caller looks again."""
        ...


class ThreadScheduler:
    """A daemon thread for each step. A step that raises is logged, counted and run again."""

    monotonic = staticmethod(time.monotonic)
    pause = staticmethod(sleep)
    within = staticmethod(within)

    def __init__(self) -> None:
        self._stop = StopFlag()
        self._workers: dict[Step, Worker] = {}
        self._faults = 0

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def start(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self._workers[step] = Worker(self._work(step), name=f"sojourn-{step.name}")
        for worker in self._workers.values():
            worker.start()

    def stop(self) -> None:
        self._stop.set()

    def join(self, steps: Sequence[Step], deadline: float) -> bool:
        workers = [worker for step in steps if (worker := self._workers.get(step)) is not None]
        return all(worker.join(deadline - time.monotonic()) for worker in workers)

    def _work(self, step: Step) -> Callable[[], None]:
        def work() -> None:
            while not self._stop.is_set():
                self._stop.wait(self._turn(step))
            if step.at_end is not None:
                step.at_end()

        return work

    def _turn(self, step: Step) -> float:
        try:
            return step.run()
        except Exception as error:  # noqa: BLE001 - the guard of the background: a store that is away comes back
            self._faults += 1
            if self._faults in {1, 10, 100} or self._faults % 1000 == 0:
                log.warning("Sojourn's %s failed and is tried again (%d failures): %s", step.name, self._faults, error)
            return _RETRY_S


class InlineScheduler:
    """For manual clocks: no step runs by itself, and what is asked for is done by the thread that asks."""

    monotonic = staticmethod(time.monotonic)
    pause = staticmethod(sleep)

    def __init__(self) -> None:
        self._steps: Sequence[Step] = ()
        self.is_stopping = False

    def start(self, steps: Sequence[Step]) -> None:
        self._steps = steps

    def stop(self) -> None:
        self.is_stopping = True
        for step in self._steps:
            if step.at_end is not None:
                step.at_end()

    def join(self, steps: Sequence[Step], deadline: float) -> bool:
        return True

    def within(self, seconds: float, work: Callable[[], Result]) -> Result | None:
        return work()
