"""A connection to PostgreSQL belongs to a thread and a process; one that breaks is replaced, and nothing is half done."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Self

import psycopg
import pytest

from sojourn import cli
from sojourn.errors import StoreError
from sojourn.stores import PostgreSQLStore, Store, open_store
from sojourn.stores.model import Batch
from sojourn.stores.postgres import connections as connections_module
from sojourn.stores.postgres.opening import begin
from tests.child_process import with_tests
from tests.postgres import Cluster
from tests.stores.contract.steps import event, lease, load, mark, row, save

PATIENCE_S = 20.0


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.fresh_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    store.open()
    yield store
    store.close()


def connected(postgres: Cluster, url: str) -> list[int]:
    """The server's processes for connections of ours to this database."""
    look = "SELECT pid FROM pg_stat_activity WHERE application_name = 'sojourn' AND datname = "
    return [pid for (pid,) in postgres.run(f"{look}'{url.rpartition('/')[2]}'") if isinstance(pid, int)]


def until_connected(postgres: Cluster, url: str, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(connected(postgres, url)) != count:
        assert time.monotonic() < deadline, f"{len(connected(postgres, url))} connections, not {count}"


# --- whose they are


def test_each_thread_has_one_connection_and_close_closes_all(store: Store, url: str, postgres: Cluster) -> None:
    def use(number: int) -> None:
        save(store, Batch(rows=[row(str(number))]))
        store.stats()
        barrier.wait(60)

    barrier = threading.Barrier(3)
    with ThreadPoolExecutor(max_workers=3) as pool:
        list(pool.map(use, range(3)))
        until_connected(postgres, url, 1 + 3)
        store.close()
        until_connected(postgres, url, 0)
    assert set(load(store, "0", "1", "2").rows) == {"0", "1", "2"}, "a use after that opens again"


def test_the_connection_of_a_thread_that_ended_is_closed_when_another_comes(
    store: Store, url: str, postgres: Cluster
) -> None:
    for _ in range(5):
        thread = threading.Thread(target=store.stats)
        thread.start()
        thread.join()
    assert len(connected(postgres, url)) <= 2


def test_a_child_neither_uses_nor_closes_its_parents_connections(url: str) -> None:
    code = f"""
import os, sys
from sojourn import cli
from sojourn.errors import StoreError
from sojourn.stores import open_store
from tests.stores.contract.steps import Batch, event, row, save, load
store = open_store({url!r})
with store.records.recording() as recording:
    recording.load(["parent"])
    pid = os.fork()
    if pid == 0:
        assert store.stats().sessions == 0, "the parent has not committed"
        try:
            recording.save(Batch(rows=[row("of the child")]))
        except StoreError as error:
            assert "forked" in str(error), error
            store.close()
            sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    recording.save(Batch(rows=[row("parent"), row("after the child")], events=[event("1")]))
pid = os.fork()
if pid == 0:
    save(store, Batch(rows=[row("child")]))
    store.close()
    sys.exit(7)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
save(store, Batch(rows=[row("again")]))
print(*sorted(store_row.key for store_row in store.sessions.latest(limit=9)), sep=",")
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        env=with_tests(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "after the child,again,child,parent\n")


def test_a_child_that_ends_in_the_middle_of_its_parents_transaction_harms_nothing(url: str) -> None:
    code = f"""
import os, sys
from sojourn.stores import open_store
from tests.stores.contract.steps import Batch, row, load
store = open_store({url!r})
with store.records.recording() as recording:
    recording.save(Batch(rows=[row("parent")]))
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
print(*load(store, "parent").rows)
store.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-X", "dev", "-c", code],
        env=with_tests(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "parent\n")


# --- within one thread


def test_a_transaction_within_another_is_refused_and_harms_nothing(store: Store) -> None:
    with store.records.recording() as recording:
        recording.save(Batch(rows=[row("k")]))
        with pytest.raises(StoreError, match="end that one first"):
            lease(store)
    assert set(load(store, "k").rows) == {"k"}


def test_what_is_read_within_a_transaction_is_read_in_it(store: Store) -> None:
    with store.records.recording() as recording:
        recording.load(["k"])
        assert store.stats().sessions == 1, "the place that the transaction holds"
    assert store.stats().sessions == 0


# --- what breaks


BATCH = Batch(rows=[row("k")], events=[event("e")], counts={"n": 1}, marks=[(mark("j", 5), 0)])


def test_a_transaction_whose_connection_is_cut_leaves_nothing_and_the_next_goes_well(
    store: Store, url: str, postgres: Cluster
) -> None:
    def cut_in_the_middle() -> None:
        with store.records.recording() as recording:
            recording.load(["k"])
            for pid in connected(postgres, url):
                postgres.cut(pid)
            recording.save(BATCH)

    with pytest.raises(StoreError, match="cut the connection"):
        cut_in_the_middle()
    assert (store.stats().sessions, store.stats().events, store.stats().counters, store.records.marks()) == (
        0,
        0,
        {},
        {},
    )
    save(store, BATCH)
    assert store.stats().counters == {"n": 1, "events.recorded": 1}


def test_a_connection_that_was_cut_while_it_lay_idle_is_not_noticed(store: Store, url: str, postgres: Cluster) -> None:
    for pid in connected(postgres, url):
        postgres.cut(pid)
    until_connected(postgres, url, 0)
    save(store, BATCH)
    assert store.stats().sessions == 1


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_server_that_stops_and_starts_again(mode: str) -> None:
    assert mode in ("fast", "immediate")
    with Cluster() as cluster:
        store = open_store(cluster.fresh_database())
        save(store, BATCH)
        cluster.stop("fast" if mode == "fast" else "immediate")
        for _ in range(2):
            with pytest.raises(StoreError, match="cannot be reached") as caught:
                save(store, Batch(counts={"lost": 1}))
            assert str(cluster.port) in str(caught.value)
        cluster.start()
        save(store, Batch(counts={"n": 1}))
        assert store.stats().counters == {"n": 2, "events.recorded": 1}
        store.close()


def test_a_server_that_stops_in_mid_transaction_keeps_nothing_of_it() -> None:
    with Cluster() as cluster:
        store = open_store(cluster.fresh_database())
        store.open()

        def stopped_in_the_middle() -> None:
            with store.records.recording() as recording:
                recording.load(["k"])
                cluster.restart("immediate")
                recording.save(BATCH)

        with pytest.raises(StoreError, match="cut the connection"):
            stopped_in_the_middle()
        assert store.stats().counters == {}
        assert load(store, "k").rows == {}
        store.close()


def test_a_failing_statement_is_a_store_error_and_the_store_recovers(store: Store, url: str, postgres: Cluster) -> None:
    save(store, Batch(rows=[row("k")]))
    postgres.run("ALTER TABLE sojourn.sojourn_sessions RENAME TO away", database=url)
    for _ in range(2):
        with pytest.raises(StoreError, match="lacks some of its tables"):
            load(store, "k")
        with pytest.raises(StoreError, match="lacks some of its tables"):
            store.stats()
    postgres.run("ALTER TABLE sojourn.away RENAME TO sojourn_sessions", database=url)
    assert set(load(store, "k").rows) == {"k"}


def test_a_lock_that_lasts_is_a_store_error(
    store: Store, url: str, postgres: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(store, Batch(rows=[row("k")]))
    monkeypatch.setattr(connections_module, "begin", partial(begin, lock_patience_s=1))
    hasty = open_store(url)
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM sojourn.sojourn_sessions FOR UPDATE")
        with pytest.raises(StoreError, match="locked by another process"):
            load(hasty, "k")
    assert set(load(hasty, "k").rows) == {"k"}
    hasty.close()


def test_a_hot_standby_is_read_and_says_why_it_takes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """After a failover, or where the URL names a replica."""
    with Cluster() as cluster:
        url, empty = cluster.fresh_database(), cluster.fresh_database()
        store = PostgreSQLStore(url)
        store.open()
        save(store, Batch(counts={"n": 1}))
        cluster.become_standby()
        new = PostgreSQLStore(empty)
        advice = r"probably a standby; name the primary, or all hosts with \?target"
        with pytest.raises(StoreError, match=advice):
            save(store, Batch(counts={"n": 1}))
        with pytest.raises(StoreError, match=advice):
            new.open()
        assert store.stats().counters == {"n": 1}
        store.close()
        new.close()
        assert cli.main(["sessions", "list", "--store", url]) == 0
        assert cli.main(["erase", "--user", "anna", "--yes", "--store", url]) == 1
        assert "is read-only, probably a standby" in capsys.readouterr().err


def test_a_server_that_is_read_only_in_a_transaction_says_so(store: Store, url: str, postgres: Cluster) -> None:
    postgres.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN RAISE EXCEPTION USING ERRCODE = 'read_only_sql_transaction'; END$$",
        database=url,
    )
    postgres.run(
        "CREATE TRIGGER refuse BEFORE INSERT ON sojourn.sojourn_counters EXECUTE FUNCTION public.refuse()", database=url
    )
    with pytest.raises(StoreError, match="probably a standby"):
        save(store, Batch(counts={"n": 1}))


def test_close_cuts_off_a_transaction_that_hangs_on_a_silent_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the connection and falls silent, as one that is stopped does, holds up no end of a process."""
    monkeypatch.setattr(connections_module, "_CLOSE_PATIENCE_S", 0.2)
    with Cluster() as cluster, Relay(cluster.port) as relay:
        url = cluster.fresh_database().replace(str(cluster.port), str(relay.port))
        store = PostgreSQLStore(url)
        store.open()
        with ThreadPoolExecutor(max_workers=1) as pool:
            pool.submit(store.open).result(PATIENCE_S)
            relay.is_silent.set()
            hanging = pool.submit(store.stats)
            assert relay.swallowed.wait(PATIENCE_S)
            began = time.monotonic()
            store.close()
            with pytest.raises(StoreError):
                hanging.result(PATIENCE_S)
        assert time.monotonic() - began < PATIENCE_S / 2


class Relay:
    """Stands between a store and its server, and can fall silent."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.is_silent, self.swallowed = threading.Event(), threading.Event()
        self._open: list[socket.socket] = [self._listener]
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._run(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _run(self, target: object, *args: object) -> None:
        assert callable(target)
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._open += [client, server]
            self._run(self._pass_on, client, server)
            self._run(self._pass_on, server, client)

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                if self.is_silent.is_set():
                    self.swallowed.set()
                    continue
                target.sendall(data)
        except OSError:
            return
