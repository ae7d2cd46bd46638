"""The store's time: read now and then, and carried on by the monotonic clock in between."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from sojourn.errors import StoreError
from sojourn.pipeline.store_time import StoreTime
from sojourn.testing import ManualClock

HOUR = 3_600_000


@dataclass
class Ticking:
    """This machine's clocks: the wall clock may be wrong and may be set, the monotonic one only runs."""

    wall: int = 0
    tick: float = 100.0
    is_manual: bool = False

    def now(self) -> int:
        return self.wall

    def monotonic(self) -> float:
        return self.tick


@dataclass
class Database:
    """A store that is asked for its time; each response takes `delay` seconds."""

    clock: Ticking
    at_100: int | None = 5 * HOUR
    delay: float = 0.0
    is_away: bool = False
    asked: list[float] = field(default_factory=list)

    def time(self) -> int | None:
        self.asked.append(self.clock.tick)
        if self.is_away:
            raise StoreError("the server is away; start it")
        self.clock.tick += self.delay / 2
        store_time = None if self.at_100 is None else self.at_100 + round((self.clock.tick - 100) * 1000)
        self.clock.tick += self.delay / 2
        return store_time


def test_a_wrong_or_reset_wall_clock_changes_nothing() -> None:
    clock = Ticking(wall=7 * HOUR)
    time = StoreTime(Database(clock), clock)  # type: ignore[arg-type]
    assert time.now() == 5 * HOUR
    clock.tick, clock.wall = 103.5, 2 * HOUR
    assert time.now() == 5 * HOUR + 3_500


def test_the_store_is_asked_every_ten_seconds() -> None:
    clock = Ticking()
    database = Database(clock)
    time = StoreTime(database, clock)  # type: ignore[arg-type]
    for clock.tick in (100.0, 101.0, 109.9, 110.0, 119.0, 121.0):
        time.now()
    assert database.asked == [100.0, 110.0, 121.0]


def test_the_store_time_is_that_of_the_middle_of_the_call() -> None:
    clock = Ticking()
    time = StoreTime(Database(clock, delay=2.0), clock)  # type: ignore[arg-type]
    time.now()
    clock.tick = 105.0
    assert time.now() == 5 * HOUR + 5_000


def test_time_continues_while_the_store_is_unavailable() -> None:
    clock = Ticking()
    database = Database(clock)
    time = StoreTime(database, clock)  # type: ignore[arg-type]
    time.now()
    database.is_away = True
    clock.tick = 160.0
    assert time.now() == 5 * HOUR + 60_000


def test_a_store_that_never_replied_is_an_error() -> None:
    clock = Ticking()
    with pytest.raises(StoreError, match="away"):
        StoreTime(Database(clock, is_away=True), clock).now()  # type: ignore[arg-type]


def test_a_store_without_a_clock_uses_the_hosts() -> None:
    clock = Ticking(wall=3 * HOUR)
    database = Database(clock, at_100=None)
    time = StoreTime(database, clock)  # type: ignore[arg-type]
    assert time.now() == 3 * HOUR
    clock.wall, clock.tick = 2 * HOUR, 500.0
    assert (time.now(), len(database.asked)) == (2 * HOUR, 1)


def test_a_manual_clock_replaces_the_stores() -> None:
    clock = ManualClock(now_ms=HOUR)
    assert StoreTime(Database(Ticking()), clock).now() == HOUR  # type: ignore[arg-type]
