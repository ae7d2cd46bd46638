"""The sweeper ends what is silent by the same rule, and what late activity still changes."""

from __future__ import annotations

import msgspec
import pytest

from sojourn.core.events import SESSION_END, SESSION_HEARTBEAT
from sojourn.core.records import Entry, Seal
from sojourn.core.session import EndReason
from tests.pipeline.record.story import FIRST, SEAL, SECOND, Story

# --- the sweeper ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("is_manual", "seen_at", "as_of", "reason"),
    [
        pytest.param(False, 500, 1_499, None, id="not yet"),
        pytest.param(False, 500, 1_500, EndReason.IDLE_TIMEOUT, id="inclusive, as for requests"),
        pytest.param(False, 4_900, 5_000, EndReason.MAX_DURATION, id="too long"),
        pytest.param(True, 4_900, 6_899, None, id="manual: not yet"),
        pytest.param(True, 4_900, 6_900, EndReason.IDLE_TIMEOUT, id="manual: silent for too long"),
    ],
)
def test_the_sweeper_ends_a_session_at_its_last_activity(
    is_manual: bool, seen_at: int, as_of: int, reason: EndReason | None
) -> None:
    story = Story().record(msgspec.structs.replace(FIRST, is_manual=is_manual), 0)
    story.record(FIRST, seen_at)
    swept = story.sweep(as_of)
    assert story.rows["k1"].end_reason is reason
    assert [(event.name, event.time) for event in swept.events] == ([(SESSION_END, seen_at)] if reason else [])
    assert swept.changed == ({"k1"} if reason else set())
    assert story.sweep(as_of + 10_000).events == ([] if reason else story.last.events)


def test_activity_withdraws_an_unread_end() -> None:
    story = Story().record(FIRST, 0)
    end = story.sweep(1_000).events[0]
    story.record(FIRST, 950, Entry("bought", 950), unread=frozenset({end.id}))

    row = story.rows["k1"]
    assert (row.is_open, row.last_seen_at, row.late, row.end_event_id) == (True, 950, 0, None)
    assert story.last.withdrawn == [end.id]
    assert story.last.counts == {"sessions.ended": -1}
    assert [event.name for event in story.last.events] == [SESSION_HEARTBEAT, "bought"]
    assert "session.late" not in story.last.events[1].attributes

    again = story.sweep(1_950).events[0]
    assert (again.id, again.time) == (end.id, 950)


def test_activity_after_a_read_end_makes_a_revision() -> None:
    story = Story().record(FIRST, 0)
    first = story.sweep(1_000).events[0]
    story.record(FIRST, 950, Entry("bought", 950))

    row = story.rows["k1"]
    assert (row.is_open, row.last_seen_at, row.late, row.requests, row.end_revision) == (True, 950, 0, 2, 1)
    assert story.last.counts == {"sessions.revised": 1, "sessions.ended": -1}
    assert story.last.withdrawn == []
    assert "session.late" not in story.last.events[1].attributes

    second = story.sweep(1_950).events[0]
    assert second.id != first.id
    assert "session.end_revision" not in first.attributes
    assert (second.attributes["session.end_revision"], second.attributes["session.duration_ms"]) == (1, 950)


def test_an_unread_revision_is_withdrawn() -> None:
    story = Story().record(FIRST, 0)
    story.sweep(1_000)
    story.record(FIRST, 950)
    revised = story.sweep(1_950).events[0]
    story.record(FIRST, 1_900, unread=frozenset({revised.id}))
    assert story.last.withdrawn == [revised.id]
    again = story.sweep(2_900).events[0]
    assert (again.id, again.attributes["session.end_revision"], again.time) == (revised.id, 1, 1_900)


def test_activity_after_a_seal_is_late_and_revises_nothing() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 50, SEAL)
    story.record(FIRST, 60, Entry("bought", 60))
    row = story.rows["k1"]
    assert (row.late, row.end_revision, row.last_seen_at) == (1, 0, 50)
    assert story.last.counts == {"activity.late": 1}
    assert story.last.events[0].attributes["session.late"] is True


def test_older_activity_withdraws_nothing() -> None:
    story = Story().record(FIRST, 500)
    end = story.sweep(1_500).events[0]
    story.record(FIRST, 400, unread=frozenset({end.id}))
    assert story.last.withdrawn == []
    assert story.rows["k1"].late == 0


@pytest.mark.parametrize("is_unread", [True, False], ids=["unread", "read"])
def test_end_session_overrules_the_sweepers_end(is_unread: bool) -> None:
    story = Story().record(FIRST, 0)
    end = story.sweep(1_000).events[0]
    seal = Entry(SESSION_END, 950, seal=Seal(EndReason.ENDED, 950))
    story.record(FIRST, 950, seal, flags=0, unread=frozenset({end.id}) if is_unread else frozenset())

    row = story.rows["k1"]
    assert (row.sealed_at, row.last_seen_at) == (950, 950)
    assert story.last.withdrawn == ([end.id] if is_unread else [])
    (end_event,) = story.last.events
    assert (end_event.name, end_event.time, end_event.attributes["session.end_reason"]) == (SESSION_END, 950, "ended")
    assert (end_event.id == end.id, row.end_revision) == (is_unread, 0 if is_unread else 1)
    assert story.last.counts["sessions.ended"] == 0


def test_a_successor_that_agrees_with_the_sweeper_withdraws_nothing() -> None:
    story = Story().record(FIRST, 0)
    end = story.sweep(1_000).events[0]
    story.record(SECOND, 2_000, unread=frozenset({end.id}))
    assert story.last.withdrawn == []
    assert story.names().count(SESSION_END) == 1
