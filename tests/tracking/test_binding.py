"""The table of states at the top of `binding.py`, row by row."""

from __future__ import annotations

import re

import pytest

from sojourn.core.session import EndReason, SessionState, begin, end
from sojourn.pipeline.shared_table import SharedTable
from sojourn.tracking import binding
from sojourn.tracking.binding import NOT_RECOGNISED, OPTED_OUT, Choice, SessionBinding, recognised
from sojourn.tracking.cookie import Verified
from sojourn.tracking.session_cache import CachedSession

FIRST = begin(visitor_id="v", visitor_since=1, key="first", now=1_000)
NEXT = begin(visitor_id="v", visitor_since=1, key="next", now=9_000)
COOKIE = Verified(FIRST, 0)
SHARED = SharedTable(None).entry(1)


def running() -> SessionBinding:
    return recognised(COOKIE, CachedSession(FIRST, 0, SHARED), None)


def over() -> SessionBinding:
    return recognised(COOKIE, CachedSession(FIRST, 0, SHARED), EndReason.IDLE_TIMEOUT)


def ended() -> SessionBinding:
    return recognised(COOKIE, CachedSession(end(FIRST), 0, SHARED), EndReason.ENDED)


ROWS = [
    ("not recognised", NOT_RECOGNISED),
    ("running", running()),
    ("over", over()),
    ("drafted", NOT_RECOGNISED.begin(NEXT)),
    ("drafted", over().begin(NEXT)),
    ("drafted", running().begin(NEXT)),
    ("begun", NOT_RECOGNISED.begin(NEXT).commit(CachedSession(NEXT, 0, SHARED))),
    ("ended", ended()),
    ("draft ended", over().begin(NEXT).revise(end(NEXT))),
    ("refused", running().refuse("no_consent")),
    ("refused", NOT_RECOGNISED.refuse("bot")),
    ("opted out", over().begin(NEXT).opt_out()),
]


def table() -> dict[str, list[str]]:
    rows = (re.split(r" {2,}", line.strip()) for line in (binding.__doc__ or "").splitlines() if "  " in line.strip())
    return {name: cells for name, *cells in rows}


@pytest.mark.parametrize(("name", "value"), ROWS)
def test_the_table_of_states_says_which_fields_are_set(name: str, value: SessionBinding) -> None:
    columns = table()["state"]
    for column, cell in zip(columns, table()[name], strict=True):
        is_set = bool(getattr(value, column))
        assert cell == "any" or is_set == (cell != "-"), (column, cell)


def test_the_table_has_every_row() -> None:
    assert set(table()) - {"state", "-" * 14} == {name for name, _ in ROWS}


@pytest.mark.parametrize(
    ("value", "state", "pending"),
    [
        pytest.param(NOT_RECOGNISED, None, None, id="not recognised"),
        pytest.param(running(), FIRST, None, id="running"),
        pytest.param(over(), None, EndReason.IDLE_TIMEOUT, id="over"),
        pytest.param(over().begin(NEXT), NEXT, None, id="drafted"),
        pytest.param(ended(), None, EndReason.ENDED, id="ended"),
        pytest.param(over().begin(NEXT).revise(end(NEXT)), None, EndReason.ENDED, id="draft ended"),
        pytest.param(running().refuse("bot"), None, None, id="refused"),
        pytest.param(running().opt_out(), None, None, id="opted out"),
    ],
)
def test_the_current_session_and_why_it_is_to_be_succeeded(
    value: SessionBinding, state: SessionState | None, pending: EndReason | None
) -> None:
    assert (value.state, value.pending) == (state, pending)


def test_following_the_browser_sees_where_another_request_moved_it() -> None:
    live = CachedSession(FIRST, 0, SHARED)
    value = recognised(COOKIE, live, None)
    assert not value.has_moved_on
    live.become(NEXT, SHARED)
    assert value.has_moved_on
    assert value.is_left_behind(has_ended_it=False)
    assert not value.follow(live, None).has_moved_on


def test_a_session_that_another_request_ended_is_left_behind_but_not_one_that_this_request_ended() -> None:
    live = CachedSession(FIRST, 0, SHARED)
    value = recognised(COOKIE, live, None)
    live.state = end(FIRST)
    assert value.is_left_behind(has_ended_it=False)
    assert not value.is_left_behind(has_ended_it=True)


def test_dropping_a_draft_goes_back_to_the_one_before_or_to_none() -> None:
    twice = over().begin(FIRST).begin(NEXT)
    assert twice.drop_draft(FIRST, None).state is FIRST
    dropped = twice.drop_draft(None, EndReason.IDLE_TIMEOUT)
    assert (dropped.draft, dropped.begun_key, dropped.over) == (None, "", EndReason.IDLE_TIMEOUT)


def test_refusing_keeps_the_cookie_and_the_choice() -> None:
    value = running().opt_out()
    assert (value.refused, value.arrived, value.choice) == (OPTED_OUT, COOKIE, Choice.OUT)
    assert value.refuse("report").choice is Choice.OUT
