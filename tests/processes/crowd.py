"""Visitors with a known truth, and the comparison of that truth with what a store holds. Independent of servers and faults.

The app under test responds with the id of the session that it saw (`x-session`), so what a client got a response for says
everything that must be in the store: this page, in this session, with this tracked event, and this user.
"""

from __future__ import annotations

import itertools
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Signal
from threading import Lock
from typing import Final

import httpx

from sojourn import Engine, Event, Settings
from sojourn.core.events import START
from sojourn.stores import SQLiteStore, open_store
from sojourn.stores.model import StoreStats
from sojourn.stores.rows import SessionRow

KEY: Final = "a key for many worker processes"
_PAGES_BEFORE_LOGIN: Final = 2
_PATIENCE_S: Final = 40.0


@dataclass
class Truth:
    """What the clients know: pages by path with the session that the response named, and what was asked on each."""

    pages: dict[str, str] = field(default_factory=dict)
    tracked: set[str] = field(default_factory=set)
    users: dict[str, str] = field(default_factory=dict)
    """By session: who logged in, as far as the response to the login came back."""
    failed: int = 0
    """Requests without a whole response: they may be recorded or not."""
    slowest: float = 0.0
    """Seconds that the slowest response took."""
    _lock: Lock = field(default_factory=Lock)

    @property
    def sessions(self) -> set[str]:
        return set(self.pages.values())

    def succeeded(self, path: str, session: str, took: float, *, event: str | None, user: str | None) -> None:
        with self._lock:
            self.pages[path] = session
            self.slowest = max(self.slowest, took)
            if event is not None:
                self.tracked.add(event)
            if user is not None:
                self.users[session] = user

    def failed_once(self) -> None:
        with self._lock:
            self.failed += 1


@dataclass(frozen=True)
class Kept:
    """What a store holds."""

    events: list[Event]
    rows: list[SessionRow]
    stats: StoreStats

    def count(self, name: str) -> int:
        return sum(event.name == name for event in self.events)


def visit(url: str, number: int, truth: Truth, *, pages: int = 4, is_patient: bool = True) -> None:
    """One browser: pages with an event each, a login at the third. Who is patient asks again, for another page."""
    with httpx.Client(base_url=url, timeout=30.0, headers={"accept": "text/html"}) as browser:
        for page in range(pages):
            deadline = time.monotonic() + _PATIENCE_S
            for attempt in itertools.count():
                path = f"/shop/{number}/{page}.{attempt}"
                user = f"user-{number}" if page == _PAGES_BEFORE_LOGIN else None
                event = None if user else f"seen-{number}-{page}-{attempt}"
                began = time.monotonic()
                try:
                    response = browser.get(path, params={"user": user} if user else {"event": event or ""})
                    response.raise_for_status()
                except httpx.HTTPError:
                    truth.failed_once()
                    if not is_patient:
                        return
                    assert time.monotonic() < deadline, f"no response to {path}, however often it was asked"
                    time.sleep(0.02)  # a server that is just being restarted refuses connections
                    continue
                took = time.monotonic() - began
                truth.succeeded(path, response.headers["x-session"], took, event=event, user=user)
                break


def crowd(url: str, numbers: Iterable[int], *, at_once: int = 8, pages: int = 4, truth: Truth | None = None) -> Truth:
    """Let visitors come, some at once, until all have gone."""
    truth = truth or Truth()
    with ThreadPoolExecutor(at_once) as pool:
        for done in [pool.submit(visit, url, number, truth, pages=pages) for number in numbers]:
            done.result()
    return truth


@contextmanager
def interrupted(url: str, truth: Truth, numbers: Iterable[int], *, at_once: int = 6) -> Iterator[Callable[[int], None]]:
    """Visitors who come until this ends, and give up where they get no response; the value waits for so many more responses."""
    enough = Signal()
    before = len(truth.pages)

    def come(number: int) -> None:
        if not enough.is_set():
            visit(url, number, truth, is_patient=False)

    def wait_for_more(count: int) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while len(truth.pages) < before + count:
            assert time.monotonic() < deadline, f"no {count} responses"
            time.sleep(0.005)

    with ThreadPoolExecutor(at_once) as pool:
        coming = [pool.submit(come, number) for number in numbers]
        try:
            yield wait_for_more
        finally:
            enough.set()
            for done in coming:
                done.result()


def kept(store_url: str, truth: Truth, *, patience: float = _PATIENCE_S) -> Kept:
    """What the store holds once a process that comes after has applied what is in the journals.

    A killed process may take a moment to let go of its lock and its lease, so this asks until the pages are there.
    """
    engine = Engine(Settings(secret_key=KEY, store=store_url))
    try:
        deadline = time.monotonic() + patience
        while True:
            assert engine.flush(30).done
            found = looked(store_url)
            paths = {event.attributes["url.path"] for event in found.events if event.name == "page_view"}
            if truth.pages.keys() <= paths or time.monotonic() > deadline:
                return found
            time.sleep(0.05)
    finally:
        engine.close()


def looked(store_url: str) -> Kept:
    """What the store holds now."""
    store = open_store(store_url)
    assert isinstance(store, SQLiteStore)
    try:
        return Kept(store.log.after(START, limit=1_000_000), store.sessions.latest(limit=1_000_000), store.stats())
    finally:
        store.close()


def assert_true(found: Kept, truth: Truth) -> None:
    """Nothing with a response is missing, nothing is there twice, and all of it is in the right session."""
    pages = Counter(event.attributes["url.path"] for event in found.events if event.name == "page_view")
    assert truth.pages.keys() - pages.keys() == set()
    assert {path: count for path, count in pages.items() if count != 1} == {}
    sessions = {event.attributes["url.path"]: event.session_id for event in found.events if event.name == "page_view"}
    assert {path: sessions[path] for path in truth.pages} == truth.pages
    names = Counter(event.name for event in found.events if event.name.startswith("seen-"))
    assert truth.tracked - names.keys() == set()
    assert {name: count for name, count in names.items() if count != 1} == {}
    starts = Counter(event.session_id for event in found.events if event.name == "session.start")
    assert truth.sessions - starts.keys() == set()
    assert {session: count for session, count in starts.items() if count != 1} == {}
    ends = Counter(
        (event.session_id, event.attributes.get("session.end_revision"))
        for event in found.events
        if event.name == "session.end"
    )
    assert {end: count for end, count in ends.items() if count != 1} == {}
    rows = {row.session_id: row for row in found.rows}
    assert rows.keys() == starts.keys()
    assert sum(row.page_views for row in found.rows) == sum(pages.values())
    assert {session: rows[session].user_id for session in truth.users} == truth.users
    if not truth.failed:  # else a response that was lost on its way to the client is in the store as well
        assert pages.keys() == truth.pages.keys()
        assert starts.keys() == truth.sessions
        assert found.count("user.identify") == len(truth.users)
    counters = found.stats.counters
    assert counters["records.accepted"] == counters["records.recorded"]
    assert counters.get("records.refused", 0) == 0
    assert counters.get("ignored.fault", 0) == 0


def assert_sound(store_url: str) -> None:
    """SQLite finds nothing wrong with the file."""
    with sqlite3.connect(store_url.removeprefix("sqlite:///")) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
