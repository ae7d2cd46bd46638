"""Sessions and events to try a store with, and the few steps its tests are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from sojourn.core import events as names
from sojourn.core.events import START, Event, Scalar
from sojourn.core.session import EndReason
from sojourn.stores.model import Batch, DataSubject, Lease, Loaded, Mark, Tombstone
from sojourn.stores.protocol import Store
from sojourn.stores.rows import SessionRow
from sojourn.stores.store import SQLStore

NOW = 1_769_860_800_000  # 2026-01-31T12:00:00Z
DAY = 24 * 3_600_000


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


_SOME: Final[Mapping[str, Scalar]] = {
    "url.path": "/Straße/日本",
    "duration_ms": 0.1,
    "event_properties.n": 2**53 + 1,
    "event_properties.gift": True,
}


def event(
    event_id: str,
    key: str = "s",
    at: int = NOW,
    name: str = names.PAGE_VIEW,
    *,
    visitor_id: str = "visitor",
    user_id: str = "anna",
    attributes: Mapping[str, Scalar] | None = None,
) -> Event:
    """Return an event as the fold makes it. `attributes`: those of its own, instead of some."""
    return Event(
        id=event_id,
        name=name,
        time=at,
        session_id=f"id-{key}",
        session_key=key,
        session_started_at=at,
        visitor_id=visitor_id,
        previous_id="id-before",
        user_id=user_id,
        attributes={
            "session.id": f"id-{key}",
            "visitor.id": visitor_id,
            "session.previous_id": "id-before",
            "user.id": user_id,
            **(_SOME if attributes is None else attributes),
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
    with store.records.recording() as recording:
        recording.save(batch)


def load(store: Store, *keys: str, successors_of: Sequence[str] = ()) -> Loaded:
    with store.records.recording() as recording:
        return recording.load(keys, successors_of=successors_of)


def tombstones(store: Store, *people: DataSubject) -> dict[DataSubject, Tombstone]:
    """Return the tombstones of those of these people that left."""
    with store.records.recording() as recording:
        return dict(recording.load((), people=people).tombstones)


def silent(
    store: Store, *, seen: int, started: int | None = None, limit: int = 10, manual: int | None = None
) -> list[str]:
    with store.records.recording() as recording:
        found = recording.silent(seen_before=seen, started_before=started, limit=limit, manual_seen_before=manual)
    return list(found.rows)


def lease(store: Store, name: str = "dispatcher", holder: str = "one", *, now: int = NOW) -> Lease:
    acquired = store.leases.acquire(name, holder, now=now, until=now + 30_000)
    assert acquired is not None
    return acquired


def claim_ids(store: Store, name: str, held: Lease, *, limit: int = 100) -> list[str]:
    return [each.id for each in store.delivery.claim(name, held, until=NOW + 30_000, limit=limit, now=NOW).events]


def assert_adds_up(store: Store) -> None:
    """Check that of each backend every recorded event is somewhere, once, and that the log is as long as it is said to be."""
    stats = store.stats()
    assert stats.events == len(store.log.after(START, limit=1_000_000))
    for state in stats.backends:
        assert state.recorded == state.settled + state.backlog, state
        assert store.delivery.state(state.name) == state


def key_of(store: Store) -> bytes:
    """Return the store's own key."""
    assert isinstance(store, SQLStore)
    return store.database.store_key()


def fields(each: Event) -> dict[str, object]:
    return {name: getattr(each, name) for name in each.__struct_fields__}
