"""Stopping is bounded: by `shutdown_timeout`, whatever the backend and the store do; and what is left is recorded later."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest

from sojourn import Engine, Settings
from sojourn.stores.sqlite.opening import open_file
from sojourn.wsgi import SojournMiddleware, StartResponse
from tests.faults.receiver import Receiver, slow
from tests.faults.servers import Server, gunicorn, uvicorn

from .conftest import Place
from .crowd import KEY, Truth, assert_true, crowd, kept, looked

pytestmark = pytest.mark.slow

SHUTDOWN_S = 1.0
SLACK_S = 3.0
"""What the server itself, the interpreter's end, and a busy machine may take beside us."""


@dataclass(frozen=True)
class Hanging:
    """Something that hangs, for as long as the block around it lasts."""

    backends: str
    is_met: Callable[[], object]
    """Waits until the server has run into it."""


Trouble = Callable[[Place], AbstractContextManager[Hanging]]


@contextmanager
def hanging_backend(_place: Place) -> Iterator[Hanging]:
    """A socket that takes connections and requests, and never responds."""
    taken: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20.0)
        try:
            yield Hanging(
                f"webhook+http://127.0.0.1:{listening.getsockname()[1]}/in",
                lambda: taken.append(listening.accept()[0]),
            )
        finally:
            for connection in taken:
                connection.close()


@contextmanager
def locked_store(place: Place) -> Iterator[Hanging]:
    """Another connection writes to the database, and does not come to an end."""
    path = place.folder / "sojourn.db"
    open_file(path).close()
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        other.execute("BEGIN IMMEDIATE")
        yield Hanging("", lambda: None)  # every other writer runs into it at once
        other.execute("ROLLBACK")
    finally:
        other.close()


TROUBLES = pytest.mark.parametrize(
    "trouble",
    [
        pytest.param(hanging_backend, id="backend that never responds"),
        pytest.param(locked_store, id="store that is locked"),
    ],
)


@TROUBLES
@pytest.mark.parametrize(
    ("kind", "how"),
    [
        pytest.param("sync", signal.SIGTERM, id="sync"),
        pytest.param("gthread", signal.SIGINT, id="gthread, SIGINT"),
        pytest.param("gevent", signal.SIGTERM, id="gevent"),
        pytest.param("uvicorn", signal.SIGTERM, id="uvicorn"),
    ],
)
def test_a_server_stops_in_time(place: Place, kind: str, how: signal.Signals, trouble: Trouble) -> None:
    with trouble(place) as hanging:
        environ = place.environ(backends=hanging.backends, shutdown_timeout=f"{SHUTDOWN_S:g}s")
        with served(place, kind, environ) as server:
            truth = crowd(server.url, range(10))
            hanging.is_met()
            took = server.stop(how)
    assert took < SHUTDOWN_S + SLACK_S
    assert_true(kept(place.store, truth), truth)


@pytest.mark.parametrize(
    ("kind", "workers"),
    [
        pytest.param("sync", 1, id="sync"),
        pytest.param("gthread", 1, id="gthread"),
        pytest.param("gevent", 1, id="gevent"),
        pytest.param("uvicorn", 1, id="uvicorn"),
        pytest.param("sync", 3, id="three workers, which leave together"),
    ],
)
@pytest.mark.parametrize("is_repeated", [False, True], ids=["SIGTERM", "SIGTERM twice"])
def test_the_last_process_records_and_delivers_before_it_leaves(
    place: Place, kind: str, workers: int, *, is_repeated: bool
) -> None:
    """No process comes after it: what the time allows is at the backend when the server is gone."""
    with Receiver(behaviour=slow(0.05)) as receiver:
        environ = place.environ(backends=f"webhook+{receiver.url}", shutdown_timeout="10s")
        with served(place, kind, environ, workers=workers) as server:
            truth = crowd(server.url, range(30))
            if is_repeated:
                server.process.send_signal(signal.SIGTERM)
            server.stop()
        found = looked(place.store)
        assert is_repeated or found.count("page_view") == len(truth.pages)
        assert is_repeated or {event.id for event in found.events} == receiver.taken.keys()
    assert_true(kept(place.store, truth), truth)


def served(place: Place, kind: str, environ: Mapping[str, str], *, workers: int = 1) -> AbstractContextManager[Server]:
    if kind == "uvicorn":
        return uvicorn("site_under_test:asgi", folder=place.folder, environ=environ, workers=workers)
    return gunicorn("site_under_test:wsgi", folder=place.folder, environ=environ, worker_class=kind, workers=workers)


AT_EXIT = """
import sys
from wsgiref.util import setup_testing_defaults
from site_under_test import wsgi
for number in range(500):
    environ = {"PATH_INFO": f"/shop/{number}", "HTTP_ACCEPT": "text/html"}
    setup_testing_defaults(environ)
    wsgi(environ, lambda status, headers: None)
"""


def test_a_program_that_ends_without_close_delivers_first(place: Place) -> None:
    with Receiver() as receiver:
        environ = place.environ(backends=f"webhook+{receiver.url}", shutdown_timeout="20s")
        subprocess.run([sys.executable, "-c", AT_EXIT], env=environ, cwd=place.folder, check=True)
        assert len(receiver.taken) == 1000


@TROUBLES
@pytest.mark.parametrize("is_flush", [True, False], ids=["flush", "close"])
def test_flush_and_close_keep_to_their_time(place: Place, trouble: Trouble, *, is_flush: bool) -> None:
    with trouble(place) as hanging:
        engine = Engine(
            Settings(
                secret_key=KEY,
                store=place.store,
                backends=[hanging.backends] if hanging.backends else [],
                shutdown_timeout=f"{SHUTDOWN_S:g}s",
            )
        )
        door = SojournMiddleware(page, engine=engine)
        environ = {"PATH_INFO": "/shop", "HTTP_ACCEPT": "text/html"}
        setup_testing_defaults(environ)
        door(environ, lambda *_: lambda _: None)
        hanging.is_met()
        store = engine.store
        began = time.monotonic()
        if is_flush:
            assert not engine.flush(SHUTDOWN_S).done
        else:
            engine.close()
        took = time.monotonic() - began
    engine.close()
    for thread in threading.enumerate():
        if thread.name.startswith("sojourn"):  # cut off, but what it waited for comes to its end now
            thread.join()
    store.close()  # which such a thread may have used once more
    assert took < SHUTDOWN_S + SLACK_S
    found = kept(place.store, Truth(pages={"/shop": ""}))
    assert [event.name for event in found.events] == ["session.start", "page_view"]


def page(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<p>ok</p>"]
