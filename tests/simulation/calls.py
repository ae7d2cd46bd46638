"""Every call of the files and of the store fails once: the n-th of one process, for each n and each way to fail."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from .inhabitants import IDLE_MS
from .play import Outcome, played
from .world import AT_THE_STORE, FAILURES, Action, Fleet, World

FLEET: Final = Fleet(hosts=1, processes=1, browsers=2, fsync=True)
VISIT: Final = [("visit", browser, 0, kind) for browser, kind in ((0, 5), (1, 5), (0, 0), (1, 2), (0, 3))]
WORK: Final = [("step", 0, 0, 12)]
STORY: Final[list[Action]] = [
    *VISIT,
    *WORK,
    ("pass", 2_500, 0, 0),
    *WORK,
    ("mood", 1, 3, 0),
    *VISIT,
    *WORK,
    ("pass", 30_000, 0, 0),
    *WORK,
    ("mood", 1, 0, 0),
    ("pass", IDLE_MS, 0, 0),
    *WORK,
    ("pass", 20_000, 0, 0),
    *WORK,
    *VISIT,
    ("stop", 0, 0, 0),
    *VISIT,
    *WORK,
]


@dataclass(frozen=True)
class Call:
    """The `number`-th call of the files, or of the store, and how it fails."""

    number: int
    failure: str


def every_call() -> Iterator[Call]:
    world = World(FLEET, 0)
    process = world.hosts[0].processes[0]
    try:
        world.play(STORY[: STORY.index(("stop", 0, 0, 0))])
    finally:
        world.close()
    for failure in FAILURES:
        trouble = process.store_trouble if failure in AT_THE_STORE else process.trouble
        yield from (Call(number, failure) for number in range(trouble.calls_before_the_end))


def failing(call: object) -> Outcome:
    """Play the story with this call failing."""
    assert isinstance(call, Call)
    return played(0, FLEET, [("fail_at", 0, call.number, [*FAILURES].index(call.failure)), *STORY])
