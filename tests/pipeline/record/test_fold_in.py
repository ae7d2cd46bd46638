"""A successor that the row of the session before contradicts is part of that session."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from sojourn.core.events import COOKIELESS, PAGE_VIEW, VISITOR_KIND
from sojourn.core.records import ACTIVITY, CARRIED, MANUAL, REQUEST, STARTS, Entry, Origin, Record, about
from sojourn.core.session import EndReason, SessionState, begin, succeed
from sojourn.pipeline.record.fold import Numbered
from sojourn.pipeline.record.fold_in import FoldedIn, fold_in
from sojourn.stores.rows import SessionRow
from tests.pipeline.record.story import FIRST, ORIGIN, RULES, Story

# The cookie says 0; the row, by another host's records, 1,500; the successor starts at 2,000. Idle is 1,000.
STARTED = succeed(FIRST, EndReason.IDLE_TIMEOUT, key="k2", now=2_000)


def session_seen(*times: int) -> SessionRow:
    story = Story()
    for at in (0, *times):
        story.record(FIRST, at)
    return story.rows["k1"]


def start(state: SessionState = STARTED, *, at: int = 2_000, flags: int = 0) -> Record:
    entries = (Entry(PAGE_VIEW, at, {"url.path": "/next"}),)
    return about(state, at, STARTS | ACTIVITY | REQUEST | flags, entries, ORIGIN)


def folded_in(*records: Record, row: SessionRow | None = None, unread: str = "", **aliases: str) -> FoldedIn:
    row = session_seen(900, 1_500) if row is None else row
    numbered = [Numbered(f"h:{number}", record) for number, record in enumerate(records)]
    return fold_in(numbered, {row.key: row}, frozenset({unread}), aliases, RULES)


def test_contradicted_successor_goes_on_with_the_session_before() -> None:
    later = about(STARTED, 2_100, ACTIVITY | REQUEST)
    inside = folded_in(start(), later)
    assert inside.aliases == {"k2": "k1"}
    assert [numbered.rid for numbered in inside.records] == ["h:0", "h:1"]
    story = Story()
    for at in (0, 900, 1_500):
        story.record(FIRST, at)
    story.fold(inside.records)
    assert set(story.rows) == {"k1"}
    row = story.rows["k1"]
    assert (row.is_open, row.started_at, row.last_seen_at, row.requests, row.page_views) == (True, 0, 2_100, 5, 1)
    assert row.entry_path is None
    assert [event.session_id for event in story.named(PAGE_VIEW)] == ["k1"]
    assert [event.name for event in story.events].count("session.start") == 1


def test_session_that_the_sweeper_ended_goes_on_if_no_backend_has_read_its_end() -> None:
    story = Story()
    for at in (0, 900, 1_500):
        story.record(FIRST, at)
    story.sweep(9_000)
    row = story.rows["k1"]
    assert folded_in(start(), row=row).aliases == {}
    end = row.end_event_id or ""
    inside = folded_in(start(), row=row, unread=end)
    assert inside.aliases == {"k2": "k1"}
    story.fold(inside.records, frozenset({end}))
    assert (story.rows["k1"].is_open, story.last.withdrawn) == (True, [end])


BOTH_STAND = {
    "the cookie knew of all activity": (session_seen(), start()),
    "no activity within an idle timeout": (session_seen(900), start()),
    "activity exactly an idle timeout before": (session_seen(1_000), start()),
    "activity after the start alone": (session_seen(2_500), start()),
    "a call ended the session before": (
        session_seen(1_500),
        start(succeed(FIRST, EndReason.RESTARTED, key="k2", now=2_000)),
    ),
    "its user changed": (session_seen(1_500), start(succeed(FIRST, EndReason.USER_CHANGED, key="k2", now=2_000))),
    "it was too long": (session_seen(1_500), start(succeed(FIRST, EndReason.MAX_DURATION, key="k2", now=2_000))),
    "it would be too long": (
        session_seen(4_500),
        start(succeed(FIRST, EndReason.IDLE_TIMEOUT, key="k2", now=5_000), at=5_000),
    ),
    "the successor is manual": (session_seen(1_500), start(flags=MANUAL)),
    "a carried call made it": (session_seen(1_500), start(flags=CARRIED)),
}


@pytest.mark.parametrize(("row", "record"), BOTH_STAND.values(), ids=BOTH_STAND)
def test_both_stand(row: SessionRow, record: Record) -> None:
    inside = folded_in(record, row=row)
    assert (inside.aliases, inside.records) == ({}, [Numbered("h:0", record)])


def test_both_stand_where_the_session_before_is_manual_sealed_or_unknown() -> None:
    manual, sealed = session_seen(1_500), session_seen(1_500)
    manual.is_manual = True
    sealed.sealed_at = 1_600
    for row in (manual, sealed):
        assert folded_in(start(), row=row).aliases == {}
    assert fold_in([Numbered("h:0", start())], {}, frozenset(), {}, RULES).aliases == {}
    no_previous = about(FIRST, 5, ACTIVITY)
    assert folded_in(no_previous, row=session_seen()).records == [Numbered("h:0", no_previous)]


def test_successor_that_has_a_row_stands() -> None:
    rows = {row.key: row for row in (session_seen(1_500), Story().record(STARTED, 2_000).rows["k2"])}
    assert fold_in([Numbered("h:0", start())], rows, frozenset(), {}, RULES).aliases == {}


def test_one_judgement_holds_for_all_records_of_a_session() -> None:
    late_start = msgspec.structs.replace(STARTED, started_at=2_600)
    assert folded_in(start(), start(late_start, at=2_600)).aliases == {"k2": "k1"}
    assert folded_in(start(late_start, at=2_600), start()).aliases == {}


def test_records_of_an_alias_are_those_of_its_session() -> None:
    """Also those of the session after it."""
    row = session_seen(1_500)
    row.session_id, row.previous_key, row.previous_reason, row.previous_seen_at = "1234567890", "k0", EndReason.ENDED, 7
    third = succeed(STARTED, EndReason.RESTARTED, key="k3", now=2_200)
    inside = folded_in(about(STARTED, 2_100, ACTIVITY), about(third, 2_200, ACTIVITY | STARTS), row=row, k2="k1")
    assert inside.aliases == {}
    alias, after = (numbered.record for numbered in inside.records)
    assert (alias.key, alias.session_id, alias.started_at) == ("k1", "1234567890", 0)
    assert (alias.previous_key, alias.previous_reason, alias.previous_seen_at) == ("k0", EndReason.ENDED, 7)
    assert (after.key, after.previous_key, after.previous_reason) == ("k3", "k1", EndReason.RESTARTED)


def test_contradicted_successor_of_an_alias_is_folded_in_too() -> None:
    third = succeed(STARTED, EndReason.IDLE_TIMEOUT, key="k3", now=3_100)
    inside = folded_in(start(third, at=3_100), row=session_seen(1_500, 2_500), k2="k1")
    assert inside.aliases == {"k3": "k1"}


def test_alias_of_an_erased_session_opens_none_of_its_own() -> None:
    inside = fold_in([Numbered("h:0", start())], {}, frozenset(), {"k2": "k1"}, RULES)
    assert (inside.records[0].record.key, inside.aliases) == ("k1", {})


@pytest.mark.parametrize(("at", "is_activity"), [(4_999, True), (5_000, False)])
def test_alias_does_not_extend_its_session_beyond_the_longest(at: int, is_activity: bool) -> None:
    inside = folded_in(about(STARTED, at, ACTIVITY | REQUEST), k2="k1")
    assert bool(inside.records[0].record.flags & ACTIVITY) is is_activity


def test_without_a_longest_duration_there_is_no_limit() -> None:
    rules = replace(RULES, max_duration=None)
    far = succeed(msgspec.structs.replace(FIRST, last_seen_at=8_000), EndReason.IDLE_TIMEOUT, key="k2", now=9_500)
    row = session_seen(9_000)
    inside = fold_in([Numbered("h:0", start(far, at=9_500))], {"k1": row}, frozenset(), {}, rules)
    assert inside.aliases == {"k2": "k1"}
    assert inside.records[0].record.flags & ACTIVITY


# --- visitors without a cookie

ELSEWHERE = begin(visitor_id=FIRST.visitor_id, visitor_since=2_000, key="k2", now=2_000)
WITHOUT = {**ORIGIN, VISITOR_KIND: COOKIELESS}


def begun(state: SessionState = ELSEWHERE, *, flags: int = 0, origin: Origin | None = WITHOUT) -> Record:
    return about(state, state.started_at, STARTS | ACTIVITY | REQUEST | flags, (), origin)


def assigned(record: Record, row: SessionRow | None = None, visitor: str = FIRST.visitor_id) -> dict[str, str]:
    own = session_seen(900, 1_500) if row is None else row
    found = fold_in([Numbered("h:0", record)], {own.key: own}, frozenset(), {}, RULES, in_progress={visitor: own.key})
    return found.aliases


def test_visitor_without_a_cookie_goes_on_with_the_session_in_progress_at_another_host() -> None:
    assert assigned(begun()) == {"k2": "k1"}
    story = Story()
    for at in (0, 900, 1_500):
        story.record(FIRST, at)
    later = about(ELSEWHERE, 2_100, ACTIVITY | REQUEST)
    records = [Numbered("h:0", begun()), Numbered("h:1", later)]
    inside = fold_in(records, story.rows, frozenset(), {}, RULES, in_progress={FIRST.visitor_id: "k1"})
    story.fold(inside.records)
    assert (set(story.rows), story.rows["k1"].last_seen_at) == ({"k1"}, 2_100)


def ended() -> SessionRow:
    story = Story()
    for at in (0, 900, 1_500):
        story.record(FIRST, at)
    story.sweep(9_000)
    return story.rows["k1"]


APART = {
    "it has a cookie": (begun(origin=ORIGIN), None, FIRST.visitor_id),
    "its start is lost": (begun(origin=None), None, FIRST.visitor_id),
    "a manual session": (begun(flags=MANUAL), None, FIRST.visitor_id),
    "another visitor": (begun(), None, "another"),
    "silent for an idle timeout": (begun(), session_seen(1_000), FIRST.visitor_id),
    "that session has ended": (begun(), ended(), FIRST.visitor_id),
    "that session began later": (
        begun(begin(visitor_id=FIRST.visitor_id, visitor_since=0, key="k0", now=-5)),
        None,
        FIRST.visitor_id,
    ),
}


@pytest.mark.parametrize(("record", "row", "visitor"), APART.values(), ids=APART)
def test_visitor_without_a_cookie_begins_a_session(record: Record, row: SessionRow | None, visitor: str) -> None:
    assert assigned(record, row, visitor) == {}


def test_session_that_has_a_row_stays() -> None:
    own, other = session_seen(1_500), session_seen(1_500)
    rows = {"k1": own, "k2": other}
    found = fold_in([Numbered("h:0", begun())], rows, frozenset(), {}, RULES, in_progress={FIRST.visitor_id: "k1"})
    assert found.aliases == {}
