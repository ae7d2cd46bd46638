"""Session properties: joined by record, stamped on what comes later, shown on the end, gone with the session."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from sojourn.core.events import Scalar
from sojourn.core.records import ACTIVITY, STARTS, Entry, Record, Seal
from sojourn.core.session import EndReason, Rules
from sojourn.pipeline.record import row_events
from sojourn.pipeline.record.fold import Folded, Numbered, fold

NOW = 1_700_000_000_000
KEY = "018bcfe5-6800-7000-8000-000000000001"
PLAN = "session_properties.plan"
RULES = Rules(keep_first=frozenset({"session_properties.campaign"}))


def record(at: int, *entries: Entry, flags: int = ACTIVITY) -> Record:
    return Record(NOW + at, KEY, "visitor", NOW, flags, entries=entries, origin={} if flags & STARTS else None)


def sets(at: int, **properties: Scalar) -> Record:
    named = {f"session_properties.{name}": value for name, value in properties.items()}
    return record(at, Entry("session.properties", NOW + at, named))


def tracks(at: int, name: str) -> Record:
    return record(at, Entry(name, NOW + at, {}))


def folded(*records: Record) -> Folded:
    numbered = [Numbered(f"journal:{number:04d}", each) for number, each in enumerate(records)]
    return fold(numbered, {}, RULES, defaults={})


def test_a_property_is_an_event_and_is_on_later_events() -> None:
    seal = Entry("session.end", NOW + 9, seal=Seal(EndReason.ENDED, NOW + 9))
    out = folded(
        record(0, flags=ACTIVITY | STARTS),
        tracks(1, "before"),
        sets(2, plan="pro"),
        tracks(3, "after"),
        record(9, seal),
    )
    shown = {event.name: event.attributes.get(PLAN) for event in out.events}
    assert shown == {
        "session.start": None,
        "before": None,
        "session.properties": "pro",
        "after": "pro",
        "session.end": "pro",
    }


@pytest.mark.parametrize(
    ("name", "kept"),
    [pytest.param("plan", "c", id="last"), pytest.param("campaign", "a", id="first, where declared so")],
)
def test_which_value_holds_does_not_depend_on_the_order_of_records(name: str, kept: str) -> None:
    updates = [sets(at, **{name: value}) for at, value in ((1, "a"), (2, "b"), (3, "c"))]
    for order in itertools.permutations(updates):
        (row,) = folded(*order).rows.values()
        assert row.properties is not None
        assert row.properties[f"session_properties.{name}"].value == kept


def test_a_session_has_fifty_properties_and_counts_the_rest() -> None:
    out = folded(*(sets(number, **{f"p{number}": number}) for number in range(53)))
    (row,) = out.rows.values()
    assert (len(row.properties or {}), out.counts["session_properties.too_many"]) == (50, 3)


@pytest.mark.parametrize("letter", ["x", "\u20ac", '"', "\\"])
def test_an_event_is_never_longer_than_its_bound(letter: str) -> None:
    texts = {f"p{number}": letter * 5000 for number in range(50)}
    out = folded(
        *(sets(number, **{name: text}) for number, (name, text) in enumerate(texts.items())), tracks(99, "after")
    )
    for event in out.events:
        assert len(msgspec.json.encode(event.attributes)) <= row_events.MAX_EVENT_BYTES
    assert out.events[-1].attributes["event.cut"] is True
    assert out.events[-1].attributes["session.id"] == KEY


def test_the_id_of_a_browser_sdk_holds_until_another_comes_and_leaves_the_row_alone() -> None:
    name = "posthog.session_id"
    out, kept = Folded({}), []
    for at, own_id in ((0, ""), (10, "a"), (20, "a"), (30, "b"), (25, "late"), (40, "")):
        brought = msgspec.structs.replace(record(at), browser={name: own_id})
        out = fold([Numbered(f"j:{at}", brought)], out.rows, RULES, defaults={})
        properties = out.rows[KEY].properties
        kept.append(None if properties is None else (properties[name].value, properties[name].at - NOW))
    assert kept == [None, ("a", 10), ("a", 10), ("b", 30), ("b", 30), ("", 40)]
