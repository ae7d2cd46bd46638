"""Threads and locks of ours end when they should, and no later."""

from __future__ import annotations

import threading
import time

import pytest

from sojourn.core.threads import Lock, RLock, StopFlag, Worker, within


def test_a_stop_flag_wakes_all_waiters_and_stays_set() -> None:
    signal, woken = StopFlag(), StopFlag()
    waiting = [Worker(lambda: woken.set() if signal.wait(30) else None, name=f"waits-{n}") for n in range(3)]
    for worker in waiting:
        worker.start()
    assert not woken.is_set()
    signal.set()
    signal.set()
    assert [worker.join(30) for worker in waiting] == [True] * 3
    assert woken.is_set()
    assert signal.wait(0)


@pytest.mark.parametrize("seconds", [-1.0, 0.0, 0.01])
def test_waiting_for_what_does_not_come_ends(seconds: float) -> None:
    began = time.monotonic()
    assert not StopFlag().wait(seconds)
    assert time.monotonic() - began < 5


def test_a_worker_has_ended_once_its_work_has_also_when_it_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", lambda _: None)

    def fail() -> None:
        raise ValueError

    go = StopFlag()

    def work() -> None:
        go.wait(30)

    worker, failing = Worker(work, name="works"), Worker(fail, name="fails")
    worker.start()
    failing.start()
    assert not worker.join(0)
    go.set()
    assert worker.join(30)
    assert failing.join(30)


def test_within_gives_the_result_the_error_or_up() -> None:
    def fail() -> int:
        raise ValueError("why")

    go = StopFlag()
    assert within(30, lambda: 7) == 7
    with pytest.raises(ValueError, match="why"):
        within(30, fail)
    assert within(0.01, lambda: go.wait(30)) is None
    go.set()


@pytest.mark.parametrize("make", [Lock, RLock])
def test_a_lock_keeps_others_out(make: type) -> None:
    lock = make()
    with lock:
        assert within(30, lambda: lock.acquire(blocking=False)) is False
    assert within(30, lambda: lock.acquire(blocking=False) and not lock.release()) is True
