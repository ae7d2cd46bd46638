"""Folding is a join: records in any order and any batches come to the same sessions and the same events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.events import SESSION_END, SESSION_HEARTBEAT, SESSION_START, Event
from sojourn.core.records import ACTIVITY
from sojourn.core.session import Rules
from sojourn.pipeline.record.fold import Numbered
from tests.core.player import BEAT, RULES, Step, Visitor, steps
from tests.pipeline.shelf import Shelf, event_ids, joined

KEEP = replace(RULES, split_on_user_change=False)
FOREVER = 2**45


def in_order(visitor: Visitor, rules: Rules = RULES) -> Shelf:
    shelf = Shelf(rules)
    for record in visitor.records:
        shelf.apply([record])
    return shelf


@st.composite
def splits(draw: st.DrawFn, records: Sequence[Numbered], *, is_shuffled: bool) -> list[list[Numbered]]:
    order = draw(st.permutations(records)) if is_shuffled else list(records)
    cuts = draw(st.lists(st.integers(0, len(order)), max_size=4))
    edges = [0, *sorted(cuts), len(order)]
    return [order[start:stop] for start, stop in pairwise(edges) if start < stop]


@pytest.mark.parametrize("rules", [RULES, KEEP], ids=["split", "keep"])
@given(data=st.data(), played=steps(max_size=9, is_lossy=True))
def test_any_order_and_any_batches_fold_to_the_same_sessions_and_events(
    rules: Rules, data: st.DataObject, played: list[Step]
) -> None:
    visitor = Visitor(rules).play(played)
    expected = in_order(visitor, rules)
    shelf = Shelf(rules)
    for batch in data.draw(splits(visitor.records, is_shuffled=True)):
        shelf.apply(batch)

    assert joined(shelf.rows()) == joined(expected.rows())
    assert event_ids(shelf.log) == event_ids(expected.log)
    last_ends = {event.session_key: event for event in shelf.log if event.name == SESSION_END}
    for key, row in shelf.rows().items():
        if not row.is_open:
            end = last_ends[key]
            assert (end.time, end.attributes["session.end_reason"]) == (row.last_seen_at, row.end_reason)


@given(data=st.data(), played=steps(max_size=9, is_lossy=True))
def test_a_user_conflict_is_seen_in_any_order(data: st.DataObject, played: list[Step]) -> None:
    by_app_alone = [step for step in played if step.action not in {"principal", "nobody"}]
    visitor = Visitor().play(by_app_alone)
    shelf = Shelf()
    for batch in data.draw(splits(visitor.records, is_shuffled=True)):
        shelf.apply(batch)

    expected = in_order(visitor).rows()
    assert {key for key, row in shelf.rows().items() if row.user_conflicts} == {
        key for key, row in expected.items() if row.user_conflicts
    }


@given(data=st.data(), played=steps(max_size=20, is_lossy=True))
def test_in_journal_order_batches_do_not_matter_at_all(data: st.DataObject, played: list[Step]) -> None:
    visitor = Visitor().play(played)
    expected = in_order(visitor)
    shelf = Shelf()
    for batch in data.draw(splits(visitor.records, is_shuffled=False)):
        shelf.apply(batch)

    assert shelf.log == expected.log
    assert shelf.rows() == expected.rows()
    assert shelf.counts == expected.counts


@given(played=steps(max_size=20, is_lossy=True))
def test_the_log_has_previous_end_then_start_then_events_then_end(played: list[Step]) -> None:
    visitor = Visitor().play(played)
    shelf = in_order(visitor)
    rows = shelf.rows()
    place = {event.id: number for number, event in enumerate(shelf.log)}
    for key, row in rows.items():
        own = [event for event in shelf.log if event.session_key == key]
        on_time = [event for event in own if "session.late" not in event.attributes]
        names = [event.name for event in on_time]
        assert names[0] == SESSION_START
        assert names.count(SESSION_START) == 1
        assert names.count(SESSION_END) == (0 if row.is_open else row.end_revision + 1)
        if not row.is_open:
            assert names[-1] == SESSION_END
            assert row.end_event_id == on_time[-1].id
            first_end = next(event for event in own if event.name == SESSION_END)
            assert all(place[event.id] > place[first_end.id] for event in own if event not in on_time)
        if row.previous_key in rows:
            first_end = next(e for e in shelf.log if e.name == SESSION_END and e.session_key == row.previous_key)
            assert place[first_end.id] < place[own[0].id]


@given(played=steps(max_size=20, is_lossy=True, runs_back=False))
def test_folded_sessions_never_overlap_and_end_at_their_last_activity(played: list[Step]) -> None:
    visitor = Visitor().play(played)
    shelf = in_order(visitor)
    rows = sorted(shelf.rows().values(), key=lambda row: (row.started_at, row.last_seen_at))
    activity = {numbered.record.at for numbered in visitor.records}
    for row in rows:
        assert row.started_at <= row.last_seen_at
        assert row.last_seen_at in activity | {row.started_at}
        if row.sealed_at is not None:
            assert row.last_seen_at <= max(row.sealed_at, row.started_at)
    for before, after in pairwise(rows):
        assert before.last_seen_at <= after.started_at


@given(played=steps(max_size=20))
def test_folded_sessions_are_those_of_the_visitor(played: list[Step]) -> None:
    visitor = Visitor().play([step for step in played if step.action != "stream"])
    rows = in_order(visitor).rows()

    lived = {key: (span.started_at, span.last_seen_at, span.reason) for key, span in visitor.spans.items()}
    assert {key: (row.started_at, row.last_seen_at, row.end_reason) for key, row in rows.items()} == lived


@given(played=steps(max_size=25, is_lossy=True))
def test_a_duration_never_shrinks_while_records_come_in_order(played: list[Step]) -> None:
    visitor = Visitor().play([replace(step, is_lost=False) for step in played])
    shelf = Shelf()
    longest: dict[str, int] = {}
    for record in visitor.records:
        shelf.apply([record])
        for key, row in shelf.rows().items():
            assert row.last_seen_at - row.started_at >= longest.get(key, 0)
            longest[key] = row.last_seen_at - row.started_at


@given(data=st.data(), played=steps(max_size=14, is_lossy=True))
def test_heartbeats_are_at_most_one_per_slot_and_only_for_activity(data: st.DataObject, played: list[Step]) -> None:
    visitor = Visitor().play(played)
    shelf = Shelf()
    for batch in data.draw(splits(visitor.records, is_shuffled=data.draw(st.booleans()))):
        shelf.apply(batch)

    rows = shelf.rows()
    beats: dict[str, list[int]] = {}
    for event in shelf.log:
        if event.name != SESSION_HEARTBEAT:
            continue
        row = rows[event.session_key]
        assert "session.late" not in event.attributes
        beats.setdefault(row.key, []).append((event.time - row.anchor) // BEAT)
        assert any(
            numbered.record.at == event.time and numbered.record.flags & ACTIVITY for numbered in visitor.records
        )
    for slots in beats.values():
        assert slots[0] > 0
        assert all(before < after for before, after in pairwise(slots)), "a slot twice, or a skipped one made up"


@given(data=st.data(), played=steps(max_size=14, is_lossy=True, runs_back=False))
def test_with_a_sweeper_every_session_ends_once_per_revision(data: st.DataObject, played: list[Step]) -> None:
    visitor = Visitor().play(played)
    shelf = Shelf()
    seen: dict[str, Event] = {}
    for batch in data.draw(splits(visitor.records, is_shuffled=False)):
        shelf.apply(batch)
        if data.draw(st.booleans(), label="sweep"):
            shelf.sweep(batch[-1].record.at + data.draw(st.integers(0, 3_000), label="too late by"))
        if data.draw(st.booleans(), label="deliver"):
            shelf.deliver()
            for event in shelf.log:
                assert seen.setdefault(event.id, event) == event
    shelf.sweep(FOREVER)
    shelf.sweep(FOREVER)

    rows = shelf.rows()
    assert shelf.counts["sessions.started"] == shelf.counts["sessions.ended"] == len(rows)
    assert all(event in shelf.log for event in seen.values()), "an event that a backend had read was taken back"
    for key, row in rows.items():
        ends = [event for event in shelf.log if event.name == SESSION_END and event.session_key == key]
        revisions = [event.attributes.get("session.end_revision", 0) for event in ends]
        assert revisions == list(range(row.end_revision + 1)), "one end a revision, in their order"
        is_succeeded = any(later.previous_key == key for later in rows.values())
        assert all(event.id in seen for event in ends[is_succeeded:-1]), "what no backend has read is no revision"
        assert row.started_at <= ends[-1].time <= row.last_seen_at
        assert ends[-1].time == row.last_seen_at
