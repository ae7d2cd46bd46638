"""Laws of a store under any order of calls: a record counts once, an event is somewhere, a late holder does no harm."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sojourn.core.events import START, Position
from sojourn.stores import Store, open_store
from sojourn.stores.model import Batch, Lease, LeaseLost, Mark, PositionMoved, Settled
from tests.stores.contract.steps import NOW, assert_adds_up, event, mark, save

HOLDERS = ("one", "two")
BACKENDS = ("b", "c")
holders = st.sampled_from(HOLDERS)
backends = st.sampled_from(BACKENDS)


@dataclass
class Backend:
    """What the model knows of a backend: which events are still to settle, and how far it has begun to read."""

    waiting: list[str] = field(default_factory=list)
    begun: set[str] = field(default_factory=set)
    settled: int = 0


class StoreMachine(RuleBasedStateMachine):
    """Two recorders with views of their own, two dispatchers per backend, and a model of what must come out."""

    def __init__(self) -> None:
        super().__init__()
        self.store = self.make_store()
        self.now = NOW
        self.made = 0
        self.log: list[str] = []
        self.position = 0
        self.applied = 0
        self.views: dict[str, int] = dict.fromkeys(HOLDERS, 0)
        self.backends: dict[str, Backend] = {}
        self.leases: dict[tuple[str, str], Lease] = {}
        self.holding: dict[str, tuple[str, int]] = {}

    def make_store(self) -> Store:
        return open_store("memory:")

    def teardown(self) -> None:
        self.store.close()

    # --- recorders

    @rule(who=holders)
    def look(self, who: str) -> None:
        known = self.store.records.marks().get("j")
        self.views[who] = known.position if known else 0
        assert self.views[who] == self.position

    @rule(who=holders, size=st.integers(1, 3), repeat=st.booleans())
    def apply(self, who: str, size: int, repeat: bool) -> None:
        before = self.views[who]
        ids = [f"e{self.made + n}" for n in range(size)]
        again = self.log[-1:] if repeat else []
        batch = Batch(
            events=[event(each) for each in [*ids, *again]],
            counts={"applied": size},
            marks=[(mark("j", before + size), before)],
        )
        try:
            save(self.store, batch)
        except PositionMoved:
            assert before != self.position
            return
        assert before == self.position
        self.views[who] = self.position = before + size
        self.applied += size
        self.made += size
        self.log += ids
        for backend in self.backends.values():
            backend.waiting += ids

    @precondition(lambda self: self.log)
    @rule()
    def withdraw(self) -> None:
        last = self.log[-1]
        if any(last in backend.begun or last not in backend.waiting for backend in self.backends.values()):
            return
        self.log.pop()
        for backend in self.backends.values():
            backend.waiting.remove(last)
        save(self.store, Batch(withdrawn=[last]))

    # --- dispatchers

    @rule(name=backends)
    def register(self, name: str) -> None:
        self.store.outbox.register([name], now=self.now)
        self.backends.setdefault(name, Backend())

    @rule(name=backends, who=holders, dead=st.booleans())
    def acquire(self, name: str, who: str, dead: bool) -> None:
        known = self.holding.get(name)
        others = [holder for holder in HOLDERS if holder != who]
        got = self.store.leases.acquire(name, who, now=self.now, until=self.now + 10, dead=others if dead else ())
        may = known is None or known[0] == who or dead or known[1] <= self.now
        assert (got is not None) == may
        if got is not None:
            tokens = [held.token for (of, holder), held in self.leases.items() if of == name and holder != who]
            assert all(got.token > token for token in tokens), "a token grows with every change of holder"
            self.leases[name, who] = got
            self.holding[name] = (who, got.until)

    @rule(seconds=st.integers(0, 12))
    def wait(self, seconds: int) -> None:
        self.now += seconds

    @rule(who=holders)
    def release(self, who: str) -> None:
        self.store.leases.release(who)
        self.holding = {name: held for name, held in self.holding.items() if held[0] != who}
        self.leases = {key: held for key, held in self.leases.items() if key[1] != who}

    @rule(name=backends, who=holders, limit=st.integers(1, 4), share=st.integers(0, 4))
    def deliver(self, name: str, who: str, limit: int, share: int) -> None:
        held = self.leases.get((name, who))
        backend = self.backends.get(name)
        if held is None or backend is None:
            return
        is_holder = self.holding.get(name, ("", 0))[0] == who
        try:
            claim = self.store.delivery.claim(name, held, until=self.now + 10, limit=limit, now=self.now)
        except LeaseLost:
            assert not is_holder
            return
        assert is_holder
        self.holding[name] = (who, self.now + 10)
        assert [each.id for each in claim.events] == backend.waiting[:limit]
        backend.begun |= {each.id for each in claim.events}
        done = claim.events[:share]
        if not done:
            return
        dead = [(each, "no", 400) for each in done[:1]]
        self.store.delivery.settle(
            name, held, Settled(upto=done[-1].position, delivered=len(done) - 1, dead=dead), now=self.now
        )
        backend.settled += len(done)
        del backend.waiting[: len(done)]

    @rule(name=backends, who=holders)
    def oversleep(self, name: str, who: str) -> None:
        held = self.leases.get((name, who))
        if held is None or name not in self.backends or self.holding.get(name, ("", 0))[0] == who:
            return
        try:
            self.store.delivery.settle(name, held, Settled(upto=Position(2**40), delivered=99), now=self.now)
        except LeaseLost:
            return
        raise AssertionError("a holder that lost its lease moved the cursor")

    # --- what always holds

    @invariant()
    def each_record_counted_once(self) -> None:
        counters = self.store.stats().counters
        assert counters.get("applied", 0) == self.applied
        assert counters.get("events.recorded", 0) == len(self.log)

    @invariant()
    def the_log_is_the_model(self) -> None:
        assert [each.id for each in self.store.log.after(START, limit=10_000)] == self.log

    @invariant()
    def every_event_is_somewhere(self) -> None:
        assert_adds_up(self.store)
        for state in self.store.stats().backends:
            backend = self.backends[state.name]
            assert (state.backlog, state.delivered + state.dead) == (len(backend.waiting), backend.settled)


TestStoreLaws = StoreMachine.TestCase
TestStoreLaws.settings = settings(max_examples=60, stateful_step_count=40)


def test_a_mark_that_says_no_more_is_heard_of_when_it_was_recorded() -> None:
    store = open_store("memory:")
    save(store, Batch(marks=[(Mark(journal="j", position=1, recorded_until=NOW), 0)]))
    assert store.records.marks()["j"].heard_at == NOW
    store.close()
