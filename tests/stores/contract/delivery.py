"""What every store must keep to for the dispatchers: the event log, their figures and their leases."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from sojourn.core.events import OPT_OUT, SESSION_END, SESSION_START, START, Event, Position, Scalar
from sojourn.core.ids import start_id
from sojourn.core.in_flight import InFlight, SentBatch
from sojourn.stores.model import Batch, Lease, LeaseLost, Resettled, Settled
from sojourn.stores.protocol import Store

from .steps import NOW, assert_adds_up, claim_ids, ended, event, fields, lease, load, row, save

CLIENT = {"user_agent.original": "Straße/1.0", "client.address": "192.0.2.0"}


def started(key: str, client: Mapping[str, Scalar] | None = None) -> Event:
    """Return the start of a session as the fold makes it: with a client, and with more than the client."""
    start = event(start_id(key), key, name=SESSION_START)
    about = CLIENT if client is None else client
    return msgspec.structs.replace(start, attributes={**start.attributes, **about})


class DeliveryContract:
    """Part of `StoreContract`, which has the fixture."""

    # --- the event log

    def test_an_event_comes_back_as_it_was_saved_with_its_place(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two")]))
        found = store.delivery.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert [each.id for each in found] == ["one", "two"]
        assert found[1].position == store.log.head()
        assert store.log.has_passed(found[1].position, found[0].position)
        assert not store.log.has_passed(found[0].position, found[1].position)
        assert store.log.has_passed(found[0].position, found[0].position)
        assert not store.log.has_passed(START, found[0].position)
        for got, given in zip(found, (event("one"), event("two")), strict=True):
            assert {**fields(got), "position": START} == fields(given)

    def test_the_log_takes_an_id_once_and_counts_what_it_took(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two"), event("one")]))
        save(store, Batch(events=[event("two"), event("three")]))
        assert claim_ids(store, "b", lease(store)) == ["one", "two", "three"]
        assert store.stats().counters == {"events.recorded": 3}
        assert store.stats().events == 3
        assert_adds_up(store)

    @pytest.mark.parametrize(
        "text",
        [
            pytest.param("a\x00b", id="null character"),
            pytest.param("half \ud83d of a character", id="lone surrogate"),
            pytest.param("\x1b[2J\x07\x7f\x85\u2028", id="control characters"),
            pytest.param('"\\u0000"', id="what looks escaped"),
            pytest.param("'); DROP TABLE sojourn_events; --", id="SQL"),
            pytest.param("x" * 100_000, id="long"),
        ],
    )
    def test_hostile_text_never_stops_a_batch(self, store: Store, text: str) -> None:
        store.outbox.register(["b"], now=NOW)
        hostile = row("k")
        hostile.browser, hostile.user_id, hostile.user_traits = text, text, {text: text}
        odd = event("odd")
        attributes = {**odd.attributes, text: text, "user.id": text}
        odd = Event(**{**fields(odd), "attributes": attributes, "user_id": text})  # type: ignore[arg-type]
        save(store, Batch(rows=[hostile, row("other")], events=[odd, event("other")], counts={text: 1}))
        kept = text.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")
        found = load(store, "k", "other").rows
        assert (found["k"].browser, found["k"].user_id, found["k"].user_traits) == (kept, kept, {kept: kept})
        first, second = store.delivery.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert (first.user_id, first.attributes[kept], second.id) == (kept, kept, "other")
        store.delivery.settle(
            "b", lease(store), Settled(upto=first.position, dead=[(odd, text, None)], problem=text), now=NOW
        )
        assert store.delivery.state("b").problem == kept

    def test_numbers_that_json_does_not_have_are_left_out(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        odd = event("odd")
        attributes = {**odd.attributes, "nan": float("nan"), "infinite": float("-inf"), "big": 2**80}
        odd = Event(**{**fields(odd), "attributes": attributes})  # type: ignore[arg-type]
        save(store, Batch(events=[odd]))
        (found,) = store.delivery.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert found.attributes == {**event("odd").attributes, "big": 2**80}

    def test_claim_marks_events_for_the_own_store_only(self, store: Store) -> None:
        hidden = row("hidden")
        hidden.no_forward = True
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(rows=[hidden, row("open")], events=[event("1", "hidden"), event("2", "open")]))
        save(store, Batch(events=[event("3", "hidden"), event("4", "unknown")]))
        assert store.delivery.claim("b", lease(store), until=NOW, limit=10, now=NOW).no_forward == {"1", "3"}

    # --- contexts

    def test_a_claim_brings_the_contexts_of_its_sessions_when_asked(self, store: Store) -> None:
        """Also of a session whose start is long behind the cursor; one without a start has none."""
        store.outbox.register(["b"], now=NOW)
        held = lease(store)
        save(store, Batch(rows=[row("k"), row("bare"), row("other")], events=[started("k"), started("bare", {})]))
        (*_, last) = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).events
        store.delivery.settle("b", held, Settled(upto=last.position, delivered=2), now=NOW)
        later = [event("1", "k"), event("2", "k"), event("3", "bare"), event("4", "other")]
        save(store, Batch(events=later))
        assert store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).contexts == {}
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_contexts=True)
        assert [each.id for each in claim.events] == ["1", "2", "3", "4"]
        assert claim.contexts == {"k": CLIENT, "bare": {}}
        assert all(each.context == {} for each in claim.events), "the log stays as it is"

    def test_a_claim_of_nothing_has_no_contexts_and_no_activity_before_it(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        asked = {"with_contexts": True, "with_previous": True}
        claim = store.delivery.claim("b", lease(store), until=NOW, limit=9, now=NOW, **asked)
        assert (claim.events, claim.contexts, claim.previous) == ((), {}, {})

    def test_requeued_letters_come_with_contexts_too(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        held = lease(store)
        save(store, Batch(rows=[row("k")], events=[started("k"), event("1", "k")]))
        start, one = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).events
        dead = [(one, "no", 400)]
        store.delivery.settle("b", held, Settled(upto=one.position, delivered=1, dead=dead), now=NOW)
        store.outbox.requeue("b", event_ids=None, limit=9, now=NOW)
        held = lease(store)
        claim = store.delivery.claim_requeued("b", held, until=NOW, limit=9, now=NOW, with_contexts=True)
        assert ([each.id for each in claim.events], claim.contexts) == (["1"], {start.session_key: CLIENT})

    # --- the activity before a claim

    def test_a_claim_brings_the_latest_activity_before_it_when_asked(self, store: Store) -> None:
        """By time, not by place: a heartbeat may be logged behind what came later. What is no activity does not count."""
        store.outbox.register(["b", "other"], now=NOW)
        held = lease(store)
        early = [event("1", "k", at=NOW + 5), event("2", "k", at=NOW + 3), event("3", "k", name=OPT_OUT, at=NOW + 9)]
        save(store, Batch(events=early))
        assert store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_previous=True).previous == {}
        (*_, last) = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).events
        store.delivery.settle("b", held, Settled(upto=last.position, delivered=3), now=NOW)
        save(store, Batch(events=[event("4", "k", at=NOW + 7), event("5", "new")]))
        assert store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).previous == {}
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_previous=True)
        assert ([each.id for each in claim.events], claim.previous) == (["4", "5"], {"k": NOW + 5})

    # --- ends that no backend has read

    def test_an_end_is_unread_until_a_backend_claims_it(self, store: Store) -> None:
        store.outbox.register(["b", "idle"], now=NOW)
        save(store, Batch(rows=[ended(row("k"), "end")], events=[event("first"), event("end")]))
        held = lease(store)
        assert load(store, "k").unread == {"end"}
        assert claim_ids(store, "b", held, limit=1) == ["first"]
        assert load(store, "k").unread == {"end"}
        assert claim_ids(store, "b", held, limit=2) == ["first", "end"]
        assert load(store, "k").unread == frozenset()
        assert load(store, "k").rows["k"].end_event_id == "end"

    def test_without_backends_every_end_is_unread(self, store: Store) -> None:
        save(store, Batch(rows=[ended(row("k"), "end"), row("open")], events=[event("end")]))
        assert load(store, "k", "open").unread == {"end"}

    def test_a_backend_added_later_does_not_read_what_was(self, store: Store) -> None:
        save(store, Batch(rows=[ended(row("k"), "end")], events=[event("end")]))
        store.outbox.register(["b"], now=NOW)
        assert load(store, "k").unread == frozenset()
        assert claim_ids(store, "b", lease(store)) == []
        assert_adds_up(store)

    def test_a_withdrawn_end_leaves_log_and_figures(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(rows=[ended(row("k"), "end")], events=[event("first"), event("end")]))
        save(store, Batch(rows=[row("k")], withdrawn=["end", "never there"]))
        assert claim_ids(store, "b", lease(store)) == ["first"]
        assert store.stats().counters["events.recorded"] == 1
        assert_adds_up(store)

    def test_an_end_withdrawn_and_made_again_in_one_batch_stands_last(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("end")]))
        before = store.log.head()
        save(store, Batch(events=[event("view"), event("end", at=NOW + 5)], withdrawn=["end"]))
        found = store.delivery.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert [(each.id, each.time) for each in found] == [("view", NOW), ("end", NOW + 5)]
        assert not store.log.has_passed(before, found[0].position), "a place in the log is never given twice"
        assert_adds_up(store)

    # --- dispatchers

    def test_figures_of_a_backend_add_up(self, store: Store) -> None:
        save(store, Batch(events=[event("before")]))
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event(str(n)) for n in range(9)]))
        held = lease(store)
        claimed = store.delivery.claim("b", held, until=NOW, limit=6, now=NOW).events
        assert [each.id for each in claimed] == list("012345")
        settled = Settled(
            upto=claimed[4].position,
            delivered=1,
            skipped=2,
            dropped=1,
            dead=[(claimed[4], "not for us", 422)],
            retried=1,
            retry_at=NOW + 7,
            failures=3,
            problem="503",
        )
        store.delivery.settle("b", held, settled, now=NOW)
        state = store.delivery.state("b")
        assert (state.recorded, state.delivered, state.skipped, state.dropped, state.dead) == (9, 1, 2, 1, 1)
        assert (state.backlog, state.retried, state.retry_at, state.failures, state.problem) == (
            4,
            1,
            NOW + 7,
            3,
            "503",
        )
        assert claim_ids(store, "b", held) == list("5678")
        store.delivery.settle("b", held, Settled(upto=store.log.head(), delivered=4), now=NOW)
        state = store.delivery.state("b")
        assert (state.backlog, state.retry_at, state.failures, state.problem) == (0, None, 0, None)
        assert_adds_up(store)

    def test_registering_again_moves_no_cursor(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one")]))
        store.outbox.register(["b", "late"], now=NOW + 1)
        held = lease(store)
        assert (claim_ids(store, "b", held), claim_ids(store, "late", held)) == (["one"], [])
        assert_adds_up(store)

    def test_lost_lease_settles_nothing(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one")]))
        slept = lease(store)
        assert claim_ids(store, "b", slept) == ["one"]
        assert store.leases.acquire("dispatcher", "two", now=NOW + 30_000, until=NOW + 60_000) is not None
        before = store.stats()
        with pytest.raises(LeaseLost):
            store.delivery.settle("b", slept, Settled(upto=Position(1), dead=[(event("one"), "no", None)]), now=NOW)
        with pytest.raises(LeaseLost):
            store.delivery.claim("b", slept, until=NOW + 90_000, limit=1, now=NOW)
        assert store.stats() == before
        held = store.leases.holder("dispatcher")
        assert held is not None
        assert (held.holder, held.until) == ("two", NOW + 60_000)

    def test_a_claim_renews_the_lease(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        held = lease(store)
        store.delivery.claim("b", held, until=NOW + 99_000, limit=1, now=NOW)
        assert store.leases.acquire("dispatcher", "two", now=NOW + 98_999, until=NOW + 200_000) is None

    def test_a_settlement_is_taken_once(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two")]))
        held = lease(store)
        first, second = store.delivery.claim("b", held, until=NOW, limit=2, now=NOW).events
        store.delivery.settle("b", held, Settled(upto=second.position, delivered=2), now=NOW)
        with pytest.raises(LeaseLost):
            store.delivery.settle("b", held, Settled(upto=first.position, delivered=1), now=NOW)
        assert_adds_up(store)

    # --- events that are too old for the receiver

    def test_expired_events_are_counted_apart(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW, oldest_accepted={"b": 86_400_000})
        save(store, Batch(events=[event("one"), event("two"), event("three")]))
        held = lease(store)
        claimed = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).events
        settled = Settled(upto=claimed[1].position, expired=1, dead=[(claimed[1], "bad", 400)])
        store.delivery.settle("b", held, settled, now=NOW)
        state = store.delivery.state("b")
        assert (state.expired, state.dead, state.backlog, state.oldest_accepted) == (1, 1, 1, 86_400_000)
        store.outbox.requeue("b", event_ids=None, limit=9, now=NOW + 1)
        store.delivery.claim_requeued("b", held, until=NOW, limit=9, now=NOW)
        store.delivery.settle_requeued("b", held, Resettled(expired=["two"]), now=NOW)
        state = store.delivery.state("b")
        assert (state.expired, state.dead, state.settled) == (2, 0, 2)
        assert store.outbox.letters("b", after=0, limit=9) == []
        assert_adds_up(store)

    def test_registering_again_takes_the_limit_of_today(self, store: Store) -> None:
        for oldest in ({"b": 5}, {"b": 7, "c": 9}, {}):
            store.outbox.register(["b"], now=NOW, oldest_accepted=oldest)
            assert store.delivery.state("b").oldest_accepted == oldest.get("b")

    def test_a_claim_names_the_sessions_whose_start_was_not_sent(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[started("s"), started("t")]))
        held = lease(store)
        claimed = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW)
        settled = Settled(upto=claimed.events[-1].position, expired=1, delivered=1, withheld=["s"])
        store.delivery.settle("b", held, settled, now=NOW)
        ends = [event(f"end-{key}", key, name=SESSION_END) for key in ("s", "t")]
        save(store, Batch(events=[*ends, event("page", "s")]))
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW)
        assert (claim.withheld, len(claim.events)) == (frozenset({"s"}), 3)

    # --- batches that were sent and not confirmed

    def test_a_claim_after_noted_batches_is_of_their_events_whatever_the_limit(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two"), event("three")]))
        held = lease(store)
        claim = store.delivery.claim("b", held, until=NOW, limit=2, now=NOW, with_batches=True)
        assert (claim.in_flight, claim.upto) == (InFlight(), None)
        noted = InFlight((SentBatch("1", ("one",)), SentBatch("2", ("two",))), ("zero",))
        store.delivery.note_batches("b", held, noted, upto=claim.events[-1].position)
        for limit in (1, 99):
            again = store.delivery.claim("b", held, until=NOW, limit=limit, now=NOW, with_batches=True)
            assert [each.id for each in again.events] == ["one", "two"]
            assert (again.in_flight, again.upto) == (noted, claim.events[-1].position)
        plain = store.delivery.claim("b", held, until=NOW, limit=99, now=NOW)
        assert (len(plain.events), plain.in_flight, plain.upto) == (3, InFlight(), None)

    def test_a_settlement_says_what_is_still_in_flight(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two"), event("three")]))
        held = lease(store)
        first, second, _ = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_batches=True).events
        left = InFlight((SentBatch("2", ("two",)),))
        store.delivery.note_batches("b", held, left, upto=second.position)
        store.delivery.settle("b", held, Settled(upto=first.position, delivered=1, in_flight=left), now=NOW)
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_batches=True)
        assert ([each.id for each in claim.events], claim.in_flight) == (["two"], left)
        store.delivery.settle("b", held, Settled(upto=second.position, delivered=1), now=NOW)
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_batches=True)
        assert ([each.id for each in claim.events], claim.in_flight) == (["three"], InFlight())
        assert_adds_up(store)

    def test_skipped_batches_hold_nothing_back(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two")]))
        held = lease(store)
        claim = store.delivery.claim("b", held, until=NOW, limit=1, now=NOW, with_batches=True)
        store.delivery.note_batches("b", held, InFlight((SentBatch("1", ("one",)),)), upto=claim.events[-1].position)
        store.outbox.skip_waiting("b", upto=claim.events[-1].position, limit=9)
        again = store.leases.acquire(held.name, held.holder, now=NOW, until=NOW + 1)
        assert again is not None
        claim = store.delivery.claim("b", again, until=NOW, limit=9, now=NOW, with_batches=True)
        assert ([each.id for each in claim.events], claim.in_flight) == (["two"], InFlight())

    def test_batches_are_noted_under_a_lease(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, Batch(events=[event("one")]))
        held = lease(store)
        claim = store.delivery.claim("b", held, until=NOW, limit=1, now=NOW, with_batches=True)
        other = store.leases.acquire(held.name, "other", now=held.until + 1, until=held.until + 9)
        assert other is not None
        with pytest.raises(LeaseLost):
            store.delivery.note_batches("b", held, InFlight(), upto=claim.events[-1].position)
        with pytest.raises(LeaseLost):
            store.delivery.claim("b", held, until=NOW, limit=1, now=NOW, with_batches=True)

    # --- leases

    def test_a_lease_has_one_holder_at_a_time(self, store: Store) -> None:
        first = lease(store, now=NOW)
        assert store.leases.acquire("dispatcher", "two", now=NOW + 29_999, until=NOW + 99_999) is None
        assert store.leases.holder("dispatcher") == first
        second = store.leases.acquire("dispatcher", "two", now=NOW + 30_000, until=NOW + 99_999)
        assert second is not None
        assert second.token > first.token
        assert store.leases.holder("dispatcher") == second
        assert store.leases.acquire("other", "one", now=NOW, until=NOW + 1) is not None

    def test_a_holder_renews_its_lease_and_keeps_the_token(self, store: Store) -> None:
        first = lease(store)
        again = store.leases.acquire("dispatcher", "one", now=NOW + 5, until=NOW + 60_000)
        assert again == Lease(name="dispatcher", holder="one", token=first.token, until=NOW + 60_000)
        late = store.leases.acquire("dispatcher", "one", now=NOW + 90_000, until=NOW + 120_000)
        assert late is not None
        assert late.token == first.token, "it had no other holder in between"

    def test_the_lease_of_a_dead_holder_passes_at_once(self, store: Store) -> None:
        first = lease(store)
        assert store.leases.acquire("dispatcher", "two", now=NOW, until=NOW + 1, dead=["three"]) is None
        second = store.leases.acquire("dispatcher", "two", now=NOW, until=NOW + 1, dead=["three", "one"])
        assert second is not None
        assert second.token > first.token

    def test_released_leases_pass_at_once_with_a_new_token(self, store: Store) -> None:
        first = lease(store)
        lease(store, "recorder")
        kept = lease(store, "kept", "two")
        store.leases.release("one")
        assert (store.leases.holder("dispatcher"), store.leases.holder("recorder"), store.leases.holder("kept")) == (
            None,
            None,
            kept,
        )
        again = lease(store, "dispatcher", "one")
        assert again.token > first.token
