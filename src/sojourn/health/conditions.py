"""How delivery to one backend goes at one moment, and how bad that is: decided here for the report, `status` and its JSON.

Pure. Only a backlog can be ill: an installation without visitors has nothing to deliver.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, assert_never

from sojourn.stores.model import HEARD_OF_MS, BackendState

from .formatting import cell, span

if TYPE_CHECKING:
    from .checks import Backlog, HealthSnapshot

FAILING_FROM: Final = 3
"""Failed attempts in a row. One or two happen to every backend, and pass within seconds."""
_RESTS_MS: Final = 60_000
"""Longer than a dispatcher pauses by itself: the backend asked for it, or sending is useless until an operator acts."""


class Level(StrEnum):
    """How bad it is: for the colour of the report's banner, and for monitoring."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, as a sentence."""

    text: str
    level: Level = Level.WARNING


class Condition(StrEnum):
    """The state of one backend."""

    IDLE = "idle"
    """Nothing waits."""
    DELIVERING = "delivering"
    RETRYING = "retrying"
    """The last attempt failed, and the next one is due within a minute."""
    FAILING = "failing"
    """Several attempts in a row failed."""
    PAUSED = "paused"
    """Not tried for longer than a minute: a wrong key, say."""
    ABANDONED = "abandoned"
    """Events wait, and no process delivers them."""


def worst(problems: Iterable[Problem]) -> Level:
    """Return the level of all of them together."""
    levels = {problem.level for problem in problems}
    return next((level for level in (Level.CRITICAL, Level.WARNING) if level in levels), Level.OK)


def waits(state: BackendState, now: int) -> int | None:
    """Return how long (ms) the backend is not tried; `None`: it may be tried now."""
    return None if state.retry_at is None or state.retry_at <= now else state.retry_at - now


def condition(each: Backlog, health: HealthSnapshot) -> Condition:
    """Return how delivery to a backend goes."""
    state, now = each.state, health.now
    if not (state.backlog or each.outbox.requeued):
        return Condition.IDLE
    if _is_abandoned(each, health):
        return Condition.ABANDONED
    if (waits(state, now) or 0) > _RESTS_MS:
        return Condition.PAUSED
    if state.failures >= FAILING_FROM:
        return Condition.FAILING
    return Condition.RETRYING if state.failures else Condition.DELIVERING


def problem(each: Backlog, health: HealthSnapshot) -> Problem | None:
    """Return what is wrong with delivery to a backend, with the reason of the last attempt; `None` if it goes well."""
    state = each.state
    name, reason, level = cell(state.name), _reason(state), Level.WARNING if state.delivered else Level.CRITICAL
    never = "" if state.delivered else "nothing was ever delivered; "
    match condition(each, health):
        case Condition.IDLE | Condition.DELIVERING | Condition.RETRYING:
            return None
        case Condition.FAILING:
            return Problem(f"{name}: {never}the last {state.failures:,} attempts failed: {reason}", level)
        case Condition.PAUSED:
            return Problem(f"{name}: {never}paused for {span(waits(state, health.now) or 0)}: {reason}", level)
        case Condition.ABANDONED:
            last = f"; the last attempt failed: {reason}" if state.failures else ""
            return Problem(
                f"{name}: {_waiting(each)}, and no process has tried to deliver {_them(each)} for "
                f"{_for_how_long(each, health)}; start the app or `sojourn worker`{last}",
                Level.CRITICAL,
            )
        case unknown:
            assert_never(unknown)


def describe(each: Backlog, health: HealthSnapshot) -> tuple[str, str]:
    """Return the condition in a few words, and the reason why the last attempt failed; empty if it did not."""
    state, wait = each.state, waits(each.state, health.now)
    reason = _reason(state) if state.failures else ""
    match condition(each, health):
        case Condition.IDLE:
            return "up to date", ""
        case Condition.DELIVERING:
            return "delivering", ""
        case Condition.RETRYING | Condition.FAILING:
            attempts = "1 attempt" if state.failures == 1 else f"{state.failures:,} attempts in a row"
            when = "" if wait is None else f", the next in {span(wait)}"
            return f"{attempts} failed{when}", reason
        case Condition.PAUSED:
            return f"paused for {span(wait or 0)}", _reason(state)
        case Condition.ABANDONED:
            return "no process delivers", reason
        case unknown:
            assert_never(unknown)


def no_recorder(health: HealthSnapshot) -> bool:
    """Say whether no process records, on any host: no recorder has its lease, and none was heard of for two minutes."""
    holds = any(lease.name.startswith("recorder:") and lease.until > health.now for lease in health.leases)
    return not holds and not health.heard_of


def _is_abandoned(each: Backlog, health: HealthSnapshot) -> bool:
    if no_recorder(health):  # the same processes deliver
        return True
    # A process that runs, but without this backend: it would have tried it since.
    is_old = each.lag is not None and each.lag > HEARD_OF_MS
    tried_from = max(each.outbox.in_use_at, each.state.retry_at or 0)
    return is_old and health.now - tried_from > HEARD_OF_MS


def _for_how_long(each: Backlog, health: HealthSnapshot) -> str:
    return span(health.now - each.outbox.in_use_at)


def _waiting(each: Backlog) -> str:
    count = each.state.backlog or each.outbox.requeued
    return "1 event waits" if count == 1 else f"{count:,} events wait"


def _them(each: Backlog) -> str:
    return "it" if (each.state.backlog or each.outbox.requeued) == 1 else "them"


def _reason(state: BackendState) -> str:
    return cell(state.problem or "the backend asked for it")
