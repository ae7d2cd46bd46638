"""Whatever an operator and dispatchers do beside each other, every event is somewhere, once; who overslept does no harm."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sojourn.core.events import Position
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch, Claim, Lease, LeaseLost, Resettled, Settled, dispatcher_lease
from tests.stores.contract.steps import NOW, event, row, save

FATES = ("delivered", "dead", "skipped")
HOLDERS = st.sampled_from(["one", "two"])


class Outboxes(RuleBasedStateMachine):
    """One backend, two dispatchers that may sleep with a batch in their hands, and an operator."""

    def __init__(self) -> None:
        super().__init__()
        self.store = SQLiteStore(None)
        self.now = NOW
        self.made = 0
        self.held: dict[str, Lease] = {}
        self.hands: dict[str, tuple[bool, Claim]] = {}
        """By holder: whether it holds letters, and what it claimed."""
        self.final = (0, 0)

    @initialize()
    def register(self) -> None:
        self.store.outbox.register(["b"], now=NOW)
        save(self.store, Batch(rows=[row("s")]))

    @rule(count=st.integers(1, 6))
    def record(self, count: int) -> None:
        save(self.store, Batch(events=[event(str(self.made + n)) for n in range(count)]))
        self.made += count

    @rule(holder=HOLDERS, is_overslept=st.booleans(), limit=st.integers(1, 4))
    def claim(self, holder: str, *, is_overslept: bool, limit: int) -> None:
        self.now += 30_000 if is_overslept else 1
        until = self.now + 30_000
        lease = self.store.leases.acquire(dispatcher_lease("b"), holder, now=self.now, until=until)
        if lease is None:
            return
        self.held[holder] = lease
        has_letters = self.store.delivery.has_requeued("b")
        queue = self.store.delivery
        claim = queue.claim_requeued if has_letters else queue.claim
        self.hands[holder] = (has_letters, claim("b", lease, until=until, limit=limit, now=self.now))

    @precondition(lambda self: self.hands)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """However late, and with any part of the batch settled."""
        holder = data.draw(st.sampled_from(sorted(self.hands)))
        has_letters, claim = self.hands.pop(holder)
        fates = data.draw(st.lists(st.sampled_from(FATES), max_size=len(claim.events)))
        if not claim.events or (not has_letters and not fates):
            return
        before = self.store.stats()
        try:
            if has_letters:
                self.store.delivery.settle_requeued("b", self.held[holder], resettled(claim, fates), now=self.now)
            else:
                self.store.delivery.settle("b", self.held[holder], settled(claim, fates), now=self.now)
        except LeaseLost:
            assert self.store.stats() == before

    @rule(limit=st.integers(0, 5), is_all=st.booleans())
    def retry(self, limit: int, *, is_all: bool) -> None:
        ids = None if is_all else [str(n) for n in range(0, self.made, 2)]
        self.store.outbox.requeue("b", event_ids=ids, limit=limit, now=self.now)

    @rule(ahead=st.integers(0, 4), limit=st.integers(1, 3))
    def skip_what_waits(self, ahead: int, limit: int) -> None:
        before = self.store.delivery.state("b")
        skipped = self.store.outbox.skip_waiting("b", upto=Position(before.cursor.stored + ahead), limit=limit)
        assert self.store.delivery.state("b").backlog == before.backlog - skipped
        assert skipped <= limit

    @rule(limit=st.integers(1, 3))
    def skip_letters(self, limit: int) -> None:
        self.store.outbox.skip_letters("b", event_ids=None, limit=limit)

    @invariant()
    def every_event_is_somewhere_once(self) -> None:
        if not self.store.outbox.states():
            return
        state = self.store.delivery.state("b")
        assert state.recorded == self.made
        assert self.made == state.settled + state.backlog
        assert min(state.delivered, state.dead, state.skipped, state.backlog) >= 0
        before, self.final = self.final, (state.delivered, state.skipped)
        assert all(now >= then for now, then in zip(self.final, before, strict=True)), "what is settled stays so"
        letters = self.store.outbox.letters("b", after=0, limit=1_000)
        assert len({letter.event.id for letter in letters}) == len(letters) == state.dead
        (outbox,) = self.store.outbox.states()
        requeued = sum(letter.requeued_at is not None for letter in letters)
        assert (outbox.letters, outbox.requeued) == (len(letters), requeued)
        assert self.store.delivery.has_requeued("b") is (requeued > 0)

    def teardown(self) -> None:
        self.store.close()


def settled(claim: Claim, fates: Sequence[str]) -> Settled:
    done = list(zip(claim.events, fates, strict=False))
    return Settled(
        upto=done[-1][0].position,
        delivered=fates.count("delivered"),
        skipped=fates.count("skipped"),
        dead=[(each, "no", None) for each, fate in done if fate == "dead"],
    )


def resettled(claim: Claim, fates: Sequence[str]) -> Resettled:
    done = list(zip(claim.events, fates, strict=False))
    return Resettled(
        delivered=[each.id for each, fate in done if fate == "delivered"],
        skipped=[each.id for each, fate in done if fate == "skipped"],
        dead=[(each, "no", None) for each, fate in done if fate == "dead"],
    )


TestOutboxes = pytest.mark.filterwarnings("error")(Outboxes.TestCase)
TestOutboxes.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
