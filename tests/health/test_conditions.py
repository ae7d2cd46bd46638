"""How delivery to a backend goes, and when that is amber or red: every state of the banner, with time as a number."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sojourn.health.checks import document, problems
from sojourn.health.conditions import Condition, Level, condition, describe, worst
from sojourn.stores.model import Lease, Mark
from tests.health.test_checks import LIMITS, MINUTE, NOW, backlog, health, here

REFUSED = "http://127.0.0.1:9: nothing listens there; check host and port, and that it is up"
NEVER = {"recorded": 3, "delivered": 0, "skipped": 0, "backlog": 3}
GONE = {"j1": Mark(journal="j1", position=9, recorded_until=NOW - 10 * MINUTE, heard_at=NOW - 10 * MINUTE)}
RECORDER = Lease(name="recorder:here", holder="here/j1", token=1, until=NOW + 20_000)
START_IT = "start the app or `sojourn worker`"


def test_the_first_two_failures_in_a_row_are_no_problem() -> None:
    for failures in (1, 2):
        each = backlog(failures=failures, problem=REFUSED, retry_at=NOW + 900, **NEVER)
        assert problems(health(each), LIMITS) == []
        assert condition(each, health(each)) is Condition.RETRYING
    assert describe(each, health(each)) == ("2 attempts in a row failed, the next in 0 s", REFUSED)
    each = backlog(failures=1, problem=REFUSED)
    assert describe(each, health(each)) == ("1 attempt failed", REFUSED)


@pytest.mark.parametrize(
    ("changed", "level", "text"),
    [
        pytest.param(
            {"failures": 3, "retry_at": NOW + 3_000},
            Level.WARNING,
            f"posthog: the last 3 attempts failed: {REFUSED}",
            id="third failure",
        ),
        pytest.param(
            {"failures": 6, "retry_at": NOW - 1_000},
            Level.WARNING,
            f"posthog: the last 6 attempts failed: {REFUSED}",
            id="an attempt is under way",
        ),
        pytest.param(
            {"failures": 6, **NEVER},
            Level.CRITICAL,
            f"posthog: nothing was ever delivered; the last 6 attempts failed: {REFUSED}",
            id="nothing was ever delivered",
        ),
        pytest.param(
            {"failures": 1, "retry_at": NOW + 5 * MINUTE},
            Level.WARNING,
            f"posthog: paused for 5 m: {REFUSED}",
            id="paused",
        ),
        pytest.param(
            {"failures": 1, "retry_at": NOW + 5 * MINUTE, **NEVER},
            Level.CRITICAL,
            f"posthog: nothing was ever delivered; paused for 5 m: {REFUSED}",
            id="paused from the first call on",
        ),
    ],
)
def test_a_failing_backend_is_amber_and_red_if_nothing_was_ever_delivered(
    changed: dict[str, Any], level: Level, text: str
) -> None:
    snapshot = health(backlog(problem=REFUSED, **changed))
    found = problems(snapshot, LIMITS)
    assert [(problem.text, problem.level) for problem in found] == [(text, level)]
    printed = json.loads(json.dumps(document(snapshot, LIMITS)))
    assert (printed["level"], printed["is_healthy"]) == (level.value, False)
    assert printed["backends"][0]["problem"] == REFUSED


def test_an_installation_without_a_backlog_is_not_ill() -> None:
    """Its processes are gone, and what failed once has been skipped since."""
    idle = backlog(recorded=3, delivered=0, skipped=3, backlog=0, lag=None, failures=9, problem=REFUSED)
    snapshot = health(idle, marks=GONE, here=here(records=0, accepted=0, age=None))
    assert problems(snapshot, LIMITS) == []
    assert describe(idle, snapshot) == ("up to date", "")
    assert document(snapshot, LIMITS)["level"] == "ok"


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        pytest.param(
            {"failures": 6, "problem": REFUSED, "retry_at": NOW - 9 * MINUTE},
            f"posthog: 3 events wait, and no process has tried to deliver them for 10 m; {START_IT}; the last attempt failed: "
            f"{REFUSED}",
            id="it was failing before",
        ),
        pytest.param(
            {"recorded": 8, "backlog": 1},
            f"posthog: 1 event waits, and no process has tried to deliver it for 10 m; {START_IT}",
            id="it was well before",
        ),
    ],
)
def test_events_that_no_process_delivers_are_red(changed: dict[str, Any], text: str) -> None:
    each = backlog(in_use_at=NOW - 10 * MINUTE, lag=9 * MINUTE, **changed)
    snapshot = health(each, marks=GONE, here=here(records=0, accepted=0, age=None))
    found = problems(snapshot, LIMITS)
    assert [(problem.text, problem.level) for problem in found] == [(text, Level.CRITICAL)]
    assert describe(each, snapshot)[0] == "no process delivers"


def test_a_recorder_that_holds_its_lease_is_alive_however_rarely_it_marks() -> None:
    each = backlog(failures=3, problem=REFUSED)
    assert condition(each, health(each, marks=GONE)) is Condition.ABANDONED
    assert condition(each, health(each, marks=GONE, leases=(RECORDER,))) is Condition.FAILING


@pytest.mark.parametrize(
    ("in_use", "retry", "lag", "expected"),
    [
        pytest.param(10, None, 10, Condition.ABANDONED, id="not tried for long"),
        pytest.param(10, 5, 10, Condition.ABANDONED, id="its retry time is long past"),
        pytest.param(10, 1, 10, Condition.DELIVERING, id="its retry time has just passed"),
        pytest.param(1, None, 10, Condition.DELIVERING, id="tried a minute ago"),
        pytest.param(10, None, 1, Condition.DELIVERING, id="its first event for hours is new"),
        pytest.param(10, None, None, Condition.DELIVERING, id="only ends wait"),
    ],
)
def test_a_backend_that_no_running_process_has_is_abandoned(
    in_use: int, retry: int | None, lag: int | None, expected: Condition
) -> None:
    each = backlog(
        in_use_at=NOW - in_use * MINUTE,
        retry_at=None if retry is None else NOW - retry * MINUTE,
        lag=None if lag is None else lag * MINUTE,
    )
    assert condition(each, health(each)) is expected


def test_records_that_no_process_records_are_red() -> None:
    text = f"2 records wait in sojourn.db.d, the oldest for 3 m; no process records them: {START_IT}"
    alone, recorded = health(marks=GONE, here=here(age=3 * MINUTE)), health(here=here(age=3 * MINUTE))
    assert [(problem.text, problem.level) for problem in problems(alone, LIMITS)] == [(text, Level.CRITICAL)]
    assert problems(recorded, LIMITS) == []


def test_the_worst_problem_comes_first() -> None:
    found = problems(health(backlog(letters=1), backlog(failures=3, problem=REFUSED, name="jsonl", **NEVER)), LIMITS)
    assert [problem.level for problem in found] == [Level.CRITICAL, Level.WARNING]
    assert (worst(found), worst(found[1:]), worst(())) == (Level.CRITICAL, Level.WARNING, Level.OK)


def test_a_requeued_letter_is_a_backlog() -> None:
    each = backlog(recorded=7, backlog=0, requeued=2, lag=None, in_use_at=NOW - 10 * MINUTE)
    (problem,) = problems(health(each, marks=GONE, here=None), LIMITS)
    assert problem.text.startswith("posthog: 2 events wait")
