"""Steps run when their scheduler says so: on threads, inline, or turn by turn in one thread, as a simulation does it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pytest

from sojourn.core.records import ACTIVITY, REQUEST, STARTS, Entry, Record
from sojourn.core.session import Rules
from sojourn.pipeline import payloads
from sojourn.pipeline.journal import SYSTEM_FILES
from sojourn.pipeline.record.recorder import Recorder
from sojourn.pipeline.runtime import Plan, Runtime
from sojourn.pipeline.scheduling import InlineScheduler, Scheduler, Step, ThreadScheduler
from sojourn.pipeline.shared_table import in_memory
from sojourn.stores import open_store
from sojourn.testing import ManualClock, MemoryBackend

Result = TypeVar("Result")


def test_a_step_that_fails_is_logged_and_run_again(caplog: pytest.LogCaptureFixture) -> None:
    scheduler = ThreadScheduler()
    turns: list[int] = []

    def turn() -> float:
        turns.append(1)
        scheduler.stop()  # so that it does not rest for the second that a failure costs
        raise OSError("the disk is away")

    step = Step("recorder", turn)
    scheduler.start([step])
    assert scheduler.join([step], scheduler.monotonic() + 20)
    assert turns == [1]
    assert "Sojourn's recorder failed and is tried again (1 failures): the disk is away" in caplog.text


def test_at_end_runs_once_on_the_thread_of_its_step() -> None:
    scheduler, threads = ThreadScheduler(), []
    ran = threading.Event()

    def turn() -> float:
        ran.set()
        threads.append(threading.get_ident())
        return 60

    step = Step("recorder", turn, at_end=lambda: threads.append(threading.get_ident()))
    scheduler.start([step])
    assert ran.wait(20)
    assert not scheduler.is_stopping
    scheduler.stop()
    assert scheduler.join([step], scheduler.monotonic() + 20)
    assert len(threads) == 2
    assert len(set(threads)) == 1


def test_a_step_that_was_not_started_has_ended() -> None:
    scheduler = ThreadScheduler()
    assert scheduler.join([Step("recorder", lambda: 0.0)], scheduler.monotonic())


def test_an_inline_scheduler_runs_only_the_ends() -> None:
    scheduler, ran = InlineScheduler(), []

    def turn() -> float:
        ran.append("turn")
        return 0

    step = Step("recorder", turn, at_end=lambda: ran.append("end"))
    scheduler.start([step])
    assert scheduler.within(0, lambda: "inline") == "inline"
    assert ran == []
    scheduler.stop()
    assert scheduler.join([step], scheduler.monotonic())
    assert ran == ["end"]


# --- a simulation of one process


class SimulatedClock(ManualClock):
    """Time that only the test moves, for a runtime that runs as in production."""

    is_manual = False


class Turns:
    """A scheduler whose steps are run by the test."""

    def __init__(self, clock: SimulatedClock) -> None:
        self._clock = clock
        self.steps: dict[str, Step] = {}
        self.is_stopping = False

    def start(self, steps: Sequence[Step]) -> None:
        self.steps = {step.name: step for step in steps}

    def stop(self) -> None:
        self.is_stopping = True
        for step in self.steps.values():
            if step.at_end is not None:
                step.at_end()

    def join(self, steps: Sequence[Step], deadline: float) -> bool:
        return True

    def within(self, seconds: float, work: Callable[[], Result]) -> Result | None:
        return work()

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def pause(self, seconds: float) -> None:
        self._clock.advance(seconds)


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def turns(clock: SimulatedClock) -> Turns:
    return Turns(clock)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend()


@pytest.fixture
def runtime(tmp_path: Path, clock: SimulatedClock, turns: Turns, backend: MemoryBackend) -> Iterator[Runtime]:
    """A whole background, with files and a database, in the thread of the test."""
    scheduler: Scheduler = turns
    store = open_store(f"sqlite:///{tmp_path / 'sojourn.db'}")
    runtime = Runtime(
        Plan(
            directory=tmp_path / "journals",
            journal_limit=1 << 20,
            journal_fsync=False,
            records=True,
            idle_timeout=30 * 60_000,
            sweep_interval=15_000,
            sweep_grace=0,
            retention=30 * 86_400_000,
            record_within=5_000,
        ),
        store=store,
        backends=[backend],
        clock=clock,
        files=SYSTEM_FILES,
        scheduler=scheduler,
        recorder=lambda reader: Recorder(
            store.records,
            reader,
            rules=Rules(),
            service={},
            sweep_interval=15_000,
            sweep_grace=0,
            max_age=7 * 86_400_000,
            monotonic_ns=clock.monotonic_ns,
        ),
        keep=lambda _: None,
        shared=in_memory().session,
    )
    runtime.start()
    yield runtime
    runtime.close(2.0)
    store.close()


def test_a_whole_background_runs_in_one_thread(
    runtime: Runtime, clock: SimulatedClock, turns: Turns, backend: MemoryBackend
) -> None:
    threads = threading.active_count()
    assert list(turns.steps) == ["keeper", "recorder", f"dispatcher-{backend.name}"]
    keeper, recorder, dispatcher = turns.steps.values()
    record = Record(
        clock.now(),
        "018bcfe5-6800-7000-8000-000000000001",
        "visitor",
        clock.now(),
        ACTIVITY | REQUEST | STARTS,
        entries=(Entry("page_view", clock.now(), {"url.path": "/"}),),
        origin={"url.path": "/"},
    )
    assert runtime.journal.append(payloads.encode(record), kind="request", essential=True, wall=clock.now())

    assert keeper.run() == 0.25
    assert recorder.run() == 0.25  # more may come soon
    assert runtime.is_recorder
    assert recorder.run() == 0.1
    assert backend.events == []
    assert dispatcher.run() == 0.25
    assert [event.name for event in backend.events] == ["session.start", "page_view"]
    assert dispatcher.run() == 0.2

    clock.advance(30 * 60)
    recorder.run()
    assert dispatcher.run() == 0.0
    assert [event.name for event in backend.events][2:] == ["session.end"]
    assert threading.active_count() == threads
