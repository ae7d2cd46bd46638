"""What every store must keep to for those who leave: tombstones, what is barred then, and what is erased."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from sojourn.core.events import SESSION_END, SESSION_START, START
from sojourn.core.ids import start_id
from sojourn.stores.model import (
    SESSION,
    USER,
    VISITOR,
    Batch,
    DataSubject,
    Place,
    PositionMoved,
    Settled,
    Slice,
    Tombstone,
)
from sojourn.stores.protocol import Store

from .steps import NOW, assert_adds_up, claim_ids, ended, event, lease, load, mark, row, save, tombstones

ANNA = DataSubject(VISITOR, "anna's browser")
USER_7 = DataSubject(USER, "7")


def erase(store: Store, person: DataSubject, *, at: int = NOW, limit: int = 100) -> list[Slice]:
    """Erase to the end, and return what the slices reported."""
    upto = store.data_subjects.add_tombstone(person, at=at)
    done = [store.data_subjects.erase(person, at=at, upto=upto, after=Place(0), limit=limit)]
    while (after := done[-1].after) is not None:
        done.append(store.data_subjects.erase(person, at=at, upto=upto, after=after, limit=limit))
    return done


def of_anna(key: str, *events: str) -> Batch:
    """A session of Anna's browser, and events in it."""
    hers = row(key)
    hers.visitor_id = ANNA.id
    return Batch(rows=[hers], events=[event(each, key) for each in events])


def of_user(key: str, *events: str) -> Batch:
    """A session of user 7, and events in it."""
    theirs = row(key)
    theirs.user_id = USER_7.id
    return Batch(rows=[theirs], events=[event(each, key) for each in events])


class DataSubjectsContract:
    """Part of `StoreContract`, which has the fixture."""

    # --- tombstones

    def test_tombstone_is_found_by_its_person(self, store: Store) -> None:
        assert tombstones(store, ANNA) == {}
        store.data_subjects.add_tombstone(ANNA, at=NOW)
        namesake = DataSubject(USER, ANNA.id)
        assert tombstones(store, ANNA, USER_7, namesake) == {ANNA: Tombstone(at=NOW)}

    def test_of_two_tombstones_the_later_holds_and_for_good_stays_for_good(self, store: Store) -> None:
        store.data_subjects.add_tombstone(ANNA, at=NOW)
        store.data_subjects.add_tombstone(ANNA, at=NOW - 5)
        assert tombstones(store, ANNA) == {ANNA: Tombstone(at=NOW)}
        save(store, Batch(opted_out={ANNA.id: NOW - 9}))
        assert tombstones(store, ANNA) == {ANNA: Tombstone(at=NOW, is_for_good=True)}
        store.data_subjects.add_tombstone(ANNA, at=NOW + 5)
        assert tombstones(store, ANNA) == {ANNA: Tombstone(at=NOW + 5, is_for_good=True)}

    def test_a_batch_that_is_rolled_back_leaves_no_tombstone(self, store: Store) -> None:
        with pytest.raises(PositionMoved):
            save(store, Batch(opted_out={ANNA.id: NOW}, marks=[(mark("j", 9), 5)]))
        assert tombstones(store, ANNA) == {}

    def test_retention_keeps_an_opt_out_and_forgets_an_erasure(self, store: Store) -> None:
        save(store, Batch(opted_out={ANNA.id: NOW}))
        store.data_subjects.add_tombstone(USER_7, at=NOW)
        store.maintenance.expire(older_than=NOW, limit=10, now=NOW)
        assert set(tombstones(store, ANNA, USER_7)) == {ANNA, USER_7}
        store.maintenance.expire(older_than=NOW + 1, limit=10, now=NOW)
        assert set(tombstones(store, ANNA, USER_7)) == {ANNA}

    # --- what is barred

    def test_all_of_the_visitor_is_barred_from_the_opt_out_on(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, of_anna("earlier", "1"))
        save(store, Batch(rows=[row("other")], events=[event("2", "other")]))
        hers = of_anna("now", "3")
        save(store, Batch(rows=hers.rows, events=hers.events, opted_out={ANNA.id: NOW}))
        save(store, Batch(events=[event("4", "earlier"), event("5", "other"), event("6", "unknown")]))
        assert store.delivery.claim("b", lease(store), until=NOW, limit=10, now=NOW).barred == {"1", "3", "4"}
        assert {row.is_suppressed for row in load(store, "earlier", "now").rows.values()} == {True}
        assert not load(store, "other").rows["other"].is_suppressed

    def test_a_barred_session_that_is_saved_again_stays_barred(self, store: Store) -> None:
        save(store, of_anna("k", "1"))
        save(store, Batch(opted_out={ANNA.id: NOW}))
        with store.records.recording() as recording:
            again = recording.load(["k"]).rows["k"]
            again.end_event_id = "end"
            recording.save(Batch(rows=[again]))
        assert load(store, "k").rows["k"].is_suppressed

    def test_a_barred_end_comes_with_the_start_that_this_backend_was_given(self, store: Store) -> None:
        store.outbox.register(["b", "slow"], now=NOW)
        held, slow = lease(store), lease(store, "slow dispatcher")
        first = of_anna("k", "view")
        save(store, Batch(rows=first.rows, events=[event("start", "k", name=SESSION_START), *first.events]))
        start = store.delivery.claim("b", held, until=NOW, limit=1, now=NOW).events[0]
        store.delivery.settle("b", held, Settled(upto=start.position, delivered=1), now=NOW)
        save(store, Batch(events=[event("end", "k", name=SESSION_END)], opted_out={ANNA.id: NOW}))
        given = store.delivery.claim("b", held, until=NOW, limit=10, now=NOW)
        assert given.barred == {"view", "end"}
        assert {key: each.id for key, each in given.started.items()} == {"k": "start"}
        assert store.delivery.claim("slow", slow, until=NOW, limit=10, now=NOW).started == {}, (
            "it has not gone there yet"
        )

    def test_suppressed_people_have_no_context(self, store: Store) -> None:
        """Neither does an erased session: its start is gone."""
        store.outbox.register(["b"], now=NOW)
        hers = of_anna("k", "view")
        start = event(start_id("k"), "k", name=SESSION_START)
        start = msgspec.structs.replace(start, attributes={**start.attributes, "client.address": "192.0.2.0"})
        save(store, Batch(rows=hers.rows, events=[start, *hers.events]))
        held = lease(store)
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_contexts=True)
        assert claim.contexts == {"k": {"client.address": "192.0.2.0"}}
        store.data_subjects.add_tombstone(ANNA, at=NOW)
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_contexts=True)
        assert claim.barred == {start.id, "view"}
        assert claim.contexts == {}
        erase(store, ANNA)
        save(store, Batch(rows=hers.rows, events=[event("again", "k")]))
        claim = store.delivery.claim("b", held, until=NOW, limit=9, now=NOW, with_contexts=True)
        assert ([each.id for each in claim.events], claim.contexts) == (["again"], {})

    def test_a_start_that_was_withheld_was_not_given(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        held = lease(store)
        first = of_anna("k")
        save(store, Batch(rows=first.rows, events=[event("start", "k", name=SESSION_START)], opted_out={ANNA.id: NOW}))
        (start,) = store.delivery.claim("b", held, until=NOW, limit=10, now=NOW).events
        store.delivery.settle("b", held, Settled(upto=start.position, skipped=1, withheld=["k"]), now=NOW)
        save(store, Batch(events=[event("end", "k", name=SESSION_END)]))
        claim = store.delivery.claim("b", held, until=NOW, limit=10, now=NOW)
        assert claim.barred == {"end"}
        assert claim.started == {}
        store.maintenance.expire(older_than=NOW - 1, limit=10, now=NOW)
        assert store.delivery.claim("b", held, until=NOW, limit=10, now=NOW).started == {}, (
            "retention does not forget it"
        )

    def test_a_start_from_before_the_backend_was_added_was_not_given(self, store: Store) -> None:
        first = of_anna("k")
        save(store, Batch(rows=first.rows, events=[event("start", "k", name=SESSION_START)]))
        store.outbox.register(["late"], now=NOW)
        save(store, Batch(events=[event("end", "k", name=SESSION_END)], opted_out={ANNA.id: NOW}))
        assert store.delivery.claim("late", lease(store), until=NOW, limit=10, now=NOW).started == {}

    def test_retention_keeps_a_barred_session_while_its_events_wait(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        hers = of_anna("k", "view", "gone")
        save(store, Batch(rows=[ended(each, "e") for each in hers.rows], events=hers.events, opted_out={ANNA.id: NOW}))
        store.maintenance.expire(older_than=NOW + 1, limit=10, now=NOW)
        held = lease(store)
        claim = store.delivery.claim("b", held, until=NOW, limit=10, now=NOW)
        assert claim.barred == {"view", "gone"}
        store.delivery.settle("b", held, Settled(upto=claim.events[-1].position, skipped=2), now=NOW)
        for _ in range(2):
            store.maintenance.expire(older_than=NOW + 1, limit=10, now=NOW)
        assert (store.stats().sessions, store.stats().events) == (0, 0)

    def test_a_session_that_begins_anew_after_an_erasure_is_not_withheld(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        held = lease(store)
        start, end = event("start", "k", name=SESSION_START), event("end", "k", name=SESSION_END)
        save(store, Batch(rows=of_anna("k").rows, events=[start]))
        store.data_subjects.add_tombstone(ANNA, at=NOW)
        (claimed,) = store.delivery.claim("b", held, until=NOW, limit=10, now=NOW).events
        store.delivery.settle("b", held, Settled(upto=claimed.position, skipped=1, withheld=["k"]), now=NOW)
        erase(store, ANNA)
        save(store, Batch(rows=of_anna("k").rows, events=[start]))
        (claimed,) = store.delivery.claim("b", held, until=NOW, limit=10, now=NOW).events
        store.delivery.settle("b", held, Settled(upto=claimed.position, delivered=1), now=NOW)
        save(store, Batch(events=[end], opted_out={ANNA.id: NOW}))
        assert set(store.delivery.claim("b", held, until=NOW, limit=10, now=NOW).started) == {"k"}

    # --- erasing

    @pytest.mark.parametrize("limit", [pytest.param(100, id="in one slice"), pytest.param(1, id="in many slices")])
    def test_all_of_a_visitor_goes_and_nothing_of_another(self, store: Store, limit: int) -> None:
        save(store, of_anna("a", "1", "2"))
        save(store, of_anna("b", "3"))
        save(store, Batch(rows=[row("other")], events=[event("4", "other")]))
        done = erase(store, ANNA, limit=limit)
        assert (sum(each.sessions for each in done), sum(each.events for each in done)) == (2, 3)
        assert all(each.sessions + each.events + each.dead_letters <= limit for each in done)
        assert set(load(store, "a", "b", "other").rows) == {"other"}
        stats = store.stats()
        assert (stats.sessions, stats.events) == (1, 1)
        counters = {name: count for name, count in stats.counters.items() if "erased" in name}
        assert counters == {"sessions.erased": 2, "sessions.erased_open": 2, "events.erased": 3}
        assert erase(store, ANNA)[0] == Slice(after=Place(1, START.stored)), "nothing is left for a second time"

    def test_a_user_goes_with_their_sessions_and_leaves_those_of_the_same_visitor(self, store: Store) -> None:
        save(store, of_user("theirs", "1"))
        save(store, Batch(rows=[row("before they logged in")]))
        erase(store, USER_7, at=NOW)
        assert set(load(store, "theirs", "before they logged in").rows) == {"before they logged in"}
        theirs, other = DataSubject(SESSION, "theirs"), DataSubject(SESSION, "before they logged in")
        assert tombstones(store, USER_7, theirs, other) == {USER_7: Tombstone(at=NOW), theirs: Tombstone(at=NOW)}

    def test_sessions_that_are_not_recorded_yet_get_tombstones(self, store: Store) -> None:
        store.data_subjects.add_session_tombstones(["1", "2"], at=NOW)
        store.data_subjects.add_session_tombstones(["2"], at=NOW - 5)
        one, two, three = (DataSubject(SESSION, key) for key in "123")
        assert tombstones(store, one, two, three) == {one: Tombstone(at=NOW), two: Tombstone(at=NOW)}

    def test_aliases_of_a_user_s_sessions_go_and_get_tombstones_too(self, store: Store) -> None:
        save(store, replace(of_user("one", "e"), aliases=[("alias", "one", NOW), ("theirs", "other", NOW)]))
        erase(store, USER_7)
        with store.records.recording() as recording:
            assert recording.load(["alias", "theirs"], reads_aliases=True).aliases == {"theirs": "other"}
        alias = DataSubject(SESSION, "alias")
        assert tombstones(store, alias, DataSubject(SESSION, "theirs")) == {alias: Tombstone(at=NOW, is_for_good=False)}

    def test_events_that_name_a_person_go_though_the_session_is_another_s(self, store: Store) -> None:
        save(store, Batch(rows=[row("k")], events=[event("hers", "k"), event("theirs", "k", user_id="7")]))
        save(store, Batch(events=[event("of a session that is gone", "gone", user_id="7")]))
        done = erase(store, USER_7, limit=2)
        assert (sum(each.sessions for each in done), sum(each.events for each in done)) == (0, 2)
        assert store.stats().events == 1
        assert set(load(store, "k").rows) == {"k"}

    def test_an_erasure_ends_where_the_log_ended_when_it_began(self, store: Store) -> None:
        save(store, Batch(events=[event("1", user_id="7")]))
        upto = store.data_subjects.add_tombstone(USER_7, at=NOW)
        save(store, Batch(events=[event("came back", user_id="7")]))
        place: Place | None = Place(0)
        while place is not None:
            place = store.data_subjects.erase(USER_7, at=NOW, upto=upto, after=place, limit=1).after
        assert store.stats().events == 1

    def test_what_was_to_be_erased_is_barred_at_once(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, of_anna("k", "1"))
        save(store, of_user("u", "2"))
        store.data_subjects.add_tombstone(ANNA, at=NOW)
        store.data_subjects.add_tombstone(USER_7, at=NOW)
        assert store.delivery.claim("b", lease(store), until=NOW, limit=10, now=NOW).barred == {"1", "2"}

    def test_figures_add_up_after_an_erasure_that_reports_forwarded_events(self, store: Store) -> None:
        save(store, of_anna("k", "before the backend"))
        store.outbox.register(["b", "idle"], now=NOW)
        save(store, Batch(events=[event(each, "k") for each in ("sent", "refused", "claimed", "unread")]))
        held = lease(store)
        sent, refused = store.delivery.claim("b", held, until=NOW, limit=2, now=NOW).events
        store.delivery.settle(
            "b", held, Settled(upto=refused.position, delivered=1, dead=[(refused, "no", 400)]), now=NOW
        )
        assert claim_ids(store, "b", held, limit=1) == ["claimed"]
        done = erase(store, ANNA)
        assert done[0].forwarded == {"b": len(["sent", "claimed"]), "idle": 0}
        assert done[0].dead_letters == 1
        states = {state.name: state for state in store.stats().backends}
        assert (states["b"].delivered, states["b"].dead, states["b"].skipped, states["b"].backlog) == (1, 1, 2, 0)
        assert (states["idle"].skipped, states["idle"].backlog) == (4, 0)
        assert_adds_up(store)
        assert not store.log.has_passed(sent.position, refused.position)

    @pytest.mark.parametrize("share", [1, 2, 3])
    def test_what_is_erased_while_a_backend_takes_it_counts_once(self, store: Store, share: int) -> None:
        store.outbox.register(["b"], now=NOW)
        save(store, of_anna("k", "1", "2"))
        save(store, Batch(rows=[row("other")], events=[event("3", "other"), event("4", "other")]))
        held = lease(store)
        claimed = store.delivery.claim("b", held, until=NOW, limit=3, now=NOW).events
        erase(store, ANNA)
        assert_adds_up(store)
        store.delivery.settle("b", held, Settled(upto=claimed[share - 1].position, delivered=share), now=NOW)
        assert_adds_up(store)
        state = store.delivery.state("b")
        assert (state.delivered, state.skipped) == (share, 2 - min(share, 2))

    def test_dead_letters_that_outlived_their_events_go_too(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        hers = event("hers", "k", visitor_id=ANNA.id)
        save(store, Batch(events=[hers, event("other")]))
        held = lease(store)
        letters = [(each, "no", 400) for each in store.delivery.claim("b", held, until=NOW, limit=9, now=NOW).events]
        store.delivery.settle("b", held, Settled(upto=store.log.head(), dead=letters), now=NOW)
        while store.maintenance.expire(older_than=NOW, limit=1, now=NOW):
            pass
        done = erase(store, ANNA, limit=1)
        assert sum(each.dead_letters for each in done) == 1
        assert store.stats().counters["dead_letters.erased"] == 1
        assert_adds_up(store)
