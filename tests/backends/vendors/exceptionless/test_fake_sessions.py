"""The fake Exceptionless makes sessions as the server does, oddities included: by id, by user, by its job."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.testing import ManualClock
from sojourn.testing.vendors import FakeExceptionless
from tests.backends.vendors.exceptionless.calls import DAY, NOON, SESSION, call, folded, post, raw_event, rows

# --- sessions by id


@pytest.mark.parametrize(
    ("batches", "expected"),
    [
        pytest.param([[raw_event("session", 0)]], [(0, None, 0)], id="a start"),
        pytest.param([[raw_event("session", 0), raw_event("usage", 60)]], [(0, None, 60)], id="and activity"),
        pytest.param([[raw_event("session", 0)], [raw_event("usage", 60)]], [(0, None, 60)], id="in another call"),
        pytest.param([[raw_event("session", 0)], [raw_event("heartbeat", 60)]], [(0, None, 60)], id="heartbeat"),
        pytest.param([[raw_event("session", 0)], [raw_event("sessionend", 60)]], [(0, 60, 60)], id="an end is dated"),
        pytest.param(
            [[raw_event("session", 0), raw_event("usage", 60)], [raw_event("sessionend", 30)]],
            [(0, 60, 60)],
            id="an end is never before the last activity",
        ),
        pytest.param(
            [[raw_event("session", 0), raw_event("usage", 60)], [raw_event("usage", 30)]],
            [(0, None, 60)],
            id="no duration shrinks",
        ),
        pytest.param(
            [[raw_event("session", 0), raw_event("usage", 90), raw_event("sessionend", 60)]],
            [(0, 90, 90)],
            id="in one call what comes after the end moves it",
        ),
        pytest.param(
            [[raw_event("session", 30), raw_event("usage", 10)]], [(10, None, 20)], id="in one call a start moves back"
        ),
        pytest.param(
            [[raw_event("usage", 30)], [raw_event("session", 0)]],
            [(30, None, 0)],
            id="in two calls it does not, and the real start goes",
        ),
        pytest.param([[raw_event("usage", 30)]], [(30, None, 0)], id="what has no start gets one"),
        pytest.param([[raw_event("heartbeat", 30)]], [(30, None, 0)], id="a heartbeat too"),
        pytest.param([[raw_event("sessionend", 30)]], [], id="a lone end ends nothing"),
        pytest.param(
            [[raw_event("session", 0)], [raw_event("sessionend", 60)], [raw_event("usage", 90)]],
            [(0, 60, 60), (90, None, 0)],
            id="after an end the same id begins a second row",
        ),
        pytest.param(
            [[raw_event("session", 0, user="anna")], [raw_event("usage", 5, "another-session", user="anna")]],
            [(0, None, 0), (5, None, 0)],
            id="the id counts, not the user",
        ),
    ],
)
def test_sessions_by_id(batches: list[list[dict[str, Any]]], expected: list[tuple[float, float | None, float]]) -> None:
    assert rows(folded(*batches)) == expected


def test_generated_start_copies_the_fields_of_a_row() -> None:
    request = {"user_agent": "UA", "path": "/", "headers": {"a": ["b"]}, "query_string": {"q": "1"}}
    data = {
        "@version": "1.2",
        "@request": request,
        "@environment": {"o_s_name": "Linux", "thread_id": "7"},
        "plan": "x",
    }
    fake = folded([raw_event("usage", 1, user="anna", data=data)])
    row = fake.stored[0]
    assert row.data == {
        "@user": {"identity": "anna"},
        "@version": "1.2",
        "@request": {"path": "/", "user_agent": "UA"},
        "@environment": {"o_s_name": "Linux"},
    }


def test_row_keeps_its_first_user() -> None:
    fake = folded([raw_event("session", 0)], [raw_event("usage", 5, user="anna")])
    assert [session.user_id for session in fake.sessions()] == [None]


def test_heartbeats_are_not_listed() -> None:
    fake = folded(
        [raw_event("session", 0), raw_event("usage", 1), raw_event("heartbeat", 60), raw_event("sessionend", 60)]
    )
    assert fake.sessions()[0].names == ("session", "usage", "sessionend")


def test_an_invalid_session_id_leaves_the_whole_call_without_sessions() -> None:
    fake = folded([raw_event("usage", 0, "bad id"), raw_event("usage", 1)])
    assert fake.sessions() == []
    assert {reason for reason, _ in fake.discarded} == {"the batch has an invalid session id"}


def test_a_row_is_found_for_a_day_after_its_last_activity() -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    post(fake, raw_event("session", 0))
    for second, expected in ((DAY - 1, 1), (2 * DAY - 2, 1), (3 * DAY, 2)):
        clock.now_ms = NOON + second * 1000
        post(fake, raw_event("usage", second))
        assert len(fake.sessions()) == expected


@given(
    order=st.permutations(range(6)),
    cuts=st.sets(st.integers(1, 5)),
)
def test_no_session_is_lost_or_too_long_for_any_calls(order: list[int], cuts: set[int]) -> None:
    visit = [
        raw_event("session", 0, reference_id=SESSION),
        *(raw_event("usage", 10 * n, reference_id=f"usage-{n:03}") for n in range(1, 6)),
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
            [[raw_event("usage", 0, None, user="anna"), raw_event("usage", 30, None, user="anna")]],
            [(0, None, 30)],
            id="one",
        ),
        pytest.param(
            [[raw_event("usage", 0, None, user="anna")], [raw_event("usage", 5, None, user="ben")]],
            [(0, None, 0), (5, None, 0)],
            id="of two users",
        ),
        pytest.param(
            [[raw_event("usage", 0, None, user="anna")], [raw_event("session", 60, None, user="anna")]],
            [(0, None, 60)],
            id="a second start is none",
        ),
        pytest.param(
            [
                [
                    raw_event("session", 0, None, user="anna"),
                    raw_event("sessionend", 30, None, user="anna"),
                    raw_event("usage", 60, None, user="anna"),
                ]
            ],
            [(0, 30, 30), (60, None, 0)],
            id="in one call an end parts",
        ),
        pytest.param([[raw_event("sessionend", 30, None, user="anna")]], [], id="a lone end"),
        pytest.param([[raw_event("usage", 0, None)]], [], id="no user"),
    ],
)
def test_sessions_by_user(
    batches: list[list[dict[str, Any]]], expected: list[tuple[float, float | None, float]]
) -> None:
    assert rows(folded(*batches)) == expected


def test_session_of_a_user_is_forgotten_after_15_minutes() -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    for second in (0, 800, 1_600, 2_600):
        clock.now_ms = NOON + second * 1000
        post(fake, raw_event("usage", second, None, user="anna"))
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
        pytest.param("id=ben", 500, (0, 0, 0), id="of another user"),
    ],
)
def test_job_closes_inactive_sessions(query: str, job_at: int, expected: tuple[float, float | None, float]) -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    post(fake, raw_event("session", 0, user="anna"))
    clock.advance(240)
    beat(fake, query)
    fake.close_inactive(NOON + job_at * 1000)
    assert rows(fake) == [expected]


def test_session_younger_than_a_minute_is_not_closed() -> None:
    clock = ManualClock(NOON)
    fake = FakeExceptionless(now=clock.now)
    post(fake, raw_event("session", 0))
    beat(fake, f"id={SESSION}&close=true")
    fake.close_inactive(NOON + 59_000)
    assert rows(fake) == [(0, None, 0)]
    fake.close_inactive(NOON + 61_000)
    assert rows(fake) == [(0, 0, 0)]


def test_activity_after_the_job_reopens_the_row() -> None:
    fake = folded([raw_event("session", 0)])
    fake.close_inactive(NOON + 600_000)
    assert rows(fake) == [(0, 0, 0)]
    post(fake, raw_event("heartbeat", 1_500))
    assert rows(fake) == [(0, None, 1_500)]


def test_heartbeat_closes_the_older_session_of_a_user() -> None:
    clock = ManualClock(NOON + 30_000)
    fake = FakeExceptionless(now=clock.now)
    post(
        fake, raw_event("session", 0, "session-old", user="anna"), raw_event("session", 30, "session-new", user="anna")
    )
    clock.advance(90)
    beat(fake, "id=anna")
    fake.close_inactive(NOON + 121_000)
    assert rows(fake) == [(0, 120, 120), (30, None, 90)]
