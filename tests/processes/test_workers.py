"""Several worker processes share one journal directory and one SQLite file; whatever happens to them, the counts agree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from sojourn.core.events import START, Event
from sojourn.engine import Engine
from sojourn.settings import Settings
from sojourn.stores import SQLiteStore, open_store

from .conftest import Place, Start

pytestmark = pytest.mark.slow

VISITORS = 80
PAGES = 5


def visit(url: str, number: int) -> int:
    """One browser: some pages one after the other, a login in between; how many responses it saw."""
    with httpx.Client(base_url=url, timeout=30) as browser:
        for page in range(PAGES):
            query = f"?user=user-{number}" if page == 2 else f"?event=looked-{page}"
            browser.get(f"/shop/{page}{query}", headers={"accept": "text/html"}).raise_for_status()
    return PAGES


def recorded(place: Place, *, pages: int) -> list[Event]:
    """The log once a process that comes after has applied what the killed ones left in their journals.

    A killed process may take a moment to let go of its lock and its lease, so this asks until the pages are there.
    """
    engine = Engine(Settings(secret_key="a key for many worker processes", store=place.store))
    try:
        deadline = time.monotonic() + 40
        while True:
            assert engine.flush(30).done
            store = engine.store
            assert isinstance(store, SQLiteStore)
            events = store.log.after(START, limit=100_000)
            if sum(event.name == "page_view" for event in events) >= pages or time.monotonic() > deadline:
                return events
            time.sleep(0.1)
    finally:
        engine.close()


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_four_workers_record_what_the_clients_did(place: Place, serve: Start, kind: str) -> None:
    server = serve(kind, workers=4, idle_timeout="2s", max_duration="1h")
    with ThreadPoolExecutor(16) as pool:
        responses = sum(pool.map(lambda number: visit(server.url, number), range(VISITORS)))
    events = until_all_ended(place)
    by_session: dict[str, Counter[str]] = {}
    for event in events:
        by_session.setdefault(event.session_key, Counter())[event.name] += 1
    assert len(by_session) == VISITORS
    assert all(names["session.start"] == 1 and names["session.end"] == 1 for names in by_session.values())
    total = sum(by_session.values(), Counter())
    assert total["page_view"] == responses
    assert total["user.identify"] == VISITORS
    assert sum(count for name, count in total.items() if name.startswith("looked-")) == VISITORS * (PAGES - 1)
    users = {event.user_id for event in events if event.name == "session.end"}
    assert users == {f"user-{number}" for number in range(VISITORS)}


def test_a_killed_server_loses_no_completed_request(place: Place, serve: Start) -> None:
    server = serve("gunicorn", workers=3)
    completed = 0
    with httpx.Client(base_url=server.url) as browser:
        for number in range(300):
            browser.get(f"/page/{number}", headers={"accept": "text/html"}).raise_for_status()
            completed += 1
    server.kill()  # with the last response: the recorder had no time
    events = recorded(place, pages=completed)
    assert sum(event.name == "page_view" for event in events) == completed
    assert sum(event.name == "session.start" for event in events) == 1


def test_workers_killed_under_load_lose_no_completed_request(place: Place, serve: Start) -> None:
    """Every few responses a worker dies by SIGKILL, in the middle of whatever it was doing; the master starts another."""
    server = serve("gunicorn", workers=3)
    completed: set[str] = set()
    killed = 0
    with ThreadPoolExecutor(6) as pool:
        for step in range(8):
            pages = [f"/page/{step * 60 + number}" for number in range(60)]
            visits = [pool.submit(ask, server.url, page) for page in pages]
            killed += kill_a_worker(server.process.pid)
            completed.update(page for page, visit in zip(pages, visits, strict=True) if visit.result())
    server.kill()
    events = recorded(place, pages=len(completed))
    views_by_page = Counter(event.attributes["url.path"] for event in events if event.name == "page_view")
    assert killed >= 7
    assert completed - views_by_page.keys() == set()
    assert set(views_by_page.values()) == {1}
    starts = Counter(event.session_key for event in events if event.name == "session.start")
    assert set(starts.values()) == {1}


def ask(url: str, page: str) -> bool:
    try:
        return httpx.get(f"{url}{page}", headers={"accept": "text/html"}, timeout=20).status_code == 200
    except httpx.HTTPError:
        return False


def kill_a_worker(master: int) -> int:
    """SIGKILL the youngest child of the server; how many there were to kill."""
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    if not children:
        return 0
    os.kill(int(children[-1]), signal.SIGKILL)
    return 1


def test_four_processes_start_together_in_an_empty_folder(place: Place) -> None:
    script = (
        "import sys; from sojourn import Settings; from sojourn.engine import Engine\n"
        "engine = Engine(Settings(secret_key='a key for many worker processes', store=sys.argv[1]))\n"
        "engine.start(); engine.flush(20); print(engine.stats().store.sessions); engine.close()\n"
    )
    for round_number in range(3):
        store = f"sqlite:///{place.folder / f'fresh-{round_number}.db'}"
        started = [
            subprocess.Popen(
                [sys.executable, "-W", "error", "-c", script, store], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            )
            for _ in range(4)
        ]
        said = [process.communicate(timeout=60)[0].decode() for process in started]
        assert said == ["0\n"] * 4


def until_all_ended(place: Place) -> list[Event]:
    """The log once no session is open any more (the server's own sweeper ends them)."""
    deadline = time.monotonic() + 40
    while True:
        store = open_store(place.store)
        try:
            assert isinstance(store, SQLiteStore)
            stats = store.stats()
            if stats.counters.get("sessions.started", 0) >= VISITORS and stats.open_sessions == 0:
                return store.log.after(START, limit=100_000)
        finally:
            store.close()
        assert time.monotonic() < deadline, stats
        time.sleep(0.2)
