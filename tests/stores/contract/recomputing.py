"""What every store must keep to for what is recomputed: it is replaced at once, and no figure of a backend moves."""

from __future__ import annotations

from sojourn.core.events import Position
from sojourn.stores.model import Batch, Settled
from sojourn.stores.protocol import Store

from .steps import NOW, assert_adds_up, ended, event, lease, load, row, save


class RecomputingContract:
    """Part of `StoreContract`, which has the fixture."""

    def test_visitors_of_a_span_in_order(self, store: Store) -> None:
        sessions = [row("1", NOW), row("2", NOW + 5), row("3", NOW + 9), row("4", NOW)]
        for session, visitor in zip(sessions, "baac", strict=True):
            session.visitor_id = visitor
        save(store, Batch(rows=sessions))

        def visitors(after: str = "", *, since: int = NOW, until: int = NOW + 9, limit: int = 9) -> list[str]:
            return store.recomputing.visitors(after=after, since=since, until=until, limit=limit)

        assert visitors() == ["a", "b", "c"]
        assert visitors(limit=2) == ["a", "b"]
        assert visitors("b") == ["c"]
        assert visitors(since=NOW + 6) == []
        assert visitors(since=NOW + 6, until=NOW + 10) == ["a"]

    def test_where_all_backends_are_done(self, store: Store) -> None:
        assert store.recomputing.settled() is None
        store.outbox.register(["one", "two"], now=NOW)
        save(store, Batch(events=[event("1"), event("2")]))
        assert store.recomputing.settled() == Position(0)
        for name in ("one", "two"):
            held = lease(store, f"dispatcher:{name}")
            claim = store.delivery.claim(name, held, until=NOW + 30_000, limit=9, now=NOW)
            store.delivery.settle(name, held, Settled(upto=claim.events[-1].position, delivered=2), now=NOW)
        settled = store.recomputing.settled()
        assert settled is not None
        assert store.log.has_passed(settled, store.log.head())

    def test_sessions_are_replaced_with_their_events(self, store: Store) -> None:
        store.outbox.register(["b"], now=NOW)
        old = [ended(row("a"), "a end"), ended(row("b", NOW + 5, previous="a"), "b end")]
        save(
            store, Batch(rows=old, events=[event("1", "a"), event("a end", "a"), event("2", "b"), event("b end", "b")])
        )
        held = lease(store, "dispatcher:b")
        claim = store.delivery.claim("b", held, until=NOW + 30_000, limit=9, now=NOW)
        store.delivery.settle("b", held, Settled(upto=claim.events[-1].position, delivered=4), now=NOW)
        with store.records.recording() as recording:
            (joined,) = [each for each in recording.load(["a", "b"]).rows.values() if each.key == "b"]
            joined.started_at = NOW
            recording.save(
                Batch(
                    rows=[joined],
                    events=[event("1", "b"), event("2", "b"), event("b end 2", "b")],
                    withdrawn=["1", "2", "a end", "b end"],
                    removed=["a"],
                    is_local=True,
                )
            )
        assert {key: each.started_at for key, each in load(store, "a", "b").rows.items()} == {"b": NOW}
        assert [each.id for each in store.log.of_session("b")] == ["1", "2", "b end 2"]
        assert store.stats().counters["events.recorded"] == 4
        assert store.delivery.state("b").backlog == 0
        assert_adds_up(store)
