"""What a person may ask of the store: to see all there is, and that it goes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sojourn import data_subjects as people
from sojourn.core.events import Event, Position
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch, DataSubject, Place, Settled, Slice
from sojourn.stores.rows import PropertyValue, SessionRow
from tests.stores.contract.steps import NOW, assert_adds_up, ended, event, lease, load, row, save


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    yield store
    store.close()


def session(key: str, *, visitor: str = "visitor", user: str | None = None) -> SessionRow:
    made = row(key)
    made.visitor_id, made.user_id = visitor, user
    return made


def of(key: str, count: int, *, visitor: str = "visitor", user: str = "nobody") -> list[Event]:
    return [event(f"{key}-{number}", key, visitor_id=visitor, user_id=user) for number in range(count)]


def exported(store: SQLiteStore, **person: str) -> dict[str, Any]:
    out = io.StringIO()
    people.export_json(store, out=out, **person)
    assert out.getvalue() == "".join(people.export(store, **person))
    found: dict[str, Any] = json.loads(out.getvalue())
    return found


# --- erase


def test_erasing_a_visitor_leaves_nothing_of_them_in_the_file(store: SQLiteStore) -> None:
    """Not even the id: the tombstone is a hash."""
    store.outbox.register(["b"], now=NOW)
    secret, user = "visitor-f00", "user-f00"
    events = of("k", 1200, visitor=secret, user=user)
    save(store, Batch(rows=[session("k", visitor=secret, user=user), session("other")], events=events))
    save(store, Batch(events=of("other", 3)))
    held = lease(store)
    claimed = store.delivery.claim("b", held, until=NOW, limit=10, now=NOW).events
    dead = [(claimed[0], "no", 400)]
    store.delivery.settle("b", held, Settled(upto=claimed[-1].position, delivered=9, dead=dead), now=NOW)
    for name, query in (("theirs", f"visitor={secret}&range=7d"), ("another's", "visitor=v"), ("found", f"q={secret}")):
        store.definitions.add("view", name, f'{{"id":"1","query":"{query}"}}')

    done = people.erase(store, visitor_id=secret, now=NOW)

    assert done == people.Erased(sessions=1, events=1200, dead_letters=1, forwarded={"b": 9})
    assert_adds_up(store)
    assert (store.stats().sessions, store.stats().events) == (1, 3)
    assert [each.name for each in store.definitions.of("view")] == ["another's"]
    store.close()
    assert store.path is not None
    kept = b"".join(path.read_bytes() for path in store.path.parent.iterdir())
    assert b"other-2" in kept
    assert secret.encode() not in kept
    assert user.encode() not in kept
    assert people.erase(store, visitor_id=secret, now=NOW) == people.Erased(sessions=0, events=0, dead_letters=0)


def test_erasing_a_user_deletes_their_sessions_on_every_device(store: SQLiteStore) -> None:
    rows = [session("laptop", user="7"), session("phone", visitor="another", user="7"), session("before login")]
    save(store, Batch(rows=rows, events=[*of("laptop", 2, user="7"), *of("before login", 2)]))
    done = people.erase(store, user_id="7", now=NOW)
    assert (done.sessions, done.events) == (2, 2)
    assert set(load(store, "laptop", "phone", "before login").rows) == {"before login"}


def test_an_id_longer_than_the_store_keeps_can_be_erased(store: SQLiteStore) -> None:
    odd = "nul\x00 and half \ud83d"
    save(store, Batch(rows=[session("k", user=odd)], events=of("k", 1, user=odd)))
    assert people.erase(store, user_id=odd, now=NOW).sessions == 1


def test_an_interrupted_erasure_is_finished_by_the_next_one(store: SQLiteStore) -> None:
    save(store, Batch(rows=[session("a"), session("b")], events=[*of("a", 600), *of("b", 600)]))

    stopped = SQLiteStore(store.path)
    erase, slices = stopped.data_subjects.erase, iter(range(9))

    def erase_one_slice(subject: DataSubject, *, at: int, upto: Position, after: Place, limit: int) -> Slice:
        if next(slices) == 1:
            raise KeyboardInterrupt
        return erase(subject, at=at, upto=upto, after=after, limit=limit)

    stopped.data_subjects.erase = erase_one_slice  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        people.erase(stopped, visitor_id="visitor", now=NOW)
    stopped.close()
    assert 0 < store.stats().events < 1200
    done = people.erase(store, visitor_id="visitor", now=NOW + 1)
    assert done.sessions == 2
    assert (store.stats().sessions, store.stats().events) == (0, 0)
    assert store.stats().counters["events.erased"] == 1200


@pytest.mark.parametrize(
    "person",
    [
        pytest.param({}, id="no one named"),
        pytest.param({"visitor_id": "", "user_id": ""}, id="empty"),
        pytest.param({"visitor_id": "v", "user_id": "u"}, id="two"),
    ],
)
def test_exactly_one_person_must_be_named(store: SQLiteStore, person: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="either visitor_id or user_id"):
        people.erase(store, now=NOW, **person)
    with pytest.raises(ValueError, match="either visitor_id or user_id"):
        "".join(people.export(store, **person))


# --- export


def test_an_export_has_every_session_with_its_events(store: SQLiteStore) -> None:
    full = ended(session("a", user="7"), "end")
    full.properties = {"session_properties.plan": PropertyValue("pro", NOW, "rid")}
    full.user_traits = {"age": 41}
    save(store, Batch(rows=[full, session("b", user="7"), session("c")], events=[*of("a", 3), *of("c", 1)]))
    found = exported(store, user_id="7")
    first, second = found["sessions"]
    assert first["session"] == {
        "key": "a",
        "session_id": "id-a",
        "visitor_id": "visitor",
        "is_manual": False,
        "started_at": "2026-01-31T12:00:00.000Z",
        "last_seen_at": "2026-01-31T12:00:00.000Z",
        "previous_seen_at": 0,
        "end_reason": "idle_timeout",
        "end_revision": 0,
        "end_event_id": "end",
        "user_id": "7",
        "user_traits": {"age": 41},
        "user_at": 0,
        "is_user_explicit": False,
        "is_user_inherited": False,
        "is_tagged": False,
        "requests": 0,
        "page_views": 0,
        "errors": 0,
        "client_errors": 0,
        "tracked_events": 0,
        "logouts": 0,
        "events": 0,
        "no_forward": False,
        "properties": {"session_properties.plan": "pro"},
    }
    events = first["events"]
    assert [(each["id"], each["type"], each["subject"]) for each in events] == [
        (f"a-{number}", "page_view", "id-a") for number in range(3)
    ]
    assert events[0]["data"] == of("a", 1)[0].attributes
    assert second["events"] == []
    assert (found["person"], found["other_events"], found["dead_letters"]) == ({"user.id": "7"}, [], [])


def test_an_export_without_matches_is_a_valid_document(store: SQLiteStore) -> None:
    empty: dict[str, object] = {
        "person": {"visitor.id": 'a "b"'},
        "sessions": [],
        "other_events": [],
        "dead_letters": [],
    }
    assert exported(store, visitor_id='a "b"') == empty


def test_an_export_continues_after_a_full_page(store: SQLiteStore) -> None:
    rows = [session(f"{number:04d}") for number in range(501)]
    save(store, Batch(rows=rows, events=of("0500", 1001)))
    found = exported(store, visitor_id="visitor")
    assert len(found["sessions"]) == 501
    assert [len(each["events"]) for each in found["sessions"][-2:]] == [0, 1001]


def test_an_export_includes_events_and_dead_letters_outside_the_sessions(store: SQLiteStore) -> None:
    """An event of a session that went to another user, and one that a backend refused and the log forgot."""
    store.outbox.register(["b"], now=NOW)
    save(store, Batch(rows=[session("theirs", user="8")], events=of("theirs", 1, user="7")))
    for number in range(2001):
        if number % 1000 == 0:
            save(store, Batch(events=of(f"fill{number}", 1000)))
    refused = event("refused", "gone", user_id="7")
    held = lease(store)
    store.delivery.settle("b", held, Settled(upto=None, dead=[(refused, "too old", 422)]), now=NOW)
    found = exported(store, user_id="7")
    assert [each["id"] for each in found["other_events"]] == ["theirs-0"]
    (letter,) = found["dead_letters"]
    copy = letter.pop("event")
    assert letter == {"backend": "b", "reason": "too old", "at": "2026-01-31T12:00:00.000Z"}
    assert copy["id"] == "refused"
    assert people.erase(store, user_id="7", now=NOW).dead_letters == 1
    assert exported(store, user_id="7")["other_events"] == []
