"""What `close` records and delivers: all that the time allows, whichever process leaves last, and never beyond the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from wsgiref.util import setup_testing_defaults

import pytest

from sojourn import Engine, Event, Settings
from sojourn.backends.protocol import Receipt
from sojourn.stores import open_store
from sojourn.stores.model import BackendState, StoreStats
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.wsgi import SojournMiddleware

KEY = "a key that only tests use, ever"
REQUESTS = 500
EVENTS = 2 * REQUESTS
"""Each request starts a session of its own: a start and a page view."""


class Held(MemoryBackend):
    """Holds each call until it is let go, or closed as at the end of the time."""

    def __init__(self, *, name: str = "held", calls_free: int = 0) -> None:
        super().__init__(name=name)
        self.is_called = threading.Event()
        self._gate = threading.Event()
        self._free = calls_free

    def send(self, batch: Sequence[Event]) -> Receipt:
        self._free -= 1
        if self._free < 0:
            self.is_called.set()
            self._gate.wait(30)
            return Receipt(delivered=0)
        return super().send(batch)

    def close(self) -> None:
        self._gate.set()
        super().close()


def opened(folder: Path, *backends: MemoryBackend, **settings: object) -> Engine:
    return Engine(
        Settings(secret_key=KEY, store=f"sqlite:///{folder / 'sojourn.db'}", backends=backends, **settings)  # type: ignore[arg-type]
    )


def ask(engine: Engine, requests: int = REQUESTS) -> None:
    door = SojournMiddleware(page, engine=engine)
    for _ in range(requests):
        environ = {"PATH_INFO": "/shop", "HTTP_ACCEPT": "text/html"}
        setup_testing_defaults(environ)
        door(environ, lambda *_: lambda _: None)


def page(_environ: object, start_response: object) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])  # type: ignore[operator]
    return [b"<p>ok</p>"]


def stats(folder: Path) -> StoreStats:
    store = open_store(f"sqlite:///{folder / 'sojourn.db'}")
    store.open()
    try:
        return store.stats()
    finally:
        store.close()


def states(folder: Path) -> dict[str, BackendState]:
    return {state.name: state for state in stats(folder).backends}


@pytest.mark.parametrize("is_flushed", [True, False], ids=["store opened", "store not opened yet"])
def test_close_records_and_delivers_everything(tmp_path: Path, *, is_flushed: bool) -> None:
    backend = MemoryBackend()
    engine = opened(tmp_path, backend, shutdown_timeout="20s")
    if is_flushed:
        engine.flush()
    ask(engine)
    engine.close()
    assert len(backend.events) == EVENTS
    assert stats(tmp_path).counters["records.recorded"] == REQUESTS
    assert states(tmp_path)["memory"].backlog == 0


def test_close_delivers_with_a_manual_clock_too(tmp_path: Path) -> None:
    backend = MemoryBackend()
    engine = Engine(
        Settings(secret_key=KEY, store=f"sqlite:///{tmp_path / 'sojourn.db'}", backends=[backend]), clock=ManualClock()
    )
    ask(engine, 3)
    engine.close()
    assert len(backend.events) == 6


def test_a_backend_that_hangs_holds_back_no_other_and_close_keeps_to_its_time(tmp_path: Path) -> None:
    hanging, well = Held(), MemoryBackend()
    engine = opened(tmp_path, hanging, well, shutdown_timeout="1s")
    ask(engine, 50)  # few: on a busy machine too, one second is enough for the other
    assert hanging.is_called.wait(20)
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 1 + 2
    assert len(well.events) == 100
    assert {name: state.backlog for name, state in states(tmp_path).items()} == {"held": 100, "memory": 0}


def test_what_a_slow_backend_takes_in_time_is_delivered(tmp_path: Path) -> None:
    slow = Held(calls_free=1)
    engine = opened(tmp_path, slow, shutdown_timeout="1s")
    ask(engine)
    engine.close()
    left = states(tmp_path)["held"]
    assert left.delivered == len(slow.events) > 0
    assert left.delivered + left.backlog == left.recorded == EVENTS


def test_close_waits_for_no_retry_time(tmp_path: Path) -> None:
    backend = MemoryBackend()
    backend.fail(1_000, error=OSError("nothing listens"))
    engine = opened(tmp_path, backend, shutdown_timeout="30s")
    ask(engine, 3)
    began = time.monotonic()
    engine.close()
    assert time.monotonic() - began < 10
    assert states(tmp_path)["memory"].backlog == 6
    assert len(backend.sizes) <= 2


def test_an_idle_process_leaves_at_once_while_another_delivers(tmp_path: Path) -> None:
    hanging = Held()
    other, idle = opened(tmp_path, hanging), opened(tmp_path, Held(), shutdown_timeout="30s")
    ask(other, 3)
    assert hanging.is_called.wait(20)
    ask(idle, 3)
    began = time.monotonic()
    idle.close()
    assert time.monotonic() - began < 10
    other.close()


def test_of_several_processes_the_last_to_leave_delivers_what_the_others_left(tmp_path: Path) -> None:
    """Wherever the recorder and the dispatcher are, and while all leave at the same moment."""
    backends = [MemoryBackend() for _ in range(4)]
    engines = [opened(tmp_path, backend, shutdown_timeout="20s") for backend in backends]
    for engine in engines:
        engine.start()
    for engine in engines:
        ask(engine, 50)
    leaving = [threading.Thread(target=engine.close) for engine in engines]
    for thread in leaving:
        thread.start()
    for thread in leaving:
        thread.join()
    assert stats(tmp_path).counters["records.recorded"] == 200
    assert states(tmp_path)["memory"].backlog == 0
    assert sum(len(backend.events) for backend in backends) == 400


def test_a_web_process_beside_a_worker_leaves_its_records_to_it(tmp_path: Path) -> None:
    backend = MemoryBackend()
    engine = opened(tmp_path, backend, deliver="worker")
    ask(engine, 3)
    engine.close()
    assert backend.events == []
    worker = opened(tmp_path, backend)
    worker.start()
    worker.close()
    assert len(backend.events) == 6
