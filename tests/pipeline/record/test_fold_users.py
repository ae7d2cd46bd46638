"""Whose session it is: tags in any order, and users who are carried over."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sojourn.core.events import USER_IDENTIFY
from sojourn.core.ids import event_id
from sojourn.core.records import Entry
from sojourn.core.session import EndReason, succeed
from tests.pipeline.record.story import FIRST, RULES, SECOND, THIRD, Story, user

# --- users ---------------------------------------------------------------------------------------------------------


def test_a_tag_emits_user_identify_and_is_on_later_events() -> None:
    story = Story().record(FIRST, 1, user("ada", 1, name="Ada", traits={"plan": "pro"}, before="b"), Entry("bought", 2))
    identified, bought = story.events[1:]
    assert (identified.name, identified.user_id) == (USER_IDENTIFY, "ada")
    assert identified.id == event_id(0, "k1", "user.identify", "ada", "b")
    assert identified.attributes["user.id"] == "ada"
    assert (identified.attributes["user.name"], identified.attributes["user.traits.plan"]) == ("Ada", "pro")
    assert (bought.user_id, bought.attributes["user.id"]) == ("ada", "ada")
    row = story.rows["k1"]
    assert (row.user_id, row.user_name, row.user_traits, row.is_tagged) == ("ada", "Ada", {"plan": "pro"}, True)


def test_untagging_emits_user_identify_without_user_and_the_row_keeps_the_user() -> None:
    story = Story().record(FIRST, 1, user("ada", 1)).record(FIRST, 2, user(None, 2), Entry("bought", 2))
    identified, bought = story.last.events
    assert (identified.user_id, "user.id" in identified.attributes) == (None, False)
    assert (bought.user_id, "user.id" in bought.attributes) == (None, False)
    assert (story.rows["k1"].user_id, story.rows["k1"].is_tagged) == ("ada", False)


def test_new_traits_of_the_same_user_are_kept_without_an_event() -> None:
    story = Story().record(FIRST, 1, user("ada", 1, traits={"plan": "free", "age": 3}))
    story.record(FIRST, 2, user("ada", 2, name="Ada", traits={"plan": "pro"}, is_emitted=False))
    row = story.rows["k1"]
    assert (row.user_name, row.user_traits, row.events) == ("Ada", {"plan": "pro", "age": 3}, 1)
    assert story.last.events == []


def test_the_latest_traits_hold_in_any_order() -> None:
    story = Story().record(FIRST, 5, user("ada", 5, name="Ada", traits={"plan": "pro"}))
    story.record(FIRST, 2, user("ada", 2, name="ada?", traits={"plan": "free", "age": 3}))
    story.record(FIRST, 1, user("ada", 1))
    row = story.rows["k1"]
    assert (row.user_name, row.user_traits) == ("Ada", {"plan": "pro", "age": 3})
    late_name = Story().record(FIRST, 5, user("ada", 5)).record(FIRST, 2, user("ada", 2, name="Ada")).rows["k1"]
    assert (late_name.user_name, late_name.user_traits) == ("Ada", None)


@pytest.mark.parametrize(
    ("is_split", "tags", "holder", "conflicts"),
    [
        pytest.param(True, [("ada", 1, True), ("bo", 2, True)], "ada", 1, id="split: the first holds"),
        pytest.param(True, [("bo", 2, True), ("ada", 1, True)], "ada", 1, id="split: however they come"),
        pytest.param(False, [("ada", 1, True), ("bo", 2, True)], "bo", 0, id="keep: the latest"),
        pytest.param(False, [("bo", 2, True), ("ada", 1, True)], "bo", 0, id="keep: however they come"),
        pytest.param(True, [("42", 1, False), ("ada", 2, True)], "ada", 0, id="the app outranks the framework"),
        pytest.param(True, [("ada", 2, True), ("42", 1, False)], "ada", 0, id="even if it spoke later"),
        pytest.param(False, [("ada", 1, True), ("42", 2, False)], "ada", 0, id="keep: it outranks, too"),
        pytest.param(True, [("ada", 1, True), ("ada", 2, True)], "ada", 0, id="the same user is no conflict"),
    ],
)
def test_which_user_a_session_gets(
    is_split: bool, tags: list[tuple[str, int, bool]], holder: str, conflicts: int
) -> None:
    story = Story(replace(RULES, split_on_user_change=is_split))
    for name, at, is_explicit in tags:
        story.record(FIRST, at, user(name, at, is_explicit=is_explicit))
    row = story.rows["k1"]
    assert (row.user_id, row.user_conflicts) == (holder, conflicts)


def test_of_many_tags_in_one_request_the_last_holds() -> None:
    entries = [user(None if number % 2 else "ada", 1) for number in range(12)]
    assert not Story().record(FIRST, 1, *entries).rows["k1"].is_tagged
    assert Story().record(FIRST, 1, *entries[:11]).rows["k1"].is_tagged


@pytest.mark.parametrize("reason", EndReason)
def test_which_successors_keep_the_user(reason: EndReason) -> None:
    story = Story().record(FIRST, 1, user("ada", 1, name="Ada", traits={"plan": "pro"}))
    story.record(succeed(FIRST, reason, key="k2", now=2_000), 2_000)
    row, start = story.rows["k2"], story.events[-1]
    if reason in {EndReason.IDLE_TIMEOUT, EndReason.MAX_DURATION, EndReason.RESTARTED}:
        assert (row.user_id, row.user_name, row.user_traits, row.is_tagged) == ("ada", "Ada", {"plan": "pro"}, True)
        assert start.user_id == "ada"
    else:
        assert (row.user_id, row.is_tagged, start.user_id) == (None, False, None)


def test_an_untagged_session_passes_no_user_on() -> None:
    story = Story().record(FIRST, 0, user("ada", 0), user(None, 0)).record(SECOND, 2_000)
    assert (story.rows["k2"].user_id, story.rows["k2"].is_tagged) == (None, False)


def test_a_user_named_late_reaches_all_successors() -> None:
    story = Story().record(FIRST, 0).record(SECOND, 2_000).record(THIRD, 4_000)
    story.record(FIRST, 10, user("ada", 10))
    assert [story.rows[key].user_id for key in ("k1", "k2", "k3")] == ["ada"] * 3
    assert story.last.changed == {"k1", "k2", "k3"}


def test_a_user_passes_through_a_session_that_arrives_last() -> None:
    story = Story().record(THIRD, 4_000).record(FIRST, 0, user("ada", 0)).record(SECOND, 2_000)
    assert [story.rows[key].user_id for key in ("k1", "k2", "k3")] == ["ada"] * 3


def test_a_session_with_its_own_user_keeps_it() -> None:
    story = Story().record(FIRST, 0).record(SECOND, 2_000, user("bo", 2_000)).record(THIRD, 4_000)
    story.record(FIRST, 10, user("ada", 10))
    assert [story.rows[key].user_id for key in ("k1", "k2", "k3")] == ["ada", "bo", "bo"]


def test_an_untagged_successor_stays_untagged() -> None:
    story = Story().record(FIRST, 0).record(SECOND, 2_000, user(None, 0, before="x"))
    story.record(FIRST, 10, user("ada", 10))
    assert (story.rows["k2"].user_id, story.rows["k2"].is_tagged) == ("ada", False)
