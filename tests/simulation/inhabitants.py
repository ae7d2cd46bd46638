"""What lives in a simulated fleet: processes that are real engines, their hosts, their store, backends and browsers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from sojourn import Engine, Settings, current_session, end_session, identify, set_session_property, track
from sojourn.backends.protocol import Receipt, Rejection
from sojourn.core.events import Event
from sojourn.engine import _open_engines
from sojourn.errors import StoreError
from sojourn.pipeline.journal import MemoryJournal
from sojourn.pipeline.scheduling import Step as Work
from sojourn.stores import SQLiteStore
from sojourn.wsgi import SojournMiddleware
from tests.faults.truth import Step

from .machine import Disk, HostClock, Killed, SimulatedFiles, Trouble

if TYPE_CHECKING:
    from .world import World

IDLE_MS: Final = 30 * 60_000


class SimulatedScheduler:
    """Collects the steps of a process; the world chooses which runs."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._ended: set[Work] = set()
        self.is_stopping = False

    def start(self, steps: Sequence[Work]) -> None:
        self._process.steps = dict.fromkeys(steps, 0.0)

    def stop(self) -> None:
        self.is_stopping = True
        self.join([*self._process.steps], 0.0)

    def join(self, steps: Sequence[Work], deadline: float) -> bool:
        for step in steps:
            if self.is_stopping and step in self._process.steps and step not in self._ended:
                self._ended.add(step)
                if step.at_end is not None:
                    step.at_end()
        return True

    def within(self, seconds: float, work: Callable[[], Any]) -> Any:
        return work()

    def monotonic(self) -> float:
        return self._process.clock.monotonic()

    def pause(self, seconds: float) -> None:
        self._process.world.clock.now_ms += max(1, round(seconds * 1000))


class ProcessStore:
    """The one store, as a process sees it over a network: any call may fail, before it had its effect or after."""

    def __init__(self, store: SQLiteStore, process: Process) -> None:
        self._store = store
        self._process = process
        self.name = store.name

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._store, name)
        return _Port(value, self._process) if name in _PORTS else value

    def open(self) -> None:
        self._process.meet_store("open")

    def close(self) -> None:
        """Leave the store to the others."""

    def recreate(self) -> ProcessStore:
        return self

    def time(self) -> int:
        self._process.meet_store("time")
        return self._process.world.clock.now_ms


_PORTS: Final = frozenset({"records", "leases", "log", "delivery", "outbox", "maintenance", "agents"})


class _Port:
    def __init__(self, port: Any, process: Process) -> None:
        self._port = port
        self._process = process

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        if not callable(value):
            return value
        if name == "recording":
            return self._recording

        def call(*arguments: Any, **named: Any) -> Any:
            self._process.meet_store(name)
            result = value(*arguments, **named)
            self._process.meet_store(f"after {name}")
            return result

        return call

    @contextmanager
    def _recording(self) -> Iterator[Any]:
        self._process.meet_store("recording")
        with self._port.recording() as transaction:
            save = transaction.save

            def saved(batch: Any) -> None:
                self._process.meet_store("save")
                save(batch)
                self._process.meet_store("after save")

            transaction.save = saved
            yield transaction


class SimulatedBackend:
    """A receiver that keeps what it accepts, once by id, and has moods."""

    third_party = False

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self._world = world
        self.mood = "well"
        self.taken: dict[str, Event] = {}
        self.arrived: list[Event] = []
        self.refused: set[str] = set()

    def accepts(self, event: Event) -> bool:
        return True

    def send(self, batch: Sequence[Event]) -> Receipt:
        match self.mood:
            case "down":
                raise OSError("connection refused")
            case "lost response":
                self._keep(batch)
                raise TimeoutError("no response")
            case "half":
                self._keep(batch[: len(batch) // 2])
                return Receipt(delivered=len(batch) // 2, retry_after=1.0, problem="busy")
            case "choosy":
                bad = [event for event in batch if event.id[-1] in "07"]
                self.refused |= {event.id for event in bad}
                self._keep([event for event in batch if event.id not in self.refused])
                letters = tuple(Rejection(event_id=event.id, reason="invalid") for event in bad)
                return Receipt(delivered=len(batch) - len(bad), rejected=letters)
        self._keep(batch)
        return Receipt(delivered=len(batch))

    def close(self) -> None:
        pass

    def _keep(self, events: Sequence[Event]) -> None:
        for event in events:
            if event.id in self.taken:
                self._world.reached["an event came again"] += 1
                if event != self.taken[event.id]:
                    self._world.complaints.append(f"{self.name} got {event.name} {event.id} with two contents")
            else:
                self.arrived.append(event)
            self.taken[event.id] = event


class Process:
    """An engine behind a WSGI door, on a host."""

    def __init__(self, world: World, host: Host) -> None:
        self.world = world
        self.host = host
        self.clock = host.clock
        self.trouble = Trouble()
        self.store_trouble = Trouble()
        self.steps: dict[Work, float] = {}
        self.is_alive = True
        self.served: list[Step] = []
        self.engine = Engine(
            Settings(
                secret_key="the key of a simulated fleet",
                store=ProcessStore(world.store, self),
                journal_dir=Path("/simulated"),
                journal_fsync=world.fleet.fsync,
                journal_limit=2**23,
                backends=list(world.backends),
                idle_timeout=IDLE_MS / 1000,
                session_budget=None,
                session_budget_total=None,
                strict=False,
            ),
            clock=self.clock,
            files=SimulatedFiles(host.disk, self, self.trouble),
            scheduler=lambda: SimulatedScheduler(self),
        )
        self.door = SojournMiddleware(_site, engine=self.engine)

    def meet_store(self, what: str) -> None:
        if self.world.is_store_away:
            raise StoreError("the store is away")
        if self.trouble.is_over:
            raise Killed
        try:
            self.store_trouble.meet(what)
        except Killed:
            self.trouble.is_over = True
            self.world.reached[f"killed at {what}"] += 1
            raise

    def die(self) -> None:
        """End as by SIGKILL: locks and descriptors are gone, and nothing is done any more.

        What a journal in memory held may be lost; the promise excepts a process that could not open files when it began.
        """
        if self.is_in_memory and self.is_alive:
            self.world.reached["a journal in memory was lost"] += bool(self.served)
            self.world.lose(self.served)
        self.is_alive = False
        self.trouble.is_over = self.store_trouble.is_over = True
        for path in [path for path, owner in self.host.disk.locks.items() if owner is self]:
            del self.host.disk.locks[path]
        _open_engines.discard(self.engine)

    def stop(self) -> None:
        """End in good order. What is in memory is lost if the store is away."""
        is_lost = self.is_in_memory and self.world.is_store_away
        self.engine.close()
        if is_lost:
            self.world.lose(self.served)
        self.die()

    @property
    def refused(self) -> int:
        runtime = self.engine.intake.runtime
        return 0 if runtime is None else runtime.journal.stats().refused

    @property
    def is_in_memory(self) -> bool:
        runtime = self.engine.intake.runtime
        return runtime is not None and isinstance(runtime.journal, MemoryJournal)


class Host:
    def __init__(self, world: World, number: int) -> None:
        self.clock = HostClock(world.clock)
        self.number = number
        self.boots = 0
        self.disk = Disk(world.clock, self.new_boot())
        self.processes: list[Process] = []
        self.served: list[Step] = []

    def new_boot(self) -> str:
        self.boots += 1
        return f"{self.number * 1000 + self.boots:032x}"


class Browser:
    """A visitor: cookies, and an account of all that was done."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.cookies: dict[str, str] = {}
        self.steps: list[Step] = []


def _site(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    asked = parse_qs(environ["QUERY_STRING"])
    if "user" in asked:
        identify(asked["user"][0])
    if "cart" in asked:
        set_session_property("cart", int(asked["cart"][0]))
    track("step", {"serial": int(environ["PATH_INFO"].rpartition("/")[2])})
    session = current_session()
    if "end" in asked:
        end_session()
    start_response("200 OK", [("Content-Type", "text/html"), ("X-Session", session.id if session else "")])
    return [b"<p>ok</p>"]
