"""Events in an application's transactions, on real files and a real server, with processes that are killed in between."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sojourn import Settings
from sojourn.core.events import START
from sojourn.engine import Engine
from sojourn.stores import open_store
from tests.child_process import with_tests
from tests.postgres import Cluster

pytestmark = pytest.mark.slow
_PATIENCE_S = 30.0


class Shop:
    """The process of `shop.py`."""

    def __init__(self, url: str, journals: Path, deliver: str = "worker") -> None:
        script = Path(__file__).with_name("shop.py")
        self.process = subprocess.Popen(
            [sys.executable, script, url, journals, deliver],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=with_tests(),
        )

    def do(self, *commands: str) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        for command in commands:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            assert self.process.stdout.readline() == "ok\n" or command == "commit-and-die"

    def kill(self) -> None:
        self.process.kill()
        self.close()

    def close(self) -> None:
        self.process.communicate(timeout=_PATIENCE_S)


class Place:
    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.opened: list[Any] = []
        store = open_store(url)
        store.open()
        store.close()
        self.sql("CREATE TABLE orders (number INTEGER)")

    def sql(self, statement: str) -> list[Any]:
        if self.url.startswith("postgresql"):
            with psycopg.connect(self.url, autocommit=True) as server:
                cursor = server.execute(statement.encode())
                return cursor.fetchall() if cursor.description else []
        with closing(sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)) as file:
            return file.execute(statement).fetchall()

    def shop(self, name: str = "shop", deliver: str = "worker") -> Shop:
        shop = Shop(self.url, self.folder / name, deliver)
        self.opened.append(shop.process)
        return shop

    def recorder(self, name: str = "shop") -> Engine:
        """Another process's worth of recording, here."""
        settings = Settings(
            secret_key="a key that only these tests use", store=self.url, journal_dir=self.folder / name
        )
        engine = Engine(settings)
        engine.start()
        self.opened.append(engine)
        return engine

    def numbers(self) -> list[int]:
        """What was reported as bought."""
        store = open_store(self.url)
        try:
            events = store.log.after(START, limit=10_000)
        finally:
            store.close()
        return sorted(int(e.attributes["event_properties.number"]) for e in events if e.name == "purchase")

    def orders(self) -> list[int]:
        return sorted(number for (number,) in self.sql("SELECT number FROM orders"))

    def await_inbox(self) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        table = "sojourn_inbox" if self.url.startswith("sqlite") else "sojourn.sojourn_inbox"
        while self.sql(f"SELECT COUNT(*) FROM {table}") != [(0,)]:
            assert time.monotonic() < deadline, "the inbox is not emptied"
            time.sleep(0.05)


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        url = cluster.fresh_database()
    place = Place(url, tmp_path)
    yield place
    for each in reversed(place.opened):
        if isinstance(each, Engine):
            each.close()
        elif each.poll() is None:
            each.kill()
            each.communicate()


def test_what_a_killed_process_has_committed_is_recorded_once_and_nothing_else(place: Place) -> None:
    before, after, rolled_back = place.shop("a"), place.shop("b"), place.shop("c")
    before.do("look")
    after.do("look", "buy 1", "commit")
    rolled_back.do("buy 2", "rollback", "buy 3", "commit")
    before.do("buy 4")
    before.kill()  # before its commit
    after.do("buy 5", "commit-and-die")
    after.close()
    for name in ("a", "b", "c"):
        place.recorder(name)
    place.await_inbox()
    assert place.numbers() == place.orders() == [1, 3, 5]


def test_killed_recorders_take_each_row_once(place: Place) -> None:
    """Shops that record: one is killed again and again, wherever it is."""
    committed = 0
    for round_number in range(4):
        shop = place.shop("shop", "auto")
        for number in range(10):
            shop.do(f"buy {round_number * 10 + number}", "commit")
            committed += 1
        shop.kill()
    place.recorder("shop")
    place.await_inbox()
    assert place.numbers() == place.orders() == list(range(committed))


def test_two_recorders_of_two_hosts_take_each_row_once(place: Place) -> None:
    place.recorder("shop")
    place.recorder("another")
    shop = place.shop("shop")
    for number in range(40):
        shop.do(f"buy {number}", "commit")
    place.await_inbox()
    assert place.numbers() == place.orders() == list(range(40))


def test_an_idle_transaction_delays_nobody_on_a_server(postgres: Cluster, tmp_path: Path) -> None:
    place = Place(postgres.fresh_database(), tmp_path)
    slow, quick = place.shop("slow", "auto"), place.shop("quick", "auto")
    try:
        slow.do("buy 1")  # and then goes to lunch
        quick.do("buy 2", "commit", "look", "buy 3", "commit")
        deadline = time.monotonic() + _PATIENCE_S
        while place.numbers() != [2, 3]:
            assert time.monotonic() < deadline, "the slow transaction holds the others up"
            time.sleep(0.05)
        slow.do("commit")
        place.await_inbox()
        assert place.numbers() == [1, 2, 3]
    finally:
        slow.close()
        quick.close()


def test_requests_do_not_wait_for_a_transaction_that_has_the_file(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path / 'shop.db'}", tmp_path)
    slow, quick = place.shop("shop", "auto"), place.shop("shop", "auto")
    try:
        quick.do("look")
        slow.do("buy 1")
        began = time.monotonic()
        quick.do(*["look"] * 50)
        assert time.monotonic() - began < 5  # SQLite's own patience
        slow.do("rollback")
    finally:
        slow.close()
        quick.close()
    assert place.numbers() == []
