"""What a batch of records comes to: rows, events, heartbeats and ends."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from sojourn.core.events import PAGE_VIEW, SESSION_END, SESSION_HEARTBEAT, SESSION_START, Event, Scalar
from sojourn.core.ids import event_id
from sojourn.core.records import ACTIVITY, NO_FORWARD, REQUEST, STARTS, Entry, Record, Seal, about
from sojourn.core.session import EndReason, begin, succeed
from sojourn.pipeline.record import merge, row_events
from sojourn.pipeline.record.fold import (
    Folded,
    Needed,
    Numbered,
    also_needed,
    close,
    fold,
    own_keys,
    previous_keys,
    set_exit_pages,
)
from tests.pipeline.record.story import BEAT, FIRST, ORIGIN, RULES, SEAL, SECOND, SERVICE, Story, user

# --- a session of its own ------------------------------------------------------------------------------------------


def test_the_first_record_makes_the_row_and_the_start_event() -> None:
    story = Story().record(FIRST, 0, flags=STARTS | ACTIVITY | REQUEST, origin=ORIGIN)

    row = story.rows["k1"]
    assert (row.started_at, row.last_seen_at, row.requests, row.is_open) == (0, 0, 1, True)
    assert (row.entry_path, row.origin["user_agent.original"], row.origin["client.address"]) == (
        "/in",
        "UA",
        "192.0.2.0",
    )
    assert story.last.changed == {"k1"}
    assert story.last.counts == {"sessions.started": 1}
    assert story.events == [
        Event(
            id=event_id(0, "k1", "session.start"),
            name=SESSION_START,
            time=0,
            session_id="k1",
            session_key="k1",
            session_started_at=0,
            visitor_id="v",
            attributes={
                "session.id": "k1",
                "visitor.id": "v",
                "service.name": "shop",
                "service.version": "2",
                "deployment.environment.name": "prod",
                "url.path": "/in",
                "http.request.header.referer": "https://a.example/b",
                "user_agent.original": "UA",
                "client.address": "192.0.2.0",
            },
        )
    ]


def test_the_row_keeps_the_highest_revision_and_count_of_logouts() -> None:
    story = Story()
    for revision, logouts in ((3, 1), (2, 2), (0, 0)):
        story.record(msgspec.structs.replace(FIRST, revision=revision, logouts=logouts), revision)
    assert (story.rows["k1"].revision, story.rows["k1"].logouts) == (3, 2)


def test_a_start_without_its_first_record_is_inferred() -> None:
    story = Story().record(FIRST, 30)
    assert story.events[0].attributes["session.start_inferred"] is True
    assert story.events[0].attributes["service.name"] == "shop", "of the process that records"
    assert "url.path" not in story.events[0].attributes
    assert story.events[0].time == 0


def test_events_are_stamped_once_and_counted() -> None:
    story = Story()
    page: dict[str, Scalar] = {"url.path": "/a", "http.response.status_code": 200}
    story.record(FIRST, 5, Entry(PAGE_VIEW, 5, page), Entry("bought", 6, {"n": 1}))
    story.record(FIRST, 7, Entry(PAGE_VIEW, 7, {**page, "http.response.status_code": 500}), Entry(PAGE_VIEW, 8))

    row = story.rows["k1"]
    assert (row.requests, row.events, row.page_views, row.errors) == (2, 4, 3, 1)
    bought = story.named("bought")[0]
    assert bought.id == event_id(bought.time, "j:0001", "1")
    assert (bought.time, bought.attributes["n"]) == (6, 1)
    assert len({event.id for event in story.events}) == 5


def test_a_record_without_activity_moves_no_end() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 900, Entry("connection.end", 900), flags=0)
    row = story.rows["k1"]
    assert (row.last_seen_at, row.requests, row.events) == (0, 1, 1)
    assert story.named(SESSION_HEARTBEAT) == []


def test_one_record_that_may_not_be_forwarded_marks_the_session() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 1, flags=ACTIVITY | NO_FORWARD).record(FIRST, 2)
    assert story.rows["k1"].no_forward
    assert Story().record(FIRST, 0, flags=NO_FORWARD).rows["k1"].no_forward


def test_an_id_chosen_by_the_app_is_shown_and_event_ids_use_the_key() -> None:
    state = begin(visitor_id="v", visitor_since=0, key="k1", now=0, session_id="1234567890", is_manual=True)
    start = Story().record(state, 0).events[0]
    assert (start.session_id, start.session_key, start.is_manual) == ("1234567890", "k1", True)
    assert start.attributes["session.id"] == "1234567890"
    assert start.id == event_id(0, "k1", "session.start")


# --- heartbeats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "beats"),
    [
        pytest.param([0, 50, 99], [], id="none in the first slot"),
        pytest.param([0, 100], [100], id="the second slot begins inclusively"),
        pytest.param([0, 110, 150, 199], [110], id="one a slot"),
        pytest.param([0, 110, 250, 310], [110, 250, 310], id="each slot with activity"),
        pytest.param([0, 550, 560], [550], id="none for skipped slots"),
        pytest.param([0, 550, 110], [550], id="none for a slot that was passed"),
        pytest.param([550], [550], id="from the first record on"),
    ],
)
def test_heartbeats(times: list[int], beats: list[int]) -> None:
    story = Story()
    for at in times:
        story.record(FIRST, at)
    found = story.named(SESSION_HEARTBEAT)
    assert [event.time for event in found] == beats
    assert [event.id for event in found] == [event_id(0, "k1", "session.heartbeat", str(at // BEAT)) for at in beats]
    assert [event.attributes["session.duration_ms"] for event in found] == beats


def test_heartbeats_can_be_turned_off() -> None:
    story = Story(replace(RULES, heartbeat_interval=None)).record(FIRST, 0).record(FIRST, 950)
    assert story.named(SESSION_HEARTBEAT) == []
    assert story.rows["k1"].last_seen_at == 950


def test_heartbeat_slots_keep_their_anchor_when_an_earlier_start_arrives() -> None:
    racing = msgspec.structs.replace(FIRST, started_at=60, last_seen_at=60)
    story = Story().record(racing, 60).record(FIRST, 0).record(FIRST, 150).record(FIRST, 160)
    row = story.rows["k1"]
    assert (row.started_at, row.anchor) == (0, 60)
    assert [event.time for event in story.named(SESSION_HEARTBEAT)] == [160]


# --- ends ----------------------------------------------------------------------------------------------------------


def test_a_successor_ends_the_previous_session_in_the_same_batch() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 500)
    story.record(msgspec.structs.replace(SECOND, previous_seen_at=500), 2_000, Entry("bought", 2_000))

    old = story.rows["k1"]
    assert (old.end_reason, old.last_seen_at, old.sealed_at) == (EndReason.IDLE_TIMEOUT, 500, 2_000)
    assert [(event.name, event.session_key) for event in story.last.events] == [
        (SESSION_END, "k1"),
        (SESSION_START, "k2"),
        ("bought", "k2"),
    ]
    end = story.last.events[0]
    assert (end.time, end.id) == (500, event_id(0, "k1", "session.end", "0"))
    assert end.attributes["session.end_reason"] == "idle_timeout"
    assert end.attributes["session.duration_ms"] == 500
    assert (end.attributes["session.requests"], end.attributes["session.page_views"]) == (2, 0)
    assert story.last.counts == {"sessions.ended": 1, "sessions.started": 1}
    assert story.last.changed == {"k1", "k2"}


def test_end_session_ends_the_session_at_the_moment_of_the_call() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 50, SEAL)
    row = story.rows["k1"]
    assert (row.sealed_at, row.last_seen_at, row.end_reason, row.late) == (50, 50, EndReason.ENDED, 0)
    assert story.names()[-1] == SESSION_END


def test_activity_after_the_end_is_late_and_moves_nothing() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 50, SEAL)
    story.record(FIRST, 950, Entry("bought", 950))

    row = story.rows["k1"]
    assert (row.last_seen_at, row.late, row.requests) == (50, 1, 3)
    assert story.last.counts == {"activity.late": 1}
    assert [event.name for event in story.last.events] == ["bought"], "no heartbeat, no second end"
    assert story.last.events[0].attributes["session.late"] is True


@pytest.mark.parametrize("is_unread", [True, False])
def test_an_overtaken_record_ends_a_succeeded_session_again(is_unread: bool) -> None:
    """Its first end stays before the start of the next session, also where no backend has read it. No heartbeat is due."""
    story = Story().record(FIRST, 0)
    story.record(SECOND, 2_000)
    unread = frozenset({row_events.end_id(story.rows["k1"])} if is_unread else ())
    story.record(FIRST, 700, Entry("page_view", 700), unread=unread)
    row = story.rows["k1"]
    assert (row.last_seen_at, row.late, row.end_reason) == (700, 0, EndReason.IDLE_TIMEOUT)
    assert [event.name for event in story.last.events] == ["page_view", SESSION_END]
    assert "session.late" not in story.last.events[0].attributes
    assert story.last.withdrawn == []
    first, again = story.named(SESSION_END)
    assert (first.time, first.attributes["session.page_views"]) == (0, 0), "what went out is frozen"
    assert (again.time, again.attributes["session.page_views"]) == (700, 1)
    assert again.attributes["session.end_revision"] == 1


def test_an_unread_revision_is_replaced_by_the_next() -> None:
    story = Story().record(FIRST, 0).record(SECOND, 2_000).record(FIRST, 700)
    unread = frozenset({row_events.end_id(story.rows["k1"])})
    story.record(FIRST, 800, unread=unread)
    assert story.last.withdrawn == [*unread]
    assert story.named(SESSION_END)[-1].attributes["session.end_revision"] == 1
    assert story.rows["k1"].end_revision == 1


@pytest.mark.parametrize("is_unread", [True, False])
def test_an_end_that_late_events_follow_stays_before_them(is_unread: bool) -> None:
    story = Story().record(FIRST, 0).record(FIRST, 50, SEAL).record(FIRST, 50, Entry("bought", 50))
    assert story.last.events[0].attributes["session.late"] is True
    unread = frozenset({row_events.end_id(story.rows["k1"])} if is_unread else ())
    story.record(FIRST, 20, Entry("page_view", 20), unread=unread)
    assert story.last.withdrawn == []
    assert story.names() == [SESSION_START, SESSION_END, "bought", "page_view", SESSION_END]
    assert story.last.events[-1].attributes["session.end_revision"] == 1


def test_sessions_after_one_have_an_order_of_their_own() -> None:
    first, second, third = (
        merge.new_row(about(msgspec.structs.replace(SECOND, key=key, started_at=at), at, 0), SERVICE)
        for key, at in (("c", 2_000), ("b", 3_000), ("a", 3_000))
    )
    rows = {row.key: row for row in (second, first, third)}
    previous = merge.new_row(about(FIRST, 0, 0), SERVICE)
    assert [row.key for row in Folded(rows).after(previous)] == ["c", "a", "b"]


@pytest.mark.parametrize("is_unread", [True, False])
def test_a_page_that_an_end_by_a_call_missed_is_in_its_end(is_unread: bool) -> None:
    """Another recorder held it: that of a journal in memory, or of another host."""
    story = Story().record(FIRST, 0).record(FIRST, 50, SEAL)
    unread = frozenset({row_events.end_id(story.rows["k1"])} if is_unread else ())
    story.record(FIRST, 20, Entry("page_view", 20), unread=unread)
    end = story.last.events[-1]
    assert (end.name, end.time, end.attributes["session.page_views"]) == (SESSION_END, 50, 1)
    assert end.attributes.get("session.end_revision") == (None if is_unread else 1)
    assert story.last.withdrawn == [*unread]
    assert story.last.counts["sessions.ended"] == 0
    assert story.last.counts["sessions.revised"] == (not is_unread)


def test_a_request_without_an_event_from_before_the_end_revises_nothing() -> None:
    """A poll that was in flight while its visitor logged out."""
    story = Story().record(FIRST, 0).record(FIRST, 50, SEAL).record(FIRST, 20)
    assert story.last.events == []
    assert story.rows["k1"].requests == 3


def test_an_end_missed_within_one_batch_is_made_once() -> None:
    story = Story().record(FIRST, 0)
    ending = Numbered("j:2", about(FIRST, 50, ACTIVITY, (SEAL,)))
    missed = Numbered("k:1", about(FIRST, 20, ACTIVITY, (Entry("page_view", 20),)))
    story.fold([ending, missed])
    assert [event.name for event in story.last.events] == ["page_view", SESSION_END]
    assert story.rows["k1"].end_revision == 0


def test_at_the_seal_only_the_sealing_requests_activity_counts() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 2_000).record(SECOND, 2_000)
    assert story.rows["k1"].last_seen_at == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "the other way"])
def test_the_earliest_seal_holds_and_its_reason(order: tuple[int, int]) -> None:
    seals = [
        Entry(SESSION_END, 50, seal=Seal(EndReason.ENDED, 50)),
        Entry(SESSION_END, 80, seal=Seal(EndReason.OPTED_OUT, 80)),
    ]
    story = Story().record(FIRST, 0)
    for which in order:
        story.record(FIRST, seals[which].at, seals[which])
    row = story.rows["k1"]
    assert (row.sealed_at, row.sealed_reason, row.last_seen_at) == (50, EndReason.ENDED, 50)
    assert story.named(SESSION_END)[-1].attributes["session.end_reason"] == EndReason.ENDED
    assert len(story.named(SESSION_END)) == 1 + order[0]


def test_of_two_seals_at_one_moment_the_later_activity_holds() -> None:
    row = merge.new_row(about(FIRST, 0, 0), SERVICE)
    merge.seal(row, 90, EndReason.ENDED, 90)
    merge.seal(row, 90, EndReason.ENDED, 40)
    assert (row.sealed_seen_at, row.last_seen_at) == (90, 90)


def test_an_overtaking_successor_seals_the_previous_session_when_it_arrives() -> None:
    story = Story().record(msgspec.structs.replace(SECOND, previous_seen_at=300), 2_000)
    state = begin(visitor_id="v", visitor_since=0, key="k1", now=0, session_id="1234567890")
    story.record(state, 300, Entry("bought", 300))

    assert [event.name for event in story.last.events] == [SESSION_START, "bought", SESSION_END]
    assert story.last.events[2].time == 300
    assert story.rows["k2"].previous_id == "1234567890"
    assert story.last.changed == {"k1", "k2"}


def test_beyond_eight_late_activities_the_seal_decides_the_end() -> None:
    story = Story().record(FIRST, 0).record(FIRST, 600)
    for at in range(2_000, 2_009):
        story.record(FIRST, at)
    assert story.record(msgspec.structs.replace(SECOND, previous_seen_at=500), 2_000).rows["k1"].last_seen_at == 500


def test_racing_successors_share_the_earliest_start_and_the_latest_previous_end() -> None:
    story = Story().record(FIRST, 0)
    story.record(msgspec.structs.replace(SECOND, started_at=2_010, previous_seen_at=100), 2_010)
    story.record(msgspec.structs.replace(SECOND, previous_seen_at=300), 2_000)

    assert story.rows["k2"].started_at == 2_000
    assert (story.rows["k1"].sealed_at, story.rows["k1"].last_seen_at) == (2_000, 300)
    assert story.names("k2").count(SESSION_START) == 1


def test_a_successor_names_its_previous_session_even_if_it_is_unknown() -> None:
    story = Story().record(SECOND, 2_000)
    assert story.events[0].previous_id == "k1"
    assert story.events[0].attributes["session.previous_id"] == "k1"
    assert len(story.events) == 1


def test_an_earlier_start_makes_a_session_without_activity_no_longer() -> None:
    racing = msgspec.structs.replace(FIRST, started_at=60, last_seen_at=60)
    row = (
        Story()
        .record(racing, 60, Entry("bought", 60), flags=0)
        .record(FIRST, 0, Entry("bought", 0), flags=0)
        .rows["k1"]
    )
    assert (row.started_at, row.last_seen_at) == (0, 0)


@pytest.mark.parametrize("reason", EndReason)
def test_which_end_reasons_link_the_successor(reason: EndReason) -> None:
    story = Story().record(FIRST, 0).record(succeed(FIRST, reason, key="k2", now=2_000), 2_000)
    linked = reason not in {EndReason.ENDED, EndReason.OPTED_OUT}
    start = story.events[-1]
    assert (start.previous_id, "session.previous_id" in start.attributes) == (("k1", True) if linked else (None, False))


def test_a_previous_key_without_a_reason_seals_nothing() -> None:
    record = Record(at=2_000, key="k2", visitor_id="v", started_at=2_000, flags=ACTIVITY, previous_key="k1")
    story = Story().record(FIRST, 0).fold([Numbered("j:x", record)])
    assert story.rows["k1"].is_open


def test_an_open_session_has_no_end_event() -> None:
    with pytest.raises(ValueError, match="open session"):
        row_events.end(Story().record(FIRST, 0).rows["k1"])


def test_a_session_is_closed_once() -> None:
    out = Folded(Story().record(FIRST, 0).rows)
    close(out.rows["k1"], EndReason.ENDED, out)
    close(out.rows["k1"], EndReason.IDLE_TIMEOUT, out)
    assert [event.attributes["session.end_reason"] for event in out.events] == ["ended"]


def test_a_revised_end_has_its_revision_in_id_and_attributes() -> None:
    row = Story().record(FIRST, 0).rows["k1"]
    row.end_reason, row.end_revision = EndReason.IDLE_TIMEOUT, 2
    end = row_events.end(row)
    assert end.attributes["session.end_revision"] == 2
    assert end.id == event_id(0, "k1", "session.end", "2")


# --- origins and what to load --------------------------------------------------------------------------------------


def test_the_origin_is_that_of_the_earliest_first_request() -> None:
    story = Story().record(FIRST, 9)
    for at in (5, 3, 4):
        story.record(FIRST, at, flags=STARTS, origin={"url.path": f"/{at}", "service.name": "web"})
    row = story.rows["k1"]
    assert (row.entry_path, row.origin["service.name"], row.origin_at) == ("/3", "web", 3)


def test_the_rows_that_a_batch_needs() -> None:
    tagged = about(FIRST, 1, ACTIVITY, (user("ada", 1),))
    records = [Numbered("1", tagged), Numbered("2", about(SECOND, 2_000, ACTIVITY))]
    assert own_keys(records) == {"k1", "k2"}
    assert also_needed(records, {}) == Needed(keys=frozenset({"k1"}), successors_of=frozenset({"k1", "k2"}))

    rows = Story().fold(records).rows
    usual = [Numbered("3", about(SECOND, 2_005, ACTIVITY, (Entry("bought", 5),))), Numbered("4", about(FIRST, 1, 0))]
    assert also_needed(usual, rows) == Needed(keys=frozenset(), successors_of=frozenset())
    missed = [Numbered("3", about(FIRST, 5, ACTIVITY, (Entry("bought", 5),)))]
    assert also_needed(missed, rows).successors_of == {"k1"}, "its first end stays before the start of its successor"
    assert also_needed(records[:1], rows).successors_of == {"k1"}

    del rows["k1"]
    for racing in (
        msgspec.structs.replace(SECOND, started_at=1_999),
        msgspec.structs.replace(SECOND, previous_seen_at=7),
    ):
        assert also_needed([Numbered("5", about(racing, 2_005, 0))], rows).keys == {"k1"}


def test_a_service_without_a_name_adds_nothing_to_events() -> None:
    folded = fold([Numbered("1", about(FIRST, 0, ACTIVITY))], {}, RULES, defaults={})
    assert folded.events[0].attributes == {
        "session.id": "k1",
        "visitor.id": "v",
        "session.start_inferred": True,
    }


def test_the_latest_moments_of_activity_are_kept_in_order() -> None:
    row = merge.new_row(about(FIRST, 0, 0), SERVICE)
    for at in (5, 3, 9, 3, 9, 1, 2, 4, 6, 7, 8):
        merge.activity(row, at)
    assert row.activity == [9, 8, 7, 6, 5, 4, 3, 2]
    assert row.last_seen_at == 9


def test_the_sessions_before_those_that_start_here() -> None:
    starting = about(SECOND, 100, STARTS | ACTIVITY, (), ORIGIN)
    going_on = about(SECOND, 110, ACTIVITY)
    assert previous_keys([Numbered("j:1", starting), Numbered("j:2", going_on)]) == {"k1"}
    assert (
        previous_keys([Numbered("j:2", going_on), Numbered("j:3", about(FIRST, 0, STARTS, (), ORIGIN))]) == frozenset()
    )


def test_the_exit_page_is_that_of_the_last_page_view_that_is_kept() -> None:
    story = Story().record(FIRST, 0, flags=STARTS | ACTIVITY, origin=ORIGIN)
    story.record(FIRST, 10, Entry(PAGE_VIEW, 10, {"url.path": "/out"}), flags=ACTIVITY)
    set_exit_pages(story.rows, story.events)
    assert story.rows["k1"].exit_path == "/out"


def test_an_end_that_a_start_made_too_late_follows_the_earlier_start() -> None:
    """Another host's clock is ahead: the session starts after its end, until the start that came first is recorded."""
    late, early = (msgspec.structs.replace(FIRST, started_at=at, last_seen_at=at) for at in (5, 4))
    story = Story().record(succeed(early, EndReason.RESTARTED, key="k2", now=4), 4, flags=STARTS | ACTIVITY)
    story.record(late, 5)
    (first,) = story.named(SESSION_END)
    story.record(early, 4)
    last = story.named(SESSION_END)[-1]
    row = story.rows["k1"]
    assert (first.time, last.time, row.last_seen_at, row.end_reason) == (5, 4, 4, EndReason.RESTARTED)
    assert last.attributes["session.end_revision"] == 1
