"""Batches whose response was lost are repeated first, and with exactly their boundaries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn.backends import Batch, BatchReceipt, CallLimits, MParticleBackend, Rejection
from sojourn.core.events import Event
from sojourn.core.records import ACTIVITY, OPT_OUT, Entry, Record, Seal
from sojourn.core.session import EndReason
from sojourn.pipeline.deliver import dispatcher as dispatching
from sojourn.pipeline.deliver.dispatcher import Dispatcher
from sojourn.stores import SQLiteStore
from sojourn.stores.model import BackendState, DataSubject, Place
from sojourn.testing.backends import MemoryBackend
from sojourn.testing.vendors import FakeMParticle
from tests.pipeline.conftest import NOW, Bench, acquiring

KEYS = tuple(f"018bcfe5-6800-7000-8000-{number:012}" for number in range(1, 9))


class Site:
    """A recorder, a dispatcher to a fake of mParticle, and a store that survives a restart of the process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fake = FakeMParticle()
        self.now = NOW
        self.holder = 0
        self.store = SQLiteStore(path)
        self.store.open()
        self.bench = Bench(self.store)
        self.start()

    def start(self, transport: httpx.BaseTransport | None = None) -> None:
        """Start a process: a dispatcher and a backend that remember nothing."""
        self.holder += 1
        self.backend = MParticleBackend(
            "https://s2s.mparticle.com", "FAKEKEY", "FAKESECRET", transport=transport or self.fake.transport()
        )
        self.store.outbox.register([self.backend.name], now=self.now)
        self.dispatcher = Dispatcher(
            self.backend,
            self.store.delivery,
            now=lambda: self.now,
            acquire=acquiring(self.store.leases, f"process-{self.holder}"),
            chance=lambda: 0.0,
        )

    def restart(self) -> None:
        """End the process, and start another when its lease has run out."""
        self.backend.close()
        self.store.close()
        self.now += 60_000
        self.store = SQLiteStore(self.path)
        self.store.open()
        self.bench.store = self.store
        self.bench.recorder = self.bench.another(self.bench.journal)
        self.start()

    def visit(self, *pages: int, key: str = KEYS[0], is_start: bool = True) -> None:
        for number in pages:
            self.bench.request(key, number, is_start=is_start and number == pages[0])
        self.bench.apply()

    def deliver(self, steps: int = 9) -> None:
        for _ in range(steps):
            self.dispatcher.step()
            self.now += 60_000

    @property
    def state(self) -> BackendState:
        return self.store.delivery.state(self.backend.name)

    @property
    def batches(self) -> list[tuple[str, tuple[str, ...]]]:
        """The batches that arrived, as id and events, in order."""
        documents = [json.loads(request.body) for request in self.fake.requests]
        batches = [each for item in documents for each in (item if isinstance(item, list) else [item])]
        return [
            (batch["source_request_id"], tuple(event["data"]["source_message_id"] for event in batch["events"]))
            for batch in batches
        ]

    def check(self, *, events: int) -> None:
        """By mParticle's own key, every event is there once; and the figures add up."""
        once = dict(self.batches)
        arrived = [event_id for ids in once.values() for event_id in ids]
        assert len(arrived) == len(set(arrived)) == len(self.fake.events()) == events
        state = self.state
        assert state.recorded == state.settled + state.backlog
        assert (state.backlog, state.failures, state.retry_at) == (0, 0, None)

    def close(self) -> None:
        self.backend.close()
        self.store.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "sojourn.db")
    yield site
    site.close()


def lose_response(site: Site, status: int = 503) -> None:
    """The next call is taken, and its response is lost."""
    site.fake.fail_next(status, after_taking=True)
    site.dispatcher.step()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_batch_that_grew_after_a_lost_response_does_not_arrive_twice(site: Site, status: int) -> None:
    site.visit(0, 1)
    lose_response(site, status)
    site.visit(2, 3, is_start=False)
    site.deliver()
    first, again, rest = site.batches
    assert first == again, "repeated with exactly its boundaries, and first"
    assert rest[0] != first[0]
    site.check(events=5)


def test_boundaries_survive_a_restart(site: Site) -> None:
    site.visit(0, 1)
    lose_response(site)
    site.visit(2, is_start=False)
    site.restart()
    site.deliver()
    assert site.batches[0] == site.batches[1]
    site.check(events=4)


def test_process_that_is_killed_during_the_call_is_followed_by_the_same_batches(site: Site) -> None:
    class Killed(BaseException):
        pass

    def taken_then_killed(request: httpx.Request) -> httpx.Response:
        taking.handle_request(request)
        raise Killed

    taking = site.fake.transport()
    site.start(httpx.MockTransport(taken_then_killed))
    site.visit(0, 1)
    with pytest.raises(Killed):
        site.dispatcher.step()
    site.visit(2, is_start=False)
    site.restart()
    site.deliver()
    assert site.batches[0] == site.batches[1]
    site.check(events=4)


def test_another_host_takes_over_with_the_same_batches(site: Site) -> None:
    site.visit(0, 1)
    lose_response(site)
    site.visit(2, is_start=False)
    site.now += 31_000
    site.start()
    site.deliver()
    assert site.batches[0] == site.batches[1]
    site.check(events=4)


@pytest.mark.parametrize("failures", [1, 7])
def test_other_sizes_of_claims_do_not_move_boundaries(
    site: Site, failures: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After five failures a backend gets ten events at a time, but an unconfirmed batch stays whole."""
    site.visit(*range(30))
    site.fake.fail_next(503, times=failures, after_taking=True)
    for _ in range(failures):
        site.dispatcher.step()
        site.now += 60_000
    monkeypatch.setattr(dispatching, "_BATCH", 4)
    site.visit(40, is_start=False)
    site.deliver()
    assert len(set(site.batches[: failures + 1])) == 1
    site.check(events=32)


def test_erased_members_are_left_out_and_the_id_stays(site: Site) -> None:
    site.visit(0, 1)
    lose_response(site)
    (erased,) = [event for event in site.store.log.of_session(KEYS[0]) if event.time == NOW + 1]
    with_erased = site.batches[0]
    site.store.database.write(lambda work: work.execute("DELETE FROM sojourn_events WHERE id = :id", id=erased.id))
    site.visit(2, is_start=False)
    site.deliver()
    repeated = site.batches[1]
    assert repeated[0] == with_erased[0]
    assert repeated[1] == tuple(event_id for event_id in with_erased[1] if event_id != erased.id)


def test_batches_that_were_erased_whole_are_not_waited_for(site: Site) -> None:
    site.visit(0, 1)
    lose_response(site)
    subject = DataSubject("visitor", "visitor")
    head = site.store.data_subjects.add_tombstone(subject, at=NOW + 10)
    place: Place | None = Place(0)
    while place is not None:
        place = site.store.data_subjects.erase(subject, at=NOW + 10, upto=head, after=place, limit=100).after
    site.now += 60_000
    site.deliver()
    assert len(site.fake.requests) == 1
    state = site.state
    assert (state.backlog, state.skipped, state.delivered) == (0, 3, 0)


def test_confirmed_batches_are_not_sent_again_with_those_that_are_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two sessions, event by event in turn: the first one's batch is confirmed, the other's is not."""
    one_a_call = CallLimits(bytes=256_000, pieces=1)
    monkeypatch.setattr("sojourn.backends.vendors.mparticle.backend.LIMITS", one_a_call)
    for number in range(3):
        for key in KEYS[:2]:
            site.bench.request(key, number, is_start=number == 0)
    site.bench.apply()
    calls: list[int] = []
    respond = site.fake.handle

    def second_is_lost(request: Any) -> Any:
        calls.append(1)
        reply = respond(request)
        return type(reply)(status=503) if len(calls) == 2 else reply

    monkeypatch.setattr(site.fake, "handle", second_is_lost)
    site.dispatcher.step()
    assert site.state.delivered < 4, "events of the confirmed batch lie behind one that is left"
    site.restart()
    site.deliver()
    assert len(site.batches) == 3
    assert site.batches[1] == site.batches[2]
    site.check(events=8)


def test_requeued_letters_arrive_once_whatever_is_requeued_with_them(site: Site) -> None:
    site.visit(0, 1, 2)
    site.fake.fail_next(409, times=1)
    site.deliver(1)
    letters = site.store.outbox.letters(site.backend.name, after=0, limit=99)
    assert len(letters) == 4
    site.fake.requests.clear()
    site.store.outbox.requeue(site.backend.name, event_ids=[letters[0].event.id], limit=9, now=site.now)
    lose_response(site)
    site.now += 60_000
    site.store.outbox.requeue(site.backend.name, event_ids=None, limit=9, now=site.now)
    site.deliver()
    once = dict(site.batches)
    arrived = [event_id for ids in once.values() for event_id in ids]
    assert len(arrived) == len(set(arrived)) == 4
    assert (site.state.dead, site.state.delivered) == (0, 4)


def test_skipping_the_queue_forgets_its_batches(site: Site) -> None:
    site.visit(0, 1)
    lose_response(site)
    site.store.outbox.skip_waiting(site.backend.name, upto=site.store.log.head(), limit=100)
    site.visit(2, is_start=False)
    site.now += 60_000
    site.deliver()
    assert len(site.batches) == 2
    assert set(site.batches[0][1]).isdisjoint(site.batches[1][1])


def test_an_opt_out_and_the_end_behind_it_are_in_one_claim(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """mParticle's last word of a session is the opt-out; the log has the end behind it."""
    monkeypatch.setattr(dispatching, "_BATCH", 3)
    site.visit(0)
    opted_out = Entry("opt_out", NOW + 5, {})
    seal = Entry("session.end", NOW + 5, seal=Seal(EndReason.OPTED_OUT, NOW + 5))
    site.bench.put(Record(NOW + 5, KEYS[0], "visitor", NOW, ACTIVITY | OPT_OUT, entries=(opted_out, seal)))
    site.bench.apply()
    assert site.bench.names == ["session.start", "page_view", "opt_out", "session.end"]
    # As if the visit were another visitor's: what was not sent before an opt-out is not sent after it.
    site.store.database.write(lambda work: work.execute("DELETE FROM sojourn_tombstones"))
    site.store.database.write(lambda work: work.execute("UPDATE sojourn_sessions SET is_suppressed = false"))
    site.deliver()
    assert [event.name for event in site.fake.events()] == ["session_start", "screen_view", "session_end", "opt_out"]


class Receiver:
    """Drops repeated batches by their ids, and loses responses. What it took outlives every backend object."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[str, ...]] = {}
        self.problems: list[str] = []

    def take(self, batch: Batch) -> None:
        ids = tuple(event.id for event in batch.events)
        if self.taken.setdefault(batch.id, ids) != ids:
            self.problems.append(batch.id)


class Batching(MemoryBackend):
    """Batches of up to three events. `fates`: what happens to each: taken, taken and lost, refused, or rejected for good."""

    def __init__(self, receiver: Receiver, fates: Iterator[str]) -> None:
        super().__init__(name="batching")
        self.receiver = receiver
        self.fates = fates

    def divide(self, events: Sequence[Event]) -> list[Batch]:
        parts = [events[start : start + 3] for start in range(0, len(events), 3)]
        return [Batch(f"{part[0].id}-{len(part)}-{part[-1].id}", part) for part in parts]

    def send_batches(self, batches: Sequence[Batch]) -> BatchReceipt:
        for number, batch in enumerate(batches):
            fate = next(self.fates, "taken")
            if fate in ("taken", "lost", "raises") or batch.id in self.receiver.taken:
                self.receiver.take(batch)
            if fate == "raises":
                raise OSError("gone")
            if fate in ("lost", "refused"):
                return BatchReceipt(left=batches[number:])
            if fate == "rejected" and batch.id not in self.receiver.taken:
                first = Rejection(event_id=batch.events[0].id, reason="bad")
                rest = [Batch(f"{batch.id}-rest", batch.events[1:])] if len(batch.events) > 1 else []
                return BatchReceipt(left=[*rest, *batches[number + 1 :]], rejected=(first,))
        return BatchReceipt()


FATES = st.lists(st.sampled_from(["taken", "taken", "lost", "refused", "raises", "rejected"]), max_size=14)


@settings(max_examples=25, deadline=None)
@given(fates=FATES, grows=st.lists(st.integers(0, 5), min_size=1, max_size=6), restarts=st.sets(st.integers(0, 5)))
def test_each_event_arrives_in_one_batch_whatever_is_lost(
    tmp_path_factory: pytest.TempPathFactory, fates: list[str], grows: list[int], restarts: set[int]
) -> None:
    store = SQLiteStore(tmp_path_factory.mktemp("law") / "sojourn.db")
    store.open()
    bench, receiver, upcoming, now, page = Bench(store), Receiver(), iter(fates), NOW, 0
    store.outbox.register(["batching"], now=NOW)

    def process(number: int) -> Dispatcher:
        return Dispatcher(
            Batching(receiver, upcoming),
            store.delivery,
            now=lambda: now,
            acquire=acquiring(store.leases, f"process-{number}"),
            chance=lambda: 0.0,
        )

    dispatcher = process(0)
    for number, grown in enumerate(grows):
        for _ in range(grown):
            bench.request(KEYS[0], page, is_start=page == 0)
            page += 1
        bench.apply()
        dispatcher.step()
        now += 60_000
        if number in restarts:
            dispatcher = process(number + 1)
    for _ in range(40):
        dispatcher.step()
        now += 60_000
    state = store.delivery.state("batching")
    arrived = [event_id for ids in receiver.taken.values() for event_id in ids]
    letters = {letter.event.id for letter in store.outbox.letters("batching", after=0, limit=99)}
    store.close()
    assert receiver.problems == []
    assert len(arrived) == len(set(arrived))
    assert state.backlog == 0
    assert state.recorded == state.settled
    assert len(set(arrived) | letters) == state.recorded == state.delivered + state.dead
