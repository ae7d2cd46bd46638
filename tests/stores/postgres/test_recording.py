"""Several hosts record at once in PostgreSQL: each session has one of them at a time, and the log is in order."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import psycopg
import pytest

from sojourn.core.events import START
from sojourn.errors import StoreError
from sojourn.stores import Store, open_store
from sojourn.stores.model import VISITOR, Batch, DataSubject, PositionMoved, Settled, TryAgain
from tests.child_process import with_tests
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, assert_adds_up, claim_ids, ended, event, lease, load, mark, row, save
from tests.stores.contract.steps import silent as silent_keys

PATIENCE_S = 20.0
ANNA = DataSubject(VISITOR, "anna's browser")


@pytest.fixture
def url(postgres: Cluster) -> str:
    return postgres.fresh_database()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = open_store(url)
    store.open()
    yield store
    store.close()


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    """Another host: a thread with a connection of its own."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield pool


class Waiting:
    """Watches which connections of a database wait for a lock."""

    def __init__(self, postgres: Cluster, url: str) -> None:
        self._look = (
            "SELECT wait_event FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND state = 'active'"
            f" AND datname = '{url.rpartition('/')[2]}'"
        )
        self._postgres = postgres

    def until(self, event: str, *, of: Future[Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            if (event,) in self._postgres.run(self._look):
                return
            assert not of.done(), f"it waited for no lock: {of.exception() or of.result()}"
        raise AssertionError(f"no connection waits for {event}")


@pytest.fixture
def waiting(postgres: Cluster, url: str) -> Waiting:
    return Waiting(postgres, url)


def rows_of(store: Store) -> int:
    """How many sessions there are, placeholders too."""
    return store.stats().sessions


# --- one session, two hosts


def folded(store: Store, key: str) -> None:
    """What a recorder does for one request of a session: begin it, or count one more."""
    with store.records.recording() as recording:
        found = recording.load([key]).rows.get(key) or row(key)
        found.requests += 1
        recording.save(Batch(rows=[found], events=[event(f"{key} {found.requests}", key)]))


def test_folding_the_same_new_session_waits_for_the_first(
    store: Store, beside: ThreadPoolExecutor, waiting: Waiting
) -> None:
    with store.records.recording() as first:
        assert first.load(["k"]).rows == {}
        second = beside.submit(folded, store, "k")
        waiting.until("transactionid", of=second)
        made = row("k")
        made.requests = 7
        assert not second.done()
        first.save(Batch(rows=[made]))  # which may commit in the same message
    second.result(PATIENCE_S)
    assert load(store, "k").rows["k"].requests == 8


@pytest.mark.parametrize("fails", [pytest.param(True, id="fails"), pytest.param(False, id="saves nothing")])
def test_when_the_first_leaves_nothing_the_second_begins_the_session(
    store: Store, beside: ThreadPoolExecutor, waiting: Waiting, fails: bool
) -> None:
    def leave_nothing() -> Future[Any]:
        with store.records.recording() as first:
            assert first.load(["k"]).rows == {}
            second: Future[Any] = beside.submit(folded, store, "k")
            waiting.until("transactionid", of=second)
            if fails:
                raise ZeroDivisionError
        return second

    if fails:
        with pytest.raises(ZeroDivisionError):
            leave_nothing()
    else:
        leave_nothing().result(PATIENCE_S)
    beside.shutdown()
    assert load(store, "k").rows["k"].requests == 1


def test_folding_a_session_that_another_transaction_loaded_waits(
    store: Store, beside: ThreadPoolExecutor, waiting: Waiting
) -> None:
    save(store, Batch(rows=[row("a"), row("b", previous="a")]))
    with store.records.recording() as first:
        found = first.load(["a"], successors_of=["a"]).rows
        second = beside.submit(folded, store, "b")
        waiting.until("transactionid", of=second)
        found["b"].requests = 7
        first.save(Batch(rows=list(found.values())))
    second.result(PATIENCE_S)
    assert load(store, "b").rows["b"].requests == 8


def test_many_hosts_fold_the_same_sessions_and_none_is_lost(store: Store) -> None:
    """Each counts what it folded; sessions come in any order, so deadlocks are among what happens."""

    def host(number: int) -> int:
        chance = random.Random(number)
        again = 0
        for turn in range(25):
            keys = [f"s{chance.randrange(12)}" for _ in range(4)]
            while True:
                try:
                    with store.records.recording() as recording:
                        rows = recording.load(keys[:2]).rows
                        rows |= recording.load(keys[2:], successors_of=keys[:1]).rows
                        for key in set(keys):
                            rows.setdefault(key, row(key)).requests += 1
                        made = [event(f"{number} {turn} {key}", key) for key in set(keys)]
                        recording.save(Batch(rows=list(rows.values()), events=made, counts={"n": len(set(keys))}))
                    break
                except TryAgain:
                    again += 1
        return again

    with ThreadPoolExecutor(max_workers=4) as hosts:
        list(hosts.map(host, range(4)))
    stats = store.stats()
    counted = sum(each.requests for each in store.sessions.latest(limit=100))
    assert counted == stats.counters["n"] == stats.counters["events.recorded"] == stats.events


# --- placeholders


def test_a_place_that_was_held_and_not_filled_is_gone(store: Store, url: str, postgres: Cluster) -> None:
    with store.records.recording() as recording:
        assert recording.load(["a", "b", "c"]).rows == {}
        assert recording.load(["b", "d"]).rows == {}
        recording.save(Batch(rows=[row("a")], counts={"n": 1}))
    assert postgres.run("SELECT key FROM sojourn.sojourn_sessions", database=url) == [("a",)]
    assert store.stats().counters == {"n": 1}


def test_transaction_without_save_leaves_nothing(store: Store, url: str, postgres: Cluster) -> None:
    assert load(store, "a", "b", successors_of=["c"]).rows == {}
    assert postgres.run("SELECT count(*) FROM sojourn.sojourn_sessions", database=url) == [(0,)]


def test_placeholder_is_invisible_to_other_transactions(store: Store, beside: ThreadPoolExecutor) -> None:
    with store.records.recording() as recording:
        recording.load(["k"])
        assert beside.submit(rows_of, store).result(PATIENCE_S) == 0
        assert beside.submit(store.sessions.latest, limit=9).result(PATIENCE_S) == []


# --- the log


SLOW_LOG = """
CREATE FUNCTION sojourn.slow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN PERFORM pg_sleep({seconds}); RETURN NULL; END $$;
CREATE TRIGGER slow AFTER INSERT ON sojourn.sojourn_events EXECUTE FUNCTION sojourn.slow()
"""
"""What lies between an event's number and its commit takes this long."""


def test_the_log_is_written_by_one_at_a_time_so_no_number_comes_late(
    store: Store, url: str, postgres: Cluster, beside: ThreadPoolExecutor, waiting: Waiting
) -> None:
    postgres.run(SLOW_LOG.format(seconds=0.5), database=url)
    both = [beside.submit(save, store, Batch(events=[event(name)])) for name in ("one", "other")]
    waiting.until("advisory", of=both[1])
    for each in both:
        each.result(PATIENCE_S)
    assert {each.id for each in store.log.after(START, limit=9)} == {"one", "other"}


def test_a_cursor_that_follows_the_log_misses_nothing(store: Store, url: str, postgres: Cluster) -> None:
    postgres.run(SLOW_LOG.format(seconds="random() * 0.004"), database=url)
    writers, batches = 4, 30
    is_over = threading.Event()

    def write(number: int) -> None:
        chance = random.Random(number)
        for turn in range(batches):
            with store.records.recording() as recording:
                recording.load([f"{number} {turn}"])
                made = [event(f"{number} {turn} {n}", str(number)) for n in range(chance.randrange(1, 9))]
                recording.save(Batch(events=made))

    def follow() -> list[str]:
        seen: list[str] = []
        cursor, was_over = START, False
        while not was_over:
            was_over = is_over.is_set()
            while found := store.log.after(cursor, limit=7):
                seen += [each.id for each in found]
                cursor = found[-1].position
        return seen

    with ThreadPoolExecutor(max_workers=writers + 1) as pool:
        following = pool.submit(follow)
        try:
            for done in [pool.submit(write, number) for number in range(writers)]:
                done.result(60)
        finally:
            is_over.set()
        seen = following.result(60)
    assert len(seen) == len(set(seen)) == store.stats().events


def test_of_two_that_apply_the_same_positions_one_wins_each(store: Store) -> None:
    size = 60

    def apply(_: int) -> int:
        won = 0
        for position in range(size):
            try:
                with store.records.recording() as recording:
                    counted = recording.load(["s"]).rows.get("s") or row("s")
                    counted.requests += 1
                    marks = [(mark("j", position + 1), position)]
                    recording.save(Batch(rows=[counted], events=[event(str(position))], counts={"n": 1}, marks=marks))
                won += 1
            except PositionMoved:
                continue
        return won

    with ThreadPoolExecutor(max_workers=2) as pool:
        assert sum(pool.map(apply, range(2))) == size
    assert store.records.marks()["j"].position == size
    assert store.stats().counters == {"n": size, "events.recorded": size}
    assert load(store, "s").rows["s"].requests == size


# --- what is to be repeated


def test_a_deadlock_is_to_be_repeated_and_leaves_nothing(store: Store, beside: ThreadPoolExecutor) -> None:
    save(store, Batch(rows=[row("a"), row("b")]))
    both = threading.Barrier(2)

    def cross(first: str, second: str) -> str:
        try:
            with store.records.recording() as recording:
                rows = recording.load([first]).rows
                both.wait(PATIENCE_S)
                rows |= recording.load([second]).rows
                for each in rows.values():
                    each.requests += 1
                recording.save(Batch(rows=list(rows.values()), counts={"n": 1}))
        except TryAgain:
            return "again"
        return "done"

    attempts = [beside.submit(cross, "a", "b"), beside.submit(cross, "b", "a")]
    assert sorted(each.result(PATIENCE_S) for each in attempts) == ["again", "done"]
    assert {key: each.requests for key, each in load(store, "a", "b").rows.items()} == {"a": 1, "b": 1}
    assert store.stats().counters == {"n": 1}


def test_tombstone_added_during_a_batch_repeats_it(store: Store, beside: ThreadPoolExecutor) -> None:
    def record() -> str:
        hers = row("late")
        hers.visitor_id = ANNA.id
        with store.records.recording() as recording:
            tombstones = recording.load(["late"], people=[ANNA]).tombstones
            if not tombstones:
                beside.submit(store.data_subjects.add_tombstone, ANNA, at=NOW).result(PATIENCE_S)
                recording.save(Batch(rows=[hers], events=[event("late", "late")], counts={"n": 1}))
        return "known" if tombstones else "unknown"

    with pytest.raises(TryAgain):
        record()
    assert (rows_of(store), store.stats().counters) == (0, {})
    assert record() == "known", "the second time it is seen"


def test_second_tombstone_added_during_a_batch_repeats_it_too(store: Store, beside: ThreadPoolExecutor) -> None:
    save(store, Batch(opted_out={"other": NOW}))

    def record() -> None:
        with store.records.recording() as recording:
            assert recording.load(["late"], people=[ANNA]).tombstones == {}
            beside.submit(save, store, Batch(opted_out={ANNA.id: NOW})).result(PATIENCE_S)
            recording.save(Batch(rows=[row("late")]))

    with pytest.raises(TryAgain):
        record()
    assert rows_of(store) == 0


def test_an_end_that_a_backend_began_to_read_meanwhile_is_not_withdrawn(
    store: Store, beside: ThreadPoolExecutor
) -> None:
    store.outbox.register(["b"], now=NOW)
    save(store, Batch(rows=[ended(row("k"), "end")], events=[event("end", "k")]))
    held = lease(store)

    def reopen() -> None:
        with store.records.recording() as recording:
            loaded = recording.load(["k"])
            if "end" not in loaded.unread:
                recording.save(Batch(events=[event("another revision", "k")]))
                return
            assert beside.submit(claim_ids, store, "b", held).result(PATIENCE_S) == ["end"]
            recording.save(Batch(rows=[row("k")], withdrawn=["end"]))

    with pytest.raises(TryAgain):
        reopen()
    reopen()
    store.delivery.settle("b", held, Settled(upto=store.log.head(), delivered=2), now=NOW)
    assert [each.id for each in store.log.after(START, limit=9)] == ["end", "another revision"]
    assert_adds_up(store)


# --- the sweeper


def test_a_sweep_leaves_out_what_another_has_in_its_hands(store: Store, beside: ThreadPoolExecutor) -> None:
    save(store, Batch(rows=[row("a"), row("b")]))
    with store.records.recording() as recording:
        recording.load(["a"])
        assert beside.submit(silent_keys, store, seen=NOW).result(PATIENCE_S) == ["b"]
    assert silent_keys(store, seen=NOW) == ["a", "b"]


def test_two_sweepers_end_a_session_once(store: Store) -> None:
    save(store, Batch(rows=[row(f"s{n}") for n in range(40)]))

    def sweep(number: int) -> list[str]:
        swept: list[str] = []
        barrier.wait(PATIENCE_S)
        for _ in range(20):
            with store.records.recording() as recording:
                rows = recording.silent(seen_before=NOW, started_before=None, limit=5).rows
                ends = [event(f"{number} {key}", key) for key in rows]
                recording.save(Batch(rows=[ended(each, f"{number} {each.key}") for each in rows.values()], events=ends))
                swept += rows
        return swept

    barrier = threading.Barrier(3)
    with ThreadPoolExecutor(max_workers=3) as sweepers:
        swept = [key for each in sweepers.map(sweep, range(3)) for key in each]
    assert sorted(swept) == sorted(f"s{n}" for n in range(40))


# --- dispatchers beside recorders


def test_an_erasure_beside_dispatchers_and_recorders_still_adds_up(store: Store) -> None:
    store.outbox.register(["b"], now=NOW)
    held = lease(store)
    is_over = threading.Event()

    def record(number: int) -> None:
        for turn in range(25):
            hers = row(f"{number} {turn}")
            hers.visitor_id = ANNA.id if turn % 2 else "other"
            made = [event(f"{hers.key} {letter}", hers.key) for letter in "abc"]
            again(partial(save, store, Batch(rows=[hers], events=made)))

    def deliver() -> None:
        while not is_over.is_set():
            claimed = store.delivery.claim("b", held, until=NOW + 30_000, limit=7, now=NOW).events
            if claimed:
                store.delivery.settle("b", held, Settled(upto=claimed[-1].position, delivered=len(claimed)), now=NOW)

    def leave() -> None:
        from sojourn.data_subjects import erase

        while not is_over.is_set():
            erase(store, visitor_id=ANNA.id, now=NOW)

    with ThreadPoolExecutor(max_workers=4) as pool:
        background = [pool.submit(deliver), pool.submit(leave)]
        try:
            for done in [pool.submit(record, number) for number in range(2)]:
                done.result(60)
        finally:
            is_over.set()
        for each in background:
            each.result(60)
    assert_adds_up(store)


def again(attempt: Callable[[], None]) -> None:
    while True:
        try:
            return attempt()
        except TryAgain:
            continue


# --- who stands still


FROZEN = """
import sys
from sojourn.stores import open_store
from sojourn.stores.postgres import opening
opening._SUSPENDED_FOR_S = 1
from sojourn.errors import StoreError
from sojourn.stores.model import Batch
from tests.stores.contract.steps import event, row
store = open_store(sys.argv[1])
try:
    with store.records.recording() as recording:
        recording.load(["k"])
        print("holds", flush=True)
        sys.stdin.readline()
        recording.save(Batch(rows=[row("k")], events=[event("frozen")], counts={"n": 1}))
except StoreError as error:
    print(error, flush=True)
store.close()
"""


@pytest.mark.slow
def test_suspended_recorder_blocks_no_other_and_writes_nothing(store: Store, url: str) -> None:
    frozen = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", FROZEN, url],
        env=with_tests(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert frozen.stdin is not None
    assert frozen.stdout is not None
    try:
        assert select.select([frozen.stdout], [], [], PATIENCE_S)[0]
        assert frozen.stdout.readline() == "holds\n"
        os.kill(frozen.pid, signal.SIGSTOP)
        folded(store, "k")
        assert [each.id for each in store.log.after(START, limit=9)] == ["k 1"]
        os.kill(frozen.pid, signal.SIGCONT)
        output, _ = frozen.communicate("\n", timeout=PATIENCE_S)
    finally:
        frozen.kill()
        frozen.wait()
        frozen.stdin.close()
        frozen.stdout.close()
    assert "suspended in a transaction for too long" in output or "cut the connection" in output
    assert frozen.returncode == 0
    assert load(store, "k").rows["k"].requests == 1
    assert store.stats().counters == {"events.recorded": 1}


# --- how it talks to the server


@pytest.mark.parametrize("size", [1, 10, 500])
def test_a_batch_is_the_same_few_round_trips_whatever_its_size(
    store: Store, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    save(store, Batch(rows=[ended(row(str(n)), f"end-{n}") for n in range(size // 2)]))
    trips: list[object] = []

    class Counting(psycopg.ClientCursor[tuple[object, ...]]):
        def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
            trips.append(query)
            return super().execute(query, *args, **kwargs)

    monkeypatch.setattr(psycopg, "ClientCursor", Counting)
    store.close()
    store.open()
    trips.clear()
    with store.records.recording() as recording:
        rows = recording.load([str(n) for n in range(size)]).rows
        rows |= recording.load(["x"], successors_of=[str(n) for n in range(size)]).rows
        for n in range(size):
            rows.setdefault(str(n), row(str(n))).requests += 1
        recording.save(
            Batch(
                rows=list(rows.values()),
                events=[event(f"{n}") for n in range(size)],
                withdrawn=["end-0"],
                counts={"n": 1},
                marks=[(mark("j", size), 0)],
            )
        )
    assert len(trips) == len(["load", "load", "save and commit"])


def test_times_are_the_servers(store: Store, postgres: Cluster) -> None:
    store_time = store.time()
    (expected,) = postgres.run("SELECT (extract(epoch FROM now()) * 1000)::bigint")[0]
    assert store_time is not None
    assert isinstance(expected, int)
    assert abs(store_time - expected) < 10_000


def test_a_statement_of_a_batch_that_fails_is_a_store_error(store: Store) -> None:
    bad = row("k")
    bad.requests = 2**70
    with pytest.raises(StoreError, match="NumericValueOutOfRange"):
        save(store, Batch(rows=[bad]))
    assert rows_of(store) == 0
