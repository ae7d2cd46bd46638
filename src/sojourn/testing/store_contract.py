"""What every store must keep to, as tests to inherit. Knows only the `Store` protocol.

class TestMyStore(StoreContract):
    def make_store(self, tmp_path: Path) -> Store:
        return MyStore(...)                 # an empty one
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sojourn.core import events as names
from sojourn.core.events import Event
from sojourn.core.session import EndReason
from sojourn.stores.protocol import Batch, Lease, LeaseLost, Loaded, Mark, PositionMoved, Settled, Store
from sojourn.stores.rows import SessionRow

NOW = 1_769_860_800_000  # 2026-01-31T12:00:00Z
_DAY = 24 * 3_600_000


def row(key: str, at: int = NOW, *, seen: int | None = None, previous: str | None = None) -> SessionRow:
    """Return an open session that began and was last seen at these times."""
    last = at if seen is None else seen
    return SessionRow(
        key=key,
        session_id=f"id-{key}",
        visitor_id="visitor",
        is_manual=False,
        started_at=at,
        last_seen_at=last,
        activity=[last],
        anchor=at,
        previous_key=previous,
    )


def ended(session: SessionRow, event_id: str) -> SessionRow:
    """End this session, in place."""
    session.end_reason, session.end_event_id = EndReason.IDLE_TIMEOUT, event_id
    return session


def event(event_id: str, key: str = "s", at: int = NOW, name: str = names.PAGE_VIEW) -> Event:
    """Return an event as the fold makes it."""
    return Event(
        id=event_id,
        name=name,
        time=at,
        session_id=f"id-{key}",
        session_key=key,
        session_started_at=at,
        visitor_id="visitor",
        previous_id="id-before",
        user_id="anna",
        attributes={
            "session.id": f"id-{key}",
            "visitor.id": "visitor",
            "session.previous_id": "id-before",
            "user.id": "anna",
            "url.path": "/Straße/日本",
            "duration_ms": 0.1,
            "event_properties.n": 2**53 + 1,
            "event_properties.gift": True,
        },
    )


def mark(journal: str, position: int, *, recorded_until: int = NOW, heard_at: int | None = None) -> Mark:
    return Mark(
        journal=journal,
        position=position,
        recorded_until=recorded_until,
        heard_at=heard_at,
        totals={"records.accepted": position},
    )


def save(store: Store, batch: Batch) -> None:
    with store.recording() as recording:
        recording.save(batch)


def load(store: Store, *keys: str, successors_of: Sequence[str] = ()) -> Loaded:
    with store.recording() as recording:
        return recording.load(keys, successors_of=successors_of)


def silent(
    store: Store, *, seen: int, started: int | None = None, limit: int = 10, manual: int | None = None
) -> list[str]:
    with store.recording() as recording:
        found = recording.silent(seen_before=seen, started_before=started, limit=limit, manual_seen_before=manual)
    return list(found.rows)


def lease(store: Store, name: str = "courier", holder: str = "one", *, now: int = NOW) -> Lease:
    acquired = store.acquire(name, holder, now=now, until=now + 30_000)
    assert acquired is not None
    return acquired


def claim_ids(store: Store, name: str, held: Lease, *, limit: int = 100) -> list[str]:
    return [each.id for each in store.claim(name, held, until=NOW + 30_000, limit=limit, now=NOW).events]


def assert_adds_up(store: Store) -> None:
    """Check that of each backend every recorded event is somewhere, once."""
    for state in store.stats().backends:
        somewhere = state.delivered + state.dead + state.skipped + state.dropped + state.backlog
        assert state.recorded == somewhere, state
        assert store.backend(state.name) == state


class StoreContract:
    """Inherit from it in a class whose name begins with `Test`, and override `make_store`."""

    def make_store(self, tmp_path: Path) -> Store:
        """Return a new, empty store."""
        raise NotImplementedError("override make_store(self, tmp_path)")

    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        store = self.make_store(tmp_path)
        store.open()
        yield store
        store.close()

    # --- sessions

    def test_a_row_comes_back_as_it_was_saved(self, store: Store) -> None:
        full = SessionRow(
            key="k",
            session_id="1234567890",
            visitor_id="v",
            is_manual=True,
            started_at=NOW,
            last_seen_at=NOW + 5,
            activity=[NOW + 5, NOW],
            previous_key="p",
            previous_id="pid",
            previous_reason=EndReason.USER_CHANGED,
            previous_seen_at=NOW - 9,
            sealed_at=NOW + 7,
            sealed_reason=EndReason.ENDED,
            sealed_seen_at=NOW + 5,
            end_reason=EndReason.MAX_DURATION,
            end_revision=2,
            end_event_id="e",
            anchor=NOW,
            slot=4,
            user_id="null",
            user_name="true",
            user_traits={"plan": "1", "age": 41, "share": 0.5, "paid": False},
            user_at=NOW + 1,
            user_rid="r:1",
            is_user_explicit=True,
            is_user_inherited=True,
            is_tagged=True,
            tagged_at=NOW + 2,
            tagged_rid="r:2",
            requests=1,
            page_views=2,
            errors=3,
            events=4,
            late=5,
            user_conflicts=6,
            entry_path="/'\"\\\n",
            referrer="https://search.example/",
            user_agent="Mozilla/5.0 (\x1b[2J)",
            client_address="2001:db8::",
            service_name="shop",
            service_version="1",
            environment="test",
            origin_at=NOW,
            origin_rid="r:0",
            no_forward=True,
        )
        save(store, Batch(rows=[full, row("plain")]))
        assert load(store, "k", "plain", "unknown").rows == {"k": full, "plain": row("plain")}

    @pytest.mark.parametrize("change", SessionRow.__struct_fields__[1:])
    def test_every_field_of_a_row_can_change(self, store: Store, change: str) -> None:
        others: dict[type, object] = {bool: True, int: NOW + 99, str: "other", list: [1], dict: {"a": 1}}
        reasons = ("previous_reason", "sealed_reason", "end_reason")
        save(store, Batch(rows=[row("k")]))
        with store.recording() as recording:
            changed = recording.load(["k"]).rows["k"]
            before = getattr(changed, change)
            kind = dict if change == "user_traits" else str if before is None else type(before)
            value = EndReason.ENDED if change in reasons else NOW if change == "sealed_at" else others[kind]
            setattr(changed, change, value)
            recording.save(Batch(rows=[changed]))
        assert getattr(load(store, "k").rows["k"], change) == value
        assert load(store, "k").rows["k"] == changed

    def test_traits_changed_in_place_are_saved(self, store: Store) -> None:
        tagged = row("k")
        tagged.user_traits = {"plan": "free"}
        save(store, Batch(rows=[tagged]))
        with store.recording() as recording:
            found = recording.load(["k"]).rows["k"]
            assert found.user_traits is not None
            found.user_traits["plan"] = "team"
            recording.save(Batch(rows=[found]))
        assert load(store, "k").rows["k"].user_traits == {"plan": "team"}

    def test_what_a_transaction_saved_it_loads_again(self, store: Store) -> None:
        with store.recording() as recording:
            recording.save(Batch(rows=[row("k")]))
            assert recording.load(["k"]).rows["k"] == row("k")

    def test_the_last_save_of_a_transaction_holds(self, store: Store) -> None:
        save(store, Batch(rows=[row("k")]))
        with store.recording() as recording:
            again = recording.load(["k"]).rows["k"]
            again.user_id = "anna"
            recording.save(Batch(rows=[again]))
            again.user_id, again.requests = None, 3
            recording.save(Batch(rows=[again]))
        assert load(store, "k").rows["k"] == again

    def test_successors_are_loaded_however_many_sessions_later(self, store: Store) -> None:
        chain = [row("a"), row("b", previous="a"), row("c", previous="b"), row("d", previous="c"), row("x")]
        save(store, Batch(rows=chain))
        assert set(load(store, successors_of=["a"]).rows) == {"b", "c", "d"}
        assert set(load(store, "a", "x", successors_of=["c", "b"]).rows) == {"a", "x", "c", "d"}
        assert set(load(store, successors_of=["d", "unknown"]).rows) == set()

    def test_a_failed_block_leaves_nothing(self, store: Store) -> None:
        batch = Batch(rows=[row("k")], events=[event("e")], counts={"n": 1}, marks=[(mark("j", 9), 0)])

        def save_and_fail() -> None:
            with store.recording() as recording:
                recording.save(batch)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            save_and_fail()
        assert (load(store, "k").rows, store.marks(), store.head()) == ({}, {}, 0)
        assert store.stats().counters == {}

    def test_silent_gives_open_sessions_longest_silent_first(self, store: Store) -> None:
        rows = [row(str(n), NOW - n, seen=NOW + (n * 7) % 5) for n in range(5)]
        save(store, Batch(rows=[*rows, ended(row("ended", NOW - 9), "e")]))
        expected = [each.key for each in sorted(rows, key=lambda each: each.last_seen_at)]
        assert silent(store, seen=NOW + 9) == expected
        assert silent(store, seen=NOW + 9, limit=2) == expected[:2]
        assert silent(store, seen=NOW + 1) == expected[:2], "inclusive"

    def test_silent_gives_sessions_that_are_too_long(self, store: Store) -> None:
        save(store, Batch(rows=[row("long", NOW - 100, seen=NOW), row("short", NOW - 99, seen=NOW)]))
        assert silent(store, seen=NOW - 50, started=NOW - 100) == ["long"]
        assert silent(store, seen=NOW - 50) == []
        assert silent(store, seen=NOW, started=NOW) == ["long", "short"], "what is over twice is there once"

    def test_manual_sessions_have_a_silence_of_their_own(self, store: Store) -> None:
        manual = [row(f"m{n}", NOW - 100 + n) for n in range(3)]
        for each in manual:
            each.is_manual = True
        save(store, Batch(rows=[*manual, row("a", NOW - 50)]))
        assert len(silent(store, seen=NOW)) == 4
        assert silent(store, seen=NOW, started=NOW, manual=NOW - 101, limit=3) == ["a"]
        assert silent(store, seen=NOW, manual=NOW - 100) == ["m0", "a"]

    # --- the event log

    def test_an_event_comes_back_as_it_was_saved_with_its_place(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two")]))
        found = store.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert [each.id for each in found] == ["one", "two"]
        assert 0 < found[0].seq < found[1].seq == store.head()
        for got, given in zip(found, (event("one"), event("two")), strict=True):
            assert {**_fields(got), "seq": 0} == _fields(given)

    def test_the_log_takes_an_id_once_and_counts_what_it_took(self, store: Store) -> None:
        store.register(["b"], now=NOW)
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
            pytest.param("'); DROP TABLE events; --", id="SQL"),
            pytest.param("x" * 100_000, id="long"),
        ],
    )
    def test_hostile_text_never_stops_a_batch(self, store: Store, text: str) -> None:
        store.register(["b"], now=NOW)
        hostile = row("k")
        hostile.user_agent, hostile.user_id, hostile.user_traits = text, text, {text: text}
        odd = event("odd")
        attributes = {**odd.attributes, text: text, "user.id": text}
        odd = Event(**{**_fields(odd), "attributes": attributes, "user_id": text})  # type: ignore[arg-type]
        save(store, Batch(rows=[hostile, row("other")], events=[odd, event("other")], counts={text: 1}))
        kept = text.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")
        found = load(store, "k", "other").rows
        assert (found["k"].user_agent, found["k"].user_id, found["k"].user_traits) == (kept, kept, {kept: kept})
        first, second = store.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert (first.user_id, first.attributes[kept], second.id) == (kept, kept, "other")
        store.settle("b", lease(store), Settled(upto=first.seq, dead=[(odd, text, None)], problem=text), now=NOW)
        assert store.backend("b").problem == kept

    def test_numbers_that_json_does_not_have_are_left_out(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        odd = event("odd")
        attributes = {**odd.attributes, "nan": float("nan"), "infinite": float("-inf"), "big": 2**80}
        odd = Event(**{**_fields(odd), "attributes": attributes})  # type: ignore[arg-type]
        save(store, Batch(events=[odd]))
        (found,) = store.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert found.attributes == {**event("odd").attributes, "big": 2**80}

    def test_what_is_for_the_own_store_only_is_told_to_the_courier(self, store: Store) -> None:
        hidden = row("hidden")
        hidden.no_forward = True
        store.register(["b"], now=NOW)
        save(store, Batch(rows=[hidden, row("open")], events=[event("1", "hidden"), event("2", "open")]))
        save(store, Batch(events=[event("3", "hidden"), event("4", "unknown")]))
        assert store.claim("b", lease(store), until=NOW, limit=10, now=NOW).no_forward == {"1", "3"}

    # --- ends that nobody has read

    def test_an_end_is_unread_until_a_backend_claims_it(self, store: Store) -> None:
        store.register(["b", "idle"], now=NOW)
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
        store.register(["b"], now=NOW)
        assert load(store, "k").unread == frozenset()
        assert claim_ids(store, "b", lease(store)) == []
        assert_adds_up(store)

    def test_a_withdrawn_end_leaves_log_and_figures(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(rows=[ended(row("k"), "end")], events=[event("first"), event("end")]))
        save(store, Batch(rows=[row("k")], withdrawn=["end", "never there"]))
        assert claim_ids(store, "b", lease(store)) == ["first"]
        assert store.stats().counters["events.recorded"] == 1
        assert_adds_up(store)

    def test_an_end_withdrawn_and_made_again_in_one_batch_stands_last(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event("end")]))
        before = store.head()
        save(store, Batch(events=[event("view"), event("end", at=NOW + 5)], withdrawn=["end"]))
        found = store.claim("b", lease(store), until=NOW, limit=10, now=NOW).events
        assert [(each.id, each.time) for each in found] == [("view", NOW), ("end", NOW + 5)]
        assert found[0].seq > before, "a place in the log is never given twice"
        assert_adds_up(store)

    # --- positions

    def test_marks_are_kept(self, store: Store) -> None:
        marks = [mark("a", 5, heard_at=NOW + 1), mark("b", 7, recorded_until=NOW - 9, heard_at=NOW)]
        save(store, Batch(marks=[(each, 0) for each in marks]))
        assert store.marks() == {each.journal: each for each in marks}
        save(store, Batch(marks=[(mark("a", 6, heard_at=NOW), 5)]))
        assert store.marks() == {"a": mark("a", 6, heard_at=NOW), "b": marks[1]}

    @pytest.mark.parametrize(
        ("moved", "before"),
        [
            pytest.param("a", 0, id="applied from the beginning by another"),
            pytest.param("a", 4, id="applied further by another"),
            pytest.param("a", 6, id="never was there"),
            pytest.param("unknown", 3, id="a journal that the store does not know"),
            pytest.param("gone", 0, id="a journal that is gone, from its beginning"),
            pytest.param("gone", 8, id="a journal that is gone, from where it was"),
        ],
    )
    def test_a_moved_position_rolls_all_back(self, store: Store, moved: str, before: int) -> None:
        save(store, Batch(marks=[(mark("a", 5), 0), (mark("b", 5), 0), (mark("gone", 8), 0)]))
        store.forget_journals(["gone"])
        known = store.marks()
        assert set(known) == {"a", "b"}
        batch = Batch(
            rows=[row("k")],
            events=[event("e")],
            counts={"n": 1},
            marks=[(mark("b", 9), 5), (mark(moved, 9), before), (mark("new", 9), 0)],
        )
        with pytest.raises(PositionMoved):
            save(store, batch)
        assert store.marks() == known
        assert load(store, "k").rows == {}
        assert (store.stats().counters, store.stats().events) == ({}, 0)

    def test_recorded_until_is_the_least_of_those_heard_of(self, store: Store) -> None:
        assert store.recorded_until(now=NOW, silent_after=100) is None
        marks = [
            mark("busy", 1, recorded_until=NOW - 500, heard_at=NOW - 100),
            mark("idle", 1, recorded_until=NOW - 5, heard_at=NOW - 5),
            mark("dead host", 1, recorded_until=NOW - 900, heard_at=NOW - 101),
        ]
        save(store, Batch(marks=[(each, 0) for each in marks]))
        assert store.recorded_until(now=NOW, silent_after=100) == NOW - 500, "a backlog holds the sweeper back"
        store.forget_journals(["busy"])
        assert store.recorded_until(now=NOW, silent_after=100) == NOW - 5
        assert store.recorded_until(now=NOW + 96, silent_after=100) is None

    # --- couriers

    def test_figures_of_a_backend_add_up(self, store: Store) -> None:
        save(store, Batch(events=[event("before")]))
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event(str(n)) for n in range(9)]))
        held = lease(store)
        claimed = store.claim("b", held, until=NOW, limit=6, now=NOW).events
        assert [each.id for each in claimed] == list("012345")
        settled = Settled(
            upto=claimed[4].seq,
            delivered=1,
            skipped=2,
            dropped=1,
            dead=[(claimed[4], "not for us", 422)],
            retried=1,
            retry_at=NOW + 7,
            failures=3,
            problem="503",
        )
        store.settle("b", held, settled, now=NOW)
        state = store.backend("b")
        assert (state.recorded, state.delivered, state.skipped, state.dropped, state.dead) == (9, 1, 2, 1, 1)
        assert (state.backlog, state.retried, state.retry_at, state.failures, state.problem) == (
            4,
            1,
            NOW + 7,
            3,
            "503",
        )
        assert claim_ids(store, "b", held) == list("5678")
        store.settle("b", held, Settled(upto=store.head(), delivered=4), now=NOW)
        state = store.backend("b")
        assert (state.backlog, state.retry_at, state.failures, state.problem) == (0, None, 0, None)
        assert_adds_up(store)

    def test_registering_again_moves_no_cursor(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event("one")]))
        store.register(["b", "late"], now=NOW + 1)
        held = lease(store)
        assert (claim_ids(store, "b", held), claim_ids(store, "late", held)) == (["one"], [])
        assert_adds_up(store)

    def test_who_lost_the_lease_settles_nothing(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event("one")]))
        slept = lease(store)
        assert claim_ids(store, "b", slept) == ["one"]
        assert store.acquire("courier", "two", now=NOW + 30_000, until=NOW + 60_000) is not None
        before = store.stats()
        with pytest.raises(LeaseLost):
            store.settle("b", slept, Settled(upto=1, dead=[(event("one"), "no", None)]), now=NOW)
        with pytest.raises(LeaseLost):
            store.claim("b", slept, until=NOW + 90_000, limit=1, now=NOW)
        assert store.stats() == before
        held = store.holder("courier")
        assert held is not None
        assert (held.holder, held.until) == ("two", NOW + 60_000)

    def test_a_claim_renews_the_lease(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        held = lease(store)
        store.claim("b", held, until=NOW + 99_000, limit=1, now=NOW)
        assert store.acquire("courier", "two", now=NOW + 98_999, until=NOW + 200_000) is None

    def test_a_settlement_is_taken_once(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event("one"), event("two")]))
        held = lease(store)
        first, second = store.claim("b", held, until=NOW, limit=2, now=NOW).events
        store.settle("b", held, Settled(upto=second.seq, delivered=2), now=NOW)
        with pytest.raises(LeaseLost):
            store.settle("b", held, Settled(upto=first.seq, delivered=1), now=NOW)
        assert_adds_up(store)

    # --- leases

    def test_a_lease_has_one_holder_at_a_time(self, store: Store) -> None:
        first = lease(store, now=NOW)
        assert store.acquire("courier", "two", now=NOW + 29_999, until=NOW + 99_999) is None
        assert store.holder("courier") == first
        second = store.acquire("courier", "two", now=NOW + 30_000, until=NOW + 99_999)
        assert second is not None
        assert second.token > first.token
        assert store.holder("courier") == second
        assert store.acquire("other", "one", now=NOW, until=NOW + 1) is not None

    def test_a_holder_renews_its_lease_and_keeps_the_token(self, store: Store) -> None:
        first = lease(store)
        again = store.acquire("courier", "one", now=NOW + 5, until=NOW + 60_000)
        assert again == Lease(name="courier", holder="one", token=first.token, until=NOW + 60_000)
        late = store.acquire("courier", "one", now=NOW + 90_000, until=NOW + 120_000)
        assert late is not None
        assert late.token == first.token, "nobody held it in between"

    def test_the_lease_of_a_dead_holder_passes_at_once(self, store: Store) -> None:
        first = lease(store)
        assert store.acquire("courier", "two", now=NOW, until=NOW + 1, dead=["three"]) is None
        second = store.acquire("courier", "two", now=NOW, until=NOW + 1, dead=["three", "one"])
        assert second is not None
        assert second.token > first.token

    def test_released_leases_pass_at_once_with_a_new_token(self, store: Store) -> None:
        first = lease(store)
        lease(store, "recorder")
        kept = lease(store, "kept", "two")
        store.release("one")
        assert (store.holder("courier"), store.holder("recorder"), store.holder("kept")) == (None, None, kept)
        again = lease(store, "courier", "one")
        assert again.token > first.token

    # --- retention

    def test_retention_never_takes_an_open_session(self, store: Store) -> None:
        rows = [
            ended(row("old", NOW - 10), "e"),
            ended(row("seen later", NOW - 10, seen=NOW), "f"),
            row("open", NOW - 10),
        ]
        save(store, Batch(rows=rows))
        assert store.expire(older_than=NOW, limit=10, now=NOW) == 1
        assert set(load(store, "old", "seen later", "open").rows) == {"seen later", "open"}
        assert store.stats().counters["sessions.expired"] == 1

    def test_retention_goes_in_slices(self, store: Store) -> None:
        rows = [ended(row(str(n), NOW - 10), f"end-{n}") for n in range(3)]
        save(store, Batch(rows=rows, events=[event(str(n), at=NOW - 10) for n in range(4)]))
        assert [store.expire(older_than=NOW, limit=3, now=NOW) for _ in range(4)] == [3, 3, 1, 0]
        assert (store.stats().sessions, store.stats().events) == (0, 0)
        assert (store.stats().counters["sessions.expired"], store.stats().counters["events.expired"]) == (3, 4)

    def test_retention_waits_for_a_backend_in_use(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event("read", at=NOW - 9), event("unread", at=NOW - 9), event("young", at=NOW)]))
        held = lease(store)
        first = store.claim("b", held, until=NOW, limit=1, now=NOW).events[0]
        store.settle("b", held, Settled(upto=first.seq, delivered=1), now=NOW)
        assert store.expire(older_than=NOW, limit=10, now=NOW + 7 * _DAY) == 1
        assert claim_ids(store, "b", held) == ["unread", "young"]
        assert_adds_up(store)

    def test_a_backend_long_out_of_use_holds_nothing_and_still_adds_up(self, store: Store) -> None:
        store.register(["b"], now=NOW)
        save(store, Batch(events=[event("one", at=NOW - 9), event("two", at=NOW - 9), event("young", at=NOW)]))
        assert store.expire(older_than=NOW, limit=10, now=NOW + 7 * _DAY + 1) == 2
        state = store.backend("b")
        assert (state.recorded, state.dropped, state.backlog) == (3, 2, 1)
        assert_adds_up(store)

    # --- its life

    def test_stats_tell_what_is_there(self, store: Store) -> None:
        save(store, Batch(rows=[row("a"), ended(row("b"), "e")], events=[event("e")], counts={"n": 2, "zero": 0}))
        save(store, Batch(counts={"n": -1}))
        stats = store.stats()
        assert (stats.sessions, stats.open_sessions, stats.events, stats.backends) == (2, 1, 1, ())
        assert stats.counters == {"n": 1, "events.recorded": 1}

    def test_threads_may_use_it_together(self, store: Store) -> None:
        def apply(number: int) -> bool:
            try:
                save(store, Batch(events=[event(str(number))], counts={"n": 1}, marks=[(mark("j", number + 1), 0)]))
            except PositionMoved:
                return False
            return True

        with ThreadPoolExecutor(max_workers=4) as pool:
            assert sorted(pool.map(apply, range(20))) == [False] * 19 + [True]
        assert store.stats().counters == {"n": 1, "events.recorded": 1}

    def test_opening_and_closing_twice_is_fine(self, store: Store) -> None:
        store.open()
        store.close()
        store.close()
        store.open()


def _fields(each: Event) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__struct_fields__}
