"""Calls that `carry()` took out of their request: they add to a session that is there, and name no other one."""

from __future__ import annotations

import pytest

from sojourn.core.events import USER_IDENTIFY
from sojourn.core.records import ACTIVITY, CARRIED, LATE, STARTS, Entry, about
from sojourn.core.session import EndReason, Rules, begin, succeed
from sojourn.pipeline.record.fold import Numbered, fold
from sojourn.pipeline.record.suppression import Suppression, people
from sojourn.stores.model import SESSION, VISITOR, DataSubject, Tombstone
from tests.pipeline.record.story import FIRST, IDLE, ORIGIN, SEAL, SECOND, Story, user

AFTER_END = CARRIED | LATE


def begun() -> Story:
    return Story().record(FIRST, 0, flags=STARTS | ACTIVITY, origin=ORIGIN)


def test_a_carried_call_adds_to_its_running_session() -> None:
    story = begun().record(FIRST, 5, Entry("bought", 5), flags=CARRIED | ACTIVITY)
    assert "session.late" not in story.events[-1].attributes
    assert story.rows["k1"].last_seen_at == 5


@pytest.mark.parametrize("at", [0, IDLE + 5], ids=["at the last activity", "later"])
@pytest.mark.parametrize("is_swept", [False, True])
def test_a_call_after_the_end_is_late_whether_or_not_the_end_is_recorded(is_swept: bool, at: int) -> None:
    story = begun()
    if is_swept:
        story.sweep(IDLE)
    story.record(FIRST, at, Entry("bought", at), flags=AFTER_END)
    assert (story.last.events[0].name, story.last.events[0].attributes["session.late"]) == ("bought", True)
    row = story.rows["k1"]
    assert (row.last_seen_at, row.is_open) == (0, not is_swept)


def test_a_carried_call_begins_no_session() -> None:
    story = Story().record(FIRST, 5, Entry("bought", 5), flags=CARRIED | ACTIVITY)
    assert (story.rows, story.events) == ({}, [])
    assert [numbered.record.key for numbered in story.last.early] == ["k1"]


def test_a_carried_restart_begins_its_session() -> None:
    story = Story().record(SECOND, 5, flags=CARRIED | ACTIVITY | STARTS, origin=ORIGIN)
    assert story.names("k2") == ["session.start"]


def test_a_carried_call_of_an_erased_session_is_dropped_even_if_the_session_goes_on() -> None:
    known = Suppression({DataSubject(SESSION, "k1"): Tombstone(at=10, is_for_good=False)})
    records = [
        Numbered("j:1", about(FIRST, 20, ACTIVITY)),
        Numbered("j:2", about(FIRST, 30, CARRIED | ACTIVITY, (Entry("bought", 30),))),
    ]
    out = fold(records, {}, Rules(), defaults={}, suppression=known)
    assert [event.name for event in out.events] == ["session.start"]
    assert out.counts["records.erased"] == 1


KEY = "018bcfe5-6800-7000-8000-000000000001"
STARTED = 0x018BCFE56800
NEXT = succeed(
    begin(visitor_id="v", visitor_since=0, key=KEY, now=STARTED), EndReason.RESTARTED, key="k2", now=STARTED + 60
)


@pytest.mark.parametrize("person", [DataSubject(SESSION, KEY), DataSubject(VISITOR, "v")])
@pytest.mark.parametrize(
    ("erased_at", "flags", "names"),
    [
        pytest.param(STARTED, CARRIED | STARTS, [], id="the session before was erased"),
        pytest.param(STARTED - 1, CARRIED | STARTS, ["session.start"], id="it started after the erasure"),
        pytest.param(STARTED, STARTS, ["session.start"], id="not carried"),
    ],
)
def test_a_carried_call_starts_no_session_after_one_that_was_erased(
    person: DataSubject, erased_at: int, flags: int, names: list[str]
) -> None:
    known = Suppression({person: Tombstone(at=erased_at, is_for_good=False)})
    record = about(NEXT, STARTED + 60, flags | ACTIVITY, (), ORIGIN)
    assert people([record]) >= ({DataSubject(SESSION, KEY)} if flags & CARRIED else set())
    out = fold([Numbered("j:1", record)], {}, Rules(), defaults={}, suppression=known)
    assert [event.name for event in out.events] == names


@pytest.mark.parametrize("is_first", [True, False], ids=["before the successor is recorded", "after it"])
def test_a_user_named_after_the_end_is_not_passed_on(is_first: bool) -> None:
    story = begun()
    if not is_first:
        story.record(SECOND, 2_000, flags=STARTS | ACTIVITY, origin=ORIGIN)
    story.record(FIRST, 2_100, user("ada", 2_100, name="Ada"), flags=AFTER_END)
    (identified,) = story.named(USER_IDENTIFY)
    assert (identified.session_key, identified.user_id, identified.attributes["session.late"]) == ("k1", "ada", True)
    if is_first:
        story.record(SECOND, 2_000, flags=STARTS | ACTIVITY, origin=ORIGIN)
    assert (story.rows["k1"].user_id, story.rows["k1"].user_name) == ("ada", "Ada")
    assert (story.rows["k2"].user_id, story.rows["k2"].is_tagged) == (None, False)


def test_traits_named_after_the_end_fill_gaps() -> None:
    story = begun().record(FIRST, 1, user("ada", 1, name="Ada"), SEAL)
    story.record(FIRST, 60, user("ada", 60, name="A.", traits={"plan": "pro"}, is_emitted=False), flags=AFTER_END)
    row = story.rows["k1"]
    assert (row.user_name, row.user_traits, row.is_tagged, story.last.events) == ("Ada", {"plan": "pro"}, True, [])


def test_another_user_named_after_the_end_is_a_conflict_and_no_event() -> None:
    story = begun().record(FIRST, 1, user("ada", 1), SEAL).record(FIRST, 60, user("bob", 60), flags=AFTER_END)
    assert (story.rows["k1"].user_id, story.rows["k1"].user_conflicts) == ("ada", 1)
    assert story.last.events == []
    assert story.last.counts == {"user_conflict": 1}


def test_a_user_named_in_time_outranks_one_named_after_the_end_in_any_order() -> None:
    story = (
        begun().record(FIRST, 60, user("bob", 60), flags=AFTER_END).record(FIRST, 1, user("ada", 1, is_explicit=False))
    )
    row = story.rows["k1"]
    assert (row.user_id, row.is_tagged) == ("ada", True)
    after = succeed(FIRST, EndReason.IDLE_TIMEOUT, key="k9", now=3_000)
    assert story.record(after, 3_000, flags=STARTS | ACTIVITY, origin=ORIGIN).rows["k9"].user_id == "ada"
