"""What every store must keep to for the operator: dead letters that go once more, and what is not to be sent."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from sojourn.core.events import OPT_OUT, SESSION_END, SESSION_START, Event, Position
from sojourn.errors import StoreError
from sojourn.stores.model import Batch, Lease, LeaseLost, Resettled, Settled, dispatcher_lease
from sojourn.stores.protocol import Store

from .steps import DAY, NOW, assert_adds_up, claim_ids, ended, event, lease, row, save

LATER = NOW + 60_000
NAMES = ("one", "two", "three", "four")


def held_by(store: Store, holder: str = "one", *, now: int = NOW) -> Lease:
    return lease(store, dispatcher_lease("b"), holder, now=now)


def filled(store: Store, events: Sequence[Event] = tuple(map(event, NAMES))) -> Lease:
    """A backend with these events in its queue; the lease of its dispatcher."""
    store.outbox.register(["b"], now=NOW)
    save(store, Batch(rows=[row("s")], events=events))
    return held_by(store)


def buried(store: Store, events: Sequence[Event] = tuple(map(event, NAMES))) -> Lease:
    """A backend that has refused all of these events."""
    held = filled(store, events)
    claimed = store.delivery.claim("b", held, until=LATER, limit=100, now=NOW).events
    dead = [(each, "not for us", 422) for each in claimed]
    store.delivery.settle("b", held, Settled(upto=store.log.head(), dead=dead), now=NOW)
    return held


def requeued_ids(store: Store, held: Lease, *, limit: int = 100) -> list[str]:
    return [each.id for each in store.delivery.claim_requeued("b", held, until=LATER, limit=limit, now=NOW).events]


def letters_of(store: Store) -> list[tuple[str, str, int | None]]:
    """Of each letter the event, the reason, and when it was put back."""
    return [(each.event.id, each.reason, each.requeued_at) for each in store.outbox.letters("b", after=0, limit=100)]


def figures(store: Store, name: str = "b") -> tuple[int, int, int, int]:
    state = store.delivery.state(name)
    return state.delivered, state.dead, state.skipped, state.backlog


class OperatingContract:
    """Part of `StoreContract`, which has the fixture."""

    def test_the_store_reports_its_size(self, store: Store) -> None:
        before = store.stats().size
        save(store, Batch(rows=[row("s")], events=[event(f"e{n}") for n in range(2_000)]))
        after = store.stats().size
        assert before is not None
        assert after is not None
        assert 0 < before < after

    # --- dead letters, once more

    def test_a_dead_letter_goes_once_more_when_it_is_put_back(self, store: Store) -> None:
        held = buried(store)
        assert (store.delivery.has_requeued("b"), requeued_ids(store, held)) == (False, [])
        assert store.outbox.requeue("b", event_ids=["two", "never there"], limit=100, now=LATER) == 1
        assert store.delivery.has_requeued("b")
        (found,) = store.delivery.claim_requeued("b", held, until=LATER, limit=100, now=NOW).events
        assert (found.id, found.attributes) == ("two", event("two").attributes)
        assert figures(store) == (0, 4, 0, 0), "it is dead until it is delivered"
        store.delivery.settle_requeued("b", held, Resettled(delivered=["two"]), now=LATER)
        assert (figures(store), store.delivery.has_requeued("b")) == ((1, 3, 0, 0), False)
        assert [name for name, _, _ in letters_of(store)] == ["one", "three", "four"]
        assert_adds_up(store)

    def test_all_letters_go_once_more_in_slices_and_in_their_order(self, store: Store) -> None:
        held = buried(store)
        assert [store.outbox.requeue("b", event_ids=None, limit=3, now=LATER) for _ in range(3)] == [3, 1, 0]
        assert requeued_ids(store, held, limit=3) == ["one", "two", "three"]
        store.delivery.settle_requeued("b", held, Resettled(delivered=["one", "two", "three"]), now=LATER)
        assert requeued_ids(store, held, limit=3) == ["four"]
        assert_adds_up(store)

    def test_what_is_refused_again_is_a_dead_letter_as_before(self, store: Store) -> None:
        held = buried(store)
        store.outbox.requeue("b", event_ids=["one", "two"], limit=100, now=NOW)
        again = store.delivery.claim_requeued("b", held, until=LATER, limit=100, now=NOW).events[0]
        settled = Resettled(dead=[(again, "still\x00 not", None)], retried=1, retry_at=LATER, failures=2, problem="503")
        store.delivery.settle_requeued("b", held, settled, now=LATER)
        first, second, *_ = store.outbox.letters("b", after=0, limit=100)
        assert (first.reason, first.status, first.at, first.requeued_at) == ("still\ufffd not", None, LATER, None)
        assert (second.reason, second.status, second.at, second.requeued_at) == ("not for us", 422, NOW, NOW)
        state = store.delivery.state("b")
        assert (state.dead, state.retried, state.retry_at, state.failures, state.problem) == (4, 1, LATER, 2, "503")
        assert_adds_up(store)

    def test_what_was_refused_since_is_not_put_back(self, store: Store) -> None:
        held = buried(store)
        store.outbox.requeue("b", event_ids=None, limit=1, now=NOW)
        again = store.delivery.claim_requeued("b", held, until=LATER, limit=1, now=NOW).events
        store.delivery.settle_requeued("b", held, Resettled(dead=[(again[0], "no", None)]), now=NOW + 1)
        assert [store.outbox.requeue("b", event_ids=None, limit=9, now=NOW) for _ in range(2)] == [3, 0]
        assert requeued_ids(store, held) == ["two", "three", "four"]

    def test_what_is_not_named_when_it_is_settled_stays_in_the_queue(self, store: Store) -> None:
        held = buried(store)
        store.outbox.requeue("b", event_ids=None, limit=100, now=NOW)
        assert requeued_ids(store, held) == list(NAMES)
        store.delivery.settle_requeued("b", held, Resettled(delivered=["one"], skipped=["three"]), now=LATER)
        assert requeued_ids(store, held) == ["two", "four"]
        assert figures(store) == (1, 2, 1, 0)
        assert_adds_up(store)

    def test_lost_lease_claims_and_settles_no_letter(self, store: Store) -> None:
        slept = buried(store)
        store.outbox.requeue("b", event_ids=None, limit=100, now=NOW)
        assert requeued_ids(store, slept) == list(NAMES)
        assert store.leases.acquire(slept.name, "two", now=LATER, until=LATER + 30_000) is not None
        before = store.stats()
        with pytest.raises(LeaseLost):
            store.delivery.settle_requeued("b", slept, Resettled(delivered=NAMES, problem="mine"), now=LATER)
        with pytest.raises(LeaseLost):
            store.delivery.claim_requeued("b", slept, until=LATER + 90_000, limit=1, now=LATER)
        assert store.stats() == before
        assert len(letters_of(store)) == len(NAMES)

    def test_a_claim_of_letters_renews_the_lease(self, store: Store) -> None:
        held = buried(store)
        store.delivery.claim_requeued("b", held, until=NOW + 99_000, limit=1, now=NOW)
        assert store.leases.acquire(held.name, "two", now=NOW + 98_999, until=NOW + 200_000) is None
        store.delivery.settle_requeued("b", held, Resettled(), now=NOW)
        assert store.leases.acquire(held.name, "two", now=NOW + 98_999, until=NOW + 200_000) is None

    def test_requeued_claim_marks_barred_and_hidden_letters(self, store: Store) -> None:
        left, hidden = row("left"), row("hidden")
        left.visitor_id, hidden.no_forward = "leaver", True
        save(store, Batch(rows=[left, hidden]))
        events = [event("page", "left"), event("bye", "left", name=OPT_OUT), event("own", "hidden"), event("other")]
        held = buried(store, events)
        save(store, Batch(opted_out={"leaver": NOW}))
        store.outbox.requeue("b", event_ids=None, limit=100, now=NOW)
        claim = store.delivery.claim_requeued("b", held, until=LATER, limit=100, now=NOW)
        assert [each.id for each in claim.events] == ["page", "bye", "own", "other"]
        assert claim.barred == {"page", "bye"}
        assert claim.no_forward == {"own"}
        assert not claim.started

    def test_a_letter_that_retention_took_meanwhile_stays_counted_as_dead(self, store: Store) -> None:
        held = buried(store)
        store.outbox.requeue("b", event_ids=None, limit=100, now=NOW)
        assert requeued_ids(store, held) == list(NAMES)
        assert store.maintenance.expire(older_than=LATER, limit=100, now=LATER) > 0
        store.delivery.settle_requeued("b", held, Resettled(delivered=NAMES), now=LATER)
        assert (store.delivery.state("b").delivered, store.delivery.state("b").dead) == (0, 4)
        assert_adds_up(store)

    def test_a_backend_that_is_asked_to_try_is_tried_now(self, store: Store) -> None:
        held = filled(store)
        settled = Settled(upto=None, retried=4, retry_at=LATER, failures=9, problem="the key is wrong")
        store.delivery.settle("b", held, settled, now=NOW)
        assert store.outbox.requeue("b", event_ids=[], limit=100, now=NOW) == 0
        state = store.delivery.state("b")
        assert (state.retry_at, state.failures, state.problem, state.retried) == (None, 0, None, 4)
        assert_adds_up(store)

    def test_unregistered_backend_is_an_error(self, store: Store) -> None:
        with pytest.raises(StoreError, match="'unknown'"):
            store.outbox.requeue("unknown", event_ids=None, limit=100, now=NOW)

    # --- what is not to be sent

    def test_what_waits_is_skipped_up_to_a_place_in_slices(self, store: Store) -> None:
        filled(store)
        third = Position(store.log.head().stored - 1)
        assert [store.outbox.skip_waiting("b", upto=third, limit=2) for _ in range(3)] == [2, 1, 0]
        assert figures(store) == (0, 0, 3, 1)
        assert claim_ids(store, "b", held_by(store)) == ["four"]
        assert_adds_up(store)

    def test_what_is_behind_the_cursor_is_not_skipped(self, store: Store) -> None:
        held = filled(store)
        first = store.delivery.claim("b", held, until=LATER, limit=1, now=NOW).events[0]
        store.delivery.settle("b", held, Settled(upto=first.position, delivered=1), now=NOW)
        assert store.outbox.skip_waiting("b", upto=first.position, limit=100) == 0
        store.delivery.claim("b", held, until=LATER, limit=1, now=NOW)  # and no holder was fenced off without need
        assert figures(store) == (1, 0, 0, 3)

    def test_a_dispatcher_with_skipped_events_in_its_hands_settles_nothing_and_goes_on_after(
        self, store: Store
    ) -> None:
        held = filled(store)
        claimed = store.delivery.claim("b", held, until=LATER, limit=3, now=NOW).events
        assert store.outbox.skip_waiting("b", upto=claimed[1].position, limit=100) == 2
        with pytest.raises(LeaseLost):
            store.delivery.settle("b", held, Settled(upto=claimed[2].position, delivered=3), now=NOW)
        anew = held_by(store)
        assert anew.token > held.token, "the same holder, and yet another lease"
        assert claim_ids(store, "b", anew) == ["three", "four"]
        assert_adds_up(store)

    def test_a_skipped_end_is_not_withdrawn(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(rows=[ended(row("k"), "end")], events=[event("end", "k", name=SESSION_END)]))
        store.outbox.skip_waiting("b", upto=store.log.head(), limit=100)
        with store.records.recording() as recording:
            assert recording.load(["k"]).unread == frozenset()

    def test_skipped_start_withholds_the_end_after_an_opt_out(self, store: Store) -> None:
        theirs = row("k")
        theirs.visitor_id = "leaver"
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(rows=[theirs], events=[event("start", "k", name=SESSION_START)]))
        store.outbox.skip_waiting("b", upto=store.log.head(), limit=100)
        save(store, Batch(events=[event("end", "k", name=SESSION_END)], opted_out={"leaver": NOW}))
        claim = store.delivery.claim("b", held_by(store), until=LATER, limit=100, now=NOW)
        assert claim.barred == {"end"}
        assert not claim.started

    def test_dead_letters_are_let_go_these_or_all(self, store: Store) -> None:
        buried(store)
        store.outbox.requeue("b", event_ids=["two"], limit=100, now=NOW)
        assert store.outbox.skip_letters("b", event_ids=["two", "never there"], limit=100) == 1
        assert (figures(store), store.delivery.has_requeued("b")) == ((0, 3, 1, 0), False)
        assert [store.outbox.skip_letters("b", event_ids=None, limit=2) for _ in range(3)] == [2, 1, 0]
        assert (figures(store), letters_of(store)) == ((0, 0, 4, 0), [])
        assert_adds_up(store)

    def test_a_dispatcher_with_skipped_letters_in_its_hands_settles_nothing(self, store: Store) -> None:
        held = buried(store)
        store.outbox.requeue("b", event_ids=None, limit=100, now=NOW)
        assert requeued_ids(store, held) == list(NAMES)
        store.outbox.skip_letters("b", event_ids=["one"], limit=100)
        with pytest.raises(LeaseLost):
            store.delivery.settle_requeued("b", held, Resettled(delivered=NAMES), now=NOW)
        assert requeued_ids(store, held_by(store)) == ["two", "three", "four"]
        assert_adds_up(store)

    def test_one_backends_queue_is_not_the_others(self, store: Store) -> None:
        store.outbox.register(["other"], now=NOW)
        buried(store)
        store.outbox.requeue("b", event_ids=None, limit=100, now=NOW)
        store.outbox.skip_letters("b", event_ids=["one"], limit=100)
        assert (store.delivery.has_requeued("other"), figures(store, "other")) == (False, (0, 0, 0, 4))
        store.outbox.skip_waiting("other", upto=store.log.head(), limit=100)
        assert (figures(store), figures(store, "other")) == ((0, 3, 1, 0), (0, 0, 4, 0))
        assert_adds_up(store)

    # --- what there is

    def test_each_queue_has_its_oldest_event_and_its_letters(self, store: Store) -> None:
        assert store.outbox.states() == ()
        held = filled(store, [event("end", at=NOW - 90, name=SESSION_END), event("page", at=NOW - 5), event("young")])
        store.outbox.register(["a"], now=NOW + 7)
        by_name = {each.name: each for each in store.outbox.states()}
        assert list(by_name) == ["a", "b"]
        assert (by_name["a"].oldest_at, by_name["a"].letters, by_name["a"].in_use_at) == (None, 0, NOW + 7)
        assert by_name["b"].oldest_at == NOW - 5, "an end is dated back to the last activity"
        claimed = store.delivery.claim("b", held, until=LATER, limit=2, now=NOW).events
        dead = [(each, "no", None) for each in claimed]
        store.delivery.settle("b", held, Settled(upto=claimed[-1].position, dead=dead), now=NOW)
        store.outbox.requeue("b", event_ids=["end"], limit=100, now=NOW)
        (_, b) = store.outbox.states()
        assert (b.oldest_at, b.letters, b.requeued) == (NOW, 2, 1)

    def test_letters_are_paged_for_one_backend_or_all(self, store: Store) -> None:
        store.outbox.register(["other"], now=NOW)
        buried(store)
        held = lease(store, dispatcher_lease("other"))
        claimed = store.delivery.claim("other", held, until=LATER, limit=1, now=NOW).events
        store.delivery.settle(
            "other", held, Settled(upto=claimed[0].position, dead=[(claimed[0], "no", None)]), now=LATER
        )
        first = store.outbox.letters(None, after=0, limit=3)
        rest = store.outbox.letters(None, after=first[-1].number, limit=3)
        assert [(each.backend, each.event.id) for each in first + rest] == [
            *(("b", n) for n in NAMES),
            ("other", "one"),
        ]
        assert [each.event.id for each in store.outbox.letters("other", after=0, limit=9)] == ["one"]

    def test_held_leases_are_listed(self, store: Store) -> None:
        second = lease(store, "sweeper", "two")
        first = lease(store, "dispatcher:b", "one")
        lease(store, "dispatcher:c", "gone")
        store.leases.release("gone")
        assert store.leases.held() == (first, second)

    def test_revoked_log_in_is_kept_until_it_expires(self, store: Store) -> None:
        store.revocations.add("a", until=NOW + DAY, now=NOW)
        store.revocations.add("a", until=NOW + DAY, now=NOW)
        assert [store.revocations.has(name) for name in ("a", "b")] == [True, False]
        store.revocations.add("b", until=NOW + 3 * DAY, now=NOW + 2 * DAY)
        assert [store.revocations.has(name) for name in ("a", "b")] == [False, True]
