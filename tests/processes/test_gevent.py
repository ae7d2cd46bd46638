"""Under gevent a thread is a greenlet, and what blocks stops the whole worker: our background must not run as one."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any
from wsgiref.util import setup_testing_defaults

import httpx
import pytest

from sojourn import Engine, Settings
from sojourn.pipeline.record.recorder import BATCH
from sojourn.wsgi import SojournMiddleware, StartResponse
from tests.faults.servers import Server, gunicorn

from .conftest import Place
from .crowd import KEY, looked

pytestmark = pytest.mark.slow

BACKLOG = 6000


def page(environ: dict[str, Any], start_response: StartResponse) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<p>ok</p>"]


def leave_a_backlog(place: Place) -> None:
    """A process that only writes its journal, and is gone."""
    engine = Engine(Settings(secret_key=KEY, store=place.store, deliver="worker"))
    door = SojournMiddleware(page, engine=engine)
    for number in range(BACKLOG):
        environ = {"PATH_INFO": f"/before/{number}", "HTTP_ACCEPT": "text/html"}
        setup_testing_defaults(environ)
        door(environ, lambda *_: lambda _: None)
    engine.close()


def waits(server: Server, *, until: Callable[[], bool]) -> list[float]:
    """How long each response took, one request after the other, until something is so (asked now and then)."""
    took: list[float] = []
    deadline = time.monotonic() + 30
    with httpx.Client(base_url=server.url, headers={"accept": "text/html"}, timeout=30.0) as browser:
        while len(took) % 20 or not until():
            assert time.monotonic() < deadline
            began = time.perf_counter()
            browser.get(f"/page/{len(took)}").raise_for_status()
            took.append(time.perf_counter() - began)
    return took


def test_a_backlog_is_recorded_beside_the_requests(place: Place) -> None:
    leave_a_backlog(place)
    with gunicorn(
        "site_under_test:wsgi", folder=place.folder, environ=place.environ(), worker_class="gevent"
    ) as server:
        httpx.get(f"{server.url}/first", timeout=30.0)  # loads what is loaded on first use
        took = waits(server, until=lambda: recorded(place) >= BACKLOG)
    # As greenlets each request waits for a batch, so there are hardly more responses than batches; how fast is the machine's.
    assert len(took) > 4 * BACKLOG / BATCH


def test_a_locked_store_delays_no_request(place: Place) -> None:
    with gunicorn(
        "site_under_test:wsgi", folder=place.folder, environ=place.environ(), worker_class="gevent"
    ) as server:
        httpx.get(f"{server.url}/first", timeout=30.0)
        waits(server, until=lambda: recorded(place) > 0)
        other = sqlite3.connect(place.folder / "sojourn.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        end = time.monotonic() + 1.5
        took = waits(server, until=lambda: time.monotonic() > end)
        other.execute("ROLLBACK")
        other.close()
    assert max(took) < 0.5  # SQLite waits 5 s for the lock


def recorded(place: Place) -> int:
    return looked(place.store).stats.counters.get("records.recorded", 0)
