"""How much of a thread's time the background takes. Time is a value that the test moves."""

from __future__ import annotations

import pytest

from sojourn.pipeline.pacing import FULL_SPEED, Pace

WITHIN_MS = 4_000


class Thread:
    """One thread of the background: what it worked, and how it rested."""

    def __init__(self) -> None:
        self.requests = 0
        self.cpu = 0.0
        self.now = 0.0
        self.rests: list[float] = []
        self.held_up = 0.0
        """How much longer a rest takes, because another thread keeps the interpreter."""
        self.pace = Pace(
            requests=lambda: self.requests,
            within=WITHIN_MS,
            cpu=lambda: self.cpu,
            monotonic=lambda: self.now,
            pause=self._rest,
        )

    def begin(self, *, lag: int = 0, requests: int = 0) -> None:
        self.requests += requests
        self.pace.begin(lag)

    def work(self, seconds: float) -> None:
        self.cpu += seconds
        self.now += seconds
        self.pace.breathe()

    def _rest(self, seconds: float) -> None:
        self.rests.append(seconds)
        self.now += seconds + self.held_up


@pytest.fixture
def thread() -> Thread:
    return Thread()


@pytest.mark.parametrize(
    ("lag", "share"),
    [
        (0, 0.25),
        (WITHIN_MS // 2, 0.25),
        (WITHIN_MS * 3 // 4, 0.625),
        (WITHIN_MS, 1.0),
        (WITHIN_MS * 9, 1.0),
        (-500, 0.25),
    ],
    ids=["new records", "half as old as they may be", "three quarters", "too old", "far too old", "a clock set back"],
)
def test_share_of_the_time_grows_with_the_age_of_what_waits(thread: Thread, lag: int, share: float) -> None:
    thread.begin(lag=lag, requests=1)
    for _ in range(50):
        thread.work(0.001)
    assert 0.05 / thread.now == pytest.approx(share)


def test_nothing_is_held_back_while_no_request_runs(thread: Thread) -> None:
    thread.begin(requests=1)
    thread.begin()
    for _ in range(50):
        thread.work(0.001)
    assert thread.rests == [0] * 50
    assert FULL_SPEED.rest(has_worked=True, is_done=True, idle=0.1) == 0


def test_slices_are_short_while_requests_run_and_longer_while_none_does(thread: Thread) -> None:
    thread.begin(requests=1)
    for _ in range(16):
        thread.work(0.00006)
    assert len(thread.rests) == 4
    thread.begin()
    thread.rests.clear()
    for _ in range(16):
        thread.work(0.00006)
    assert len(thread.rests) == 1


def test_a_rest_that_a_busy_thread_made_longer_allows_a_longer_slice(thread: Thread) -> None:
    thread.begin(requests=1)
    thread.held_up = 0.0054  # the rest is 6 ms with it: a quarter of the time is 2 ms
    for _ in range(4):
        thread.work(0.0002)
    assert len(thread.rests) == 1
    thread.work(0.0015)
    assert len(thread.rests) == 2


def test_no_slice_is_longer_than_what_a_request_may_wait(thread: Thread) -> None:
    thread.begin(requests=1)
    thread.held_up = 10.0
    thread.work(0.001)
    thread.work(0.0026)
    assert len(thread.rests) == 2


def test_a_turn_waits_for_more_records_while_requests_run(thread: Thread) -> None:
    thread.begin(requests=1)
    assert thread.pace.rest(has_worked=True, is_done=True, idle=0.1) == 0.25
    assert thread.pace.rest(has_worked=False, is_done=True, idle=0.1) == 0.1
    thread.cpu += 0.004
    assert thread.pace.rest(has_worked=True, is_done=False, idle=0.1) == pytest.approx(0.012)


def test_a_turn_of_a_backlog_follows_at_once_while_no_request_runs(thread: Thread) -> None:
    thread.begin()
    thread.cpu += 0.004
    assert thread.pace.rest(has_worked=True, is_done=False, idle=0.1) == 0
    assert thread.pace.rest(has_worked=True, is_done=True, idle=0.1) == 0


def test_without_an_age_the_time_since_the_last_turn_that_took_all_counts(thread: Thread) -> None:
    thread.pace.rest(has_worked=True, is_done=True, idle=0.1)
    for expected in (0.012, 0.012, 0.0):
        thread.requests += 1
        thread.pace.begin()
        thread.cpu += 0.004
        assert thread.pace.rest(has_worked=True, is_done=False, idle=0.1) == pytest.approx(expected)
        thread.now += WITHIN_MS / 2000
    thread.pace.rest(has_worked=False, is_done=True, idle=0.1)
    thread.requests += 1
    thread.pace.begin()
    thread.cpu += 0.004
    assert thread.pace.rest(has_worked=True, is_done=False, idle=0.1) == pytest.approx(0.012)
