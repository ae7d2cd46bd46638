"""Seeds: the actions that one makes, what must hold afterwards, and the shortest run that still breaks it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.core.events import START
from tests.faults.judging import judge, of_log

from .inhabitants import IDLE_MS
from .world import BEGAN, Action, Fleet, World

RARE: Final = frozenset(
    {
        "a journal in memory was lost",
        "a response was lost",
        "a session ended again",
        "a step failed: OSError",
        "a step failed: StoreError",
        "an event came again",
        "killed at after save",
        "killed at claim",
        "killed at save",
        "killed at settle",
        "killed in a request",
        "power was lost, with journal_fsync",
        "power was lost, without journal_fsync",
    }
)
"""What many seeds must have met, or the simulation has become too kind."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    complaints: list[str]
    reached: Counter[str]
    simulated_ms: int
    requests: int


def fleet_of(seed: int) -> Fleet:
    """The fleet that a seed is played on."""
    chance = random.Random(f"fleet {seed}")
    return Fleet(
        hosts=chance.choice((1, 2, 3)),
        processes=chance.choice((1, 2)),
        browsers=chance.choice((1, 3, 8)),
        fsync=chance.random() < 0.3,
        may_jump=chance.random() < 0.2,
    )


def actions_of(seed: int, length: int = 400) -> list[Action]:
    """What happens. Each action has all its numbers, whatever the world looks like, so any may be left out."""
    chance = random.Random(f"actions {seed}")
    actions: list[Action] = []
    troubles = [
        ("kill", 4),
        ("stop", 2),
        ("fail_at", 8),
        ("mood", 4),
        ("store", 2),
        ("clock", 1),
        ("power", 1),
    ]
    chosen = [trouble for trouble in troubles if chance.random() < 0.6]
    names = ["visit", "step", "pass", *(name for name, _ in chosen)]
    weights = [30, 45, 15, *(weight for _, weight in chosen)]
    for _ in range(length):
        name = chance.choices(names, weights)[0]
        first, second, third = (chance.randrange(1 << 20) for _ in range(3))
        if name == "pass":
            first = chance.choice(
                (1, 50, 300, 2_000, 20_000, 120_000, IDLE_MS - 90_000, IDLE_MS + 120_000, 8 * IDLE_MS)
            )
        elif name == "step":
            third = chance.choice((1, 4, 12, 40))
        elif name == "fail_at":
            second = chance.choice((0, 1, 2, 3, 5, 8, 13, 21, 50))
        elif name == "clock":
            second = chance.choice((-3_600_000, -2_000, 2_000, 60_000, 3_600_000))
        actions.append((name, first, second, third))
    return actions


def played(seed: int, fleet: Fleet, actions: Sequence[Action]) -> Outcome:
    """Play, and say what was promised and is not so."""
    world = World(fleet, seed)
    try:
        world.play(actions)
        _judge(world)
    finally:
        world.close()
    return Outcome(
        complaints=world.complaints,
        reached=world.reached,
        simulated_ms=world.clock.now_ms - BEGAN,
        requests=sum(len(browser.steps) for browser in world.accounts),
    )


def shrunk(seed: int, fleet: Fleet, actions: Sequence[Action]) -> list[Action]:
    """Leave out actions, larger parts first, as long as something is still complained of."""
    kept = list(actions)
    size = len(kept) // 2
    while size:
        at = 0
        while at < len(kept):
            shorter = kept[:at] + kept[at + size :]
            if played(seed, fleet, shorter).complaints:
                kept = shorter
            else:
                at += size
        size //= 2
    return kept


def _judge(world: World) -> None:
    complaints, store = world.complaints, world.store
    events = store.log.after(START, limit=1_000_000)
    steps = [browser.steps for browser in world.accounts]
    for backend in world.backends:
        verdict = judge(
            steps,
            of_log(events),
            of_log(backend.arrived),
            idle_ms=IDLE_MS,
            refused=frozenset(backend.refused - backend.taken.keys()),
        )
        complaints += [f"lost: {text}" for text in verdict.lost]
        complaints += [f"twice: {text}" for text in verdict.twice]
        complaints += [f"wrong: {text}" for text in verdict.wrong]
        _judge_order(backend.name, backend.arrived, backend.refused, complaints)
    complaints += [f"a request failed: {step.serial}" for each in steps for step in each if step.status not in (0, 200)]
    counters = store.stats().counters
    accepted, recorded, lost = (counters.get(f"records.{name}", 0) for name in ("accepted", "recorded", "lost"))
    if accepted != recorded + lost:
        complaints.append(f"the books: {accepted} accepted, {recorded} recorded, {lost} lost")
    for name, most in (("records.lost", world.lost), ("records.refused", world.refused), ("ignored.fault", 0)):
        if counters.get(name, 0) > most:
            complaints.append(f"the books: {name} is {counters[name]}, and may be {most} at most")
    if any(event.attributes.get("session.end_revision") for event in events):
        world.reached["a session ended again"] += 1
    for name in ("records.late", "sessions.folded"):
        world.reached[name] += counters.get(name, 0)


def _judge_order(backend: str, arrived: Sequence[object], refused: set[str], complaints: list[str]) -> None:
    """A session's start comes before everything else of it."""
    started: set[str] = set()
    for event in arrived:
        if event.name == "session.start":  # type: ignore[attr-defined]
            started.add(event.session_id)  # type: ignore[attr-defined]
        elif event.session_id not in started and not refused:  # type: ignore[attr-defined]
            complaints.append(f"{backend}: {event.name} of {event.session_id} came before its start")  # type: ignore[attr-defined]
