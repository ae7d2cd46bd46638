"""What every store must keep to for what is imported: no backend is sent it, or counts it, and it expires with its session."""

from __future__ import annotations

import pytest

from sojourn.core import events as names
from sojourn.core.events import START, Position
from sojourn.core.session import EndReason
from sojourn.stores.imports_protocol import ImportedSession
from sojourn.stores.model import Batch, DataSubject, Place, Settled
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow

from .steps import DAY, NOW, assert_adds_up, claim_ids, ended, event, lease, load, row, save

HOUR = 3_600_000


def imported(key: str, at: int = NOW, *, visitor: str = "visitor") -> SessionRow:
    session = row(key, at, seen=at + 5)
    session.imported, session.visitor_id, session.end_reason = "access log", visitor, EndReason.IDLE_TIMEOUT
    return session


def past(key: str, *event_ids: str, at: int = NOW) -> Batch:
    """A batch of an import: a session and its events."""
    return Batch(rows=[imported(key, at)], events=[event(each, key, at) for each in event_ids], is_local=True)


class ImportsContract:
    """Part of `StoreContract`, which has the fixture."""

    def test_no_backend_is_sent_or_counts_what_is_imported(self, store: Store) -> None:
        save(store, Batch(events=[event("before")]))
        store.outbox.register(["early"], now=NOW)
        save(store, past("old", "1", "2"))
        store.outbox.register(["late"], now=NOW)
        save(store, Batch(events=[event("after")]))
        save(store, past("older", "3"))
        for name in ("early", "late"):
            held = lease(store, f"dispatcher:{name}")
            assert store.delivery.state(name).backlog == 1
            claim = store.delivery.claim(name, held, until=NOW + 30_000, limit=9, now=NOW)
            assert [each.id for each in claim.events] == ["after"]
            store.delivery.settle(name, held, Settled(upto=claim.events[0].position, delivered=1), now=NOW)
        assert_adds_up(store)
        assert store.stats().counters["events.recorded"] == 2

    def test_a_backend_of_a_store_with_nothing_else_starts_behind_it(self, store: Store) -> None:
        save(store, past("old", "1"))
        store.outbox.register(["b"], now=NOW)
        assert (store.log.head(), store.delivery.state("b").backlog) == (Position(), 0)
        assert claim_ids(store, "b", lease(store, "dispatcher:b")) == []

    def test_the_log_has_it_first_in_its_own_order(self, store: Store) -> None:
        save(store, Batch(events=[event("recorded")]))
        save(store, past("old", *map(str, range(300))))
        save(store, past("older", "last"))
        assert [each.id for each in store.log.after(START, limit=999)] == [*map(str, range(300)), "last", "recorded"]
        assert [each.id for each in store.log.latest(limit=1)] == ["recorded"]
        page = store.log.timeline("old", limit=200)
        assert page.following is not None
        following = Position.from_text(str(page.following))
        assert following == page.following
        assert [each.id for each in store.log.timeline("old", after=page.following).events] == [
            *map(str, range(200, 300))
        ]

    def test_an_event_is_imported_once(self, store: Store) -> None:
        save(store, past("old", "1"))
        save(store, past("old", "1", "2"))
        assert [each.id for each in store.log.of_session("old")] == ["1", "2"]

    def test_an_end_may_be_withdrawn_at_any_time(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        session = imported("old")
        ended(session, "end")
        save(store, Batch(rows=[session], events=[event("end", "old", name=names.SESSION_END)], is_local=True))
        save(store, Batch(events=[event("recorded")]))
        claim_ids(store, "b", lease(store, "dispatcher:b"))
        assert load(store, "old").unread == {"end"}
        with store.records.recording() as recording:
            recording.load(["old"])
            recording.save(Batch(withdrawn=["end"], is_local=True))
        assert store.log.of_session("old") == []
        assert_adds_up(store)

    def test_sessions_of_visitors_in_a_span(self, store: Store) -> None:
        rows = [imported("a", NOW), imported("b", NOW + HOUR), imported("of another", visitor="other"), row("recorded")]
        save(store, Batch(rows=rows, is_local=True))

        def keys(since: int, until: int) -> list[str]:
            return [each.key for each in store.imports.sessions_of(["visitor", "none"], since=since, until=until)]

        assert keys(0, NOW + DAY) == ["a", "b"]
        assert keys(NOW + 5, NOW + 5) == ["a"]
        assert keys(NOW + 6, NOW + HOUR - 1) == []
        assert store.imports.sessions_of([], since=0, until=NOW) == []
        assert store.imports.sessions_of(["other"], since=0, until=NOW) == [
            ImportedSession("of another", "other", NOW, NOW + 5)
        ]

    def test_whether_a_span_has_imported_sessions(self, store: Store) -> None:
        save(store, Batch(rows=[imported("a", NOW + 5), row("recorded", NOW + 2 * HOUR)], is_local=True))
        assert not store.imports.has(since=0, until=NOW + DAY), "no line of it is noted"
        hour = NOW // HOUR * HOUR
        save(store, Batch(is_local=True, imported=[(hour, "one", "AAAA"), (hour + 2 * HOUR, "one", "AAAA")]))
        assert store.imports.has(since=NOW + 5, until=NOW + 6)
        assert not store.imports.has(since=NOW + 6, until=NOW + DAY)
        assert not store.imports.has(since=0, until=NOW + 5)

    def test_the_first_recorded_session(self, store: Store) -> None:
        assert store.imports.first_recorded() is None
        save(store, past("old", "1", at=NOW - DAY))
        assert store.imports.first_recorded() is None
        save(store, Batch(rows=[row("second", NOW + 2), row("first", NOW + 1)]))
        assert store.imports.first_recorded() == NOW + 1

    def test_lines_by_hour(self, store: Store) -> None:
        save(store, Batch(is_local=True, imported=[(HOUR, "one", "AAAA"), (2 * HOUR, "one", "BBBB")]))
        save(store, Batch(is_local=True, imported=[(HOUR, "two", "CCCC")]))
        lines = store.imports.lines([HOUR, 3 * HOUR])
        assert {hour: sorted(parts) for hour, parts in lines.items()} == {HOUR: ["AAAA", "CCCC"], 3 * HOUR: []}

    @pytest.mark.parametrize("older_first", [True, False])
    def test_it_expires_with_its_session_whenever_it_was_imported(self, store: Store, older_first: bool) -> None:
        batches = [past("old", "1", "2", at=NOW), past("older", "3", at=NOW - 2 * DAY)]
        for batch in reversed(batches) if older_first else batches:
            save(store, batch)
        save(
            store,
            Batch(rows=[ended(row("recorded", NOW - 2 * DAY), "e")], events=[event("4", "recorded", NOW - 2 * DAY)]),
        )
        save(store, Batch(is_local=True, imported=[(NOW - 2 * DAY, "one", "AAAA"), (NOW, "one", "BBBB")]))
        for _ in range(2):  # the events first, then the row
            store.maintenance.expire(older_than=NOW - DAY, limit=100, now=NOW)
        assert set(load(store, "old", "older", "recorded").rows) == {"old"}
        assert [each.id for each in store.log.after(START, limit=9)] == ["1", "2"]
        assert store.imports.lines([NOW - 2 * DAY, NOW]) == {NOW - 2 * DAY: [], NOW: ["BBBB"]}
        assert_adds_up(store)

    def test_it_is_erased_with_its_visitor(self, store: Store) -> None:
        save(store, past("old", "1", "2"))
        visitor = DataSubject("visitor", "visitor")
        upto = store.data_subjects.add_tombstone(visitor, at=NOW)
        place: Place | None = Place(0)
        while place is not None:
            place = store.data_subjects.erase(visitor, at=NOW, upto=upto, after=place, limit=100).after
        assert (store.stats().sessions, store.stats().events) == (0, 0)
        assert_adds_up(store)
