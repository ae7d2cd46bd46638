"""The fake Exceptionless folds sessions as the server does, its oddities included: by id, by user, by the job that closes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.testing import ManualClock
from sojourn.testing.vendors import FakeExceptionless
from tests.backends.vendors.exceptionless.calls import DAY, NOON, SESSION, call, folded, post, rows, told

# --- sessions by id


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        pytest.param([[told("session", 0)]], [(0, None, 0)], id="a start"),
        pytest.param([[told("session", 0), told("usage", 60)]], [(0, None, 60)], id="and activity"),
        pytest.param([[told("session", 0)], [told("usage", 60)]], [(0, None, 60)], id="in another call"),
        pytest.param([[told("session", 0)], [told("heartbeat", 60)]], [(0, None, 60)], id="heartbeat"),
        pytest.param([[told("session", 0)], [told("sessionend", 60)]], [(0, 60, 60)], id="an end is dated"),
        pytest.param(
            [[told("session", 0), told("usage", 60)], [told("sessionend", 30)]],
            [(0, 60, 60)],
            id="an end is never before the last activity",
        ),
        pytest.param(
            [[told("session", 0), told("usage", 60)], [told("usage", 30)]],
            [(0, None, 60)],
            id="no duration shrinks",
        ),
        pytest.param(
            [[told("session", 0), told("usage", 90), told("sessionend", 60)]],
            [(0, 90, 90)],
            id="in one call what comes after the end moves it",
        ),
        pytest.param([[told("session", 30), told("usage", 10)]], [(10, None, 20)], id="in one call a start moves back"),
        pytest.param(
            [[told("usage", 30)], [told("session", 0)]],
            [(30, None, 0)],
            id="in two calls it does not, and the real start goes",
        ),
        pytest.param([[told("usage", 30)]], [(30, None, 0)], id="what has no start gets one"),
        pytest.param([[told("heartbeat", 30)]], [(30, None, 0)], id="a heartbeat too"),
        pytest.param([[told("sessionend", 30)]], [], id="a lone end ends nothing"),
        pytest.param(
            [[told("session", 0)], [told("sessionend", 60)], [told("usage", 90)]],
            [(0, 60, 60), (90, None, 0)],
            id="after an end the same id begins a second row",
        ),
        pytest.param(
            [[told("session", 0, user="anna")], [told("usage", 5, "another-session", user="anna")]],
            [(0, None, 0), (5, None, 0)],
            id="the id counts, not the user",
        ),
    ],
)
def test_sessions_by_id(batches: list[list[dict[str, Any]]], expected: list[tuple[float, float | None, float]]) -> None:
    assert rows(folded(*batches)) == expected


def test_a_start_that_was_made_copies_what_a_row_shows() -> None:
    request = {"user_agent": "UA", "path": "/", "headers": {"a": ["b"]}, "query_string": {"q": "1"}}
    data = {
        "@version": "1.2",
        "@request": request,
        "@environment": {"o_s_name": "Linux", "thread_id": "7"},
        "plan": "x",
    }
    fake = folded([told("usage", 1, user="anna", data=data)])
    row = fake.stored[0]
    assert row.data == {
        "@user": {"identity": "anna"},
        "@version": "1.2",
        "@request": {"path": "/", "user_agent": "UA"},
        "@environment": {"o_s_name": "Linux"},
    }


def test_the_user_of_a_row_is_the_first_one_whatever_comes() -> None:
    fake = folded([told("session", 0)], [told("usage", 5, user="anna")])
    assert [session.user_id for session in fake.sessions()] == [None]


def test_heartbeats_are_not_listed() -> None:
    fake = folded([told("session", 0), told("usage", 1), told("heartbeat", 60), told("sessionend", 60)])
    assert fake.sessions()[0].names == ("session", "usage", "sessionend")


def test_an_invalid_session_id_leaves_the_whole_call_without_sessions() -> None:
    fake = folded([told("usage", 0, "bad id"), told("usage", 1)])
    assert fake.sessions() == []
    assert {reason for reason, _ in fake.discarded} == {"the batch has an invalid session id"}


def test_a_row_is_found_for_a_day_after_its_last_activity() -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    post(fake, told("session", 0))
    for second, expected in ((DAY - 1, 1), (2 * DAY - 2, 1), (3 * DAY, 2)):
        clock.now_ms = NOON + second * 1000
        post(fake, told("usage", second))
        assert len(fake.sessions()) == expected


@given(
    order=st.permutations(range(6)),
    cuts=st.sets(st.integers(1, 5)),
)
def test_whatever_the_calls_no_session_is_lost_or_longer_than_it_was(order: list[int], cuts: set[int]) -> None:
    visit = [
        told("session", 0, reference_id=SESSION),
        *(told("usage", 10 * n, reference_id=f"usage-{n:03}") for n in range(1, 6)),
    ]
    shuffled = [visit[place] for place in order]
    places = [0, *sorted(cuts), len(shuffled)]
    fake = folded(*(shuffled[start:end] for start, end in pairwise(places)))
    ((started, ended, duration),) = rows(fake)
    assert (ended, started + duration) == (None, 50)


# --- sessions by user


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        pytest.param(
            [[told("usage", 0, None, user="anna"), told("usage", 30, None, user="anna")]], [(0, None, 30)], id="one"
        ),
        pytest.param(
            [[told("usage", 0, None, user="anna")], [told("usage", 5, None, user="ben")]],
            [(0, None, 0), (5, None, 0)],
            id="of two users",
        ),
        pytest.param(
            [[told("usage", 0, None, user="anna")], [told("session", 60, None, user="anna")]],
            [(0, None, 60)],
            id="a second start is none",
        ),
        pytest.param(
            [
                [
                    told("session", 0, None, user="anna"),
                    told("sessionend", 30, None, user="anna"),
                    told("usage", 60, None, user="anna"),
                ]
            ],
            [(0, 30, 30), (60, None, 0)],
            id="in one call an end parts",
        ),
        pytest.param([[told("sessionend", 30, None, user="anna")]], [], id="a lone end"),
        pytest.param([[told("usage", 0, None)]], [], id="nobody"),
    ],
)
def test_sessions_by_user(
    batches: list[list[dict[str, Any]]], expected: list[tuple[float, float | None, float]]
) -> None:
    assert rows(folded(*batches)) == expected


def test_a_user_s_session_is_forgotten_after_a_quarter_of_an_hour() -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    for second in (0, 800, 1_600, 2_600):
        clock.now_ms = NOON + second * 1000
        post(fake, told("usage", second, None, user="anna"))
    assert rows(fake) == [(0, None, 1_600), (2_600, None, 0)]


# --- heartbeats by call, and the job


def beat(fake: FakeExceptionless, query: str) -> None:
    assert call(fake, "GET", "/api/v2/events/session/heartbeat", query=query).status == 200


@pytest.mark.parametrize(
    ("query", "job_at", "expected"),
    [
        pytest.param("", 299, (0, None, 0), id="not silent for long"),
        pytest.param("", 300, (0, 0, 0), id="silent for five minutes: it ended at its last activity"),
        pytest.param("id=5e55104f00d", 500, (0, None, 240), id="a heartbeat counts as of when it came"),
        pytest.param("id=5e55104f00d", 600, (0, 240, 240), id="and is the end, when it is long ago"),
        pytest.param("id=5e55104f00d&close=True", 300, (0, 240, 240), id="close ends it, in any letters"),
        pytest.param("id=anna", 500, (0, None, 240), id="by the user"),
        pytest.param("id=ben", 500, (0, 0, 0), id="of somebody else"),
    ],
)
def test_the_job_closes_what_fell_silent(query: str, job_at: int, expected: tuple[float, float | None, float]) -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    post(fake, told("session", 0, user="anna"))
    clock.advance(240)
    beat(fake, query)
    fake.close_inactive(NOON + job_at * 1000)
    assert rows(fake) == [expected]


def test_a_session_younger_than_a_minute_is_left_alone_even_when_it_is_closed() -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    post(fake, told("session", 0))
    beat(fake, f"id={SESSION}&close=true")
    fake.close_inactive(NOON + 59_000)
    assert rows(fake) == [(0, None, 0)]
    fake.close_inactive(NOON + 61_000)
    assert rows(fake) == [(0, 0, 0)]


def test_activity_after_the_job_opens_the_same_row_again() -> None:
    fake = folded([told("session", 0)])
    fake.close_inactive(NOON + 600_000)
    assert rows(fake) == [(0, 0, 0)]
    post(fake, told("heartbeat", 1_500))
    assert rows(fake) == [(0, None, 1_500)]


def test_of_two_sessions_of_a_user_a_heartbeat_closes_the_older() -> None:
    clock = ManualClock(NOON + 30_000)
    fake = FakeExceptionless(now=clock.now)
    post(fake, told("session", 0, "session-old", user="anna"), told("session", 30, "session-new", user="anna"))
    clock.advance(90)
    beat(fake, "id=anna")
    fake.close_inactive(NOON + 121_000)
    assert rows(fake) == [(0, 120, 120), (30, None, 90)]
