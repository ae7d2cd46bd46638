"""The checklist of the first run: each check says what the counters say, and no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sojourn.health.checks import HealthSnapshot
from sojourn.health.first_run import REASONS, Check, State, first_run, is_first_run
from sojourn.stores.model import LAST_IGNORED, Mark, StoreStats
from tests.health.test_checks import NOW, health, here

HOUR = 3_600_000


def snapshot(
    counters: Mapping[str, int] | None = None,
    *,
    sessions: int = 0,
    moments: Mapping[str, int] | None = None,
    heard_ago: int | None = 0,
    unapplied: int = 0,
    waiting_ms: int = 30_000,
    living: frozenset[str] = frozenset(),
) -> HealthSnapshot:
    """`heard_ago`: when the one journal was read last; `None`: there is none."""
    totals = {LAST_IGNORED + reason: at for reason, at in (moments or {}).items()}
    marks = {}
    if heard_ago is not None:
        at = NOW - heard_ago
        marks = {"j1": Mark(journal="j1", position=1, recorded_until=at, heard_at=at, totals=totals)}
    stats = StoreStats(counters=counters or {}, sessions=sessions, open_sessions=0, events=0, backends=())
    waits = here(records=unapplied, accepted=unapplied, age=waiting_ms if unapplied else None)
    local = replace(waits, living=living)
    return health(stats=stats, marks=marks, here=local)


def check(name: str, snapshot: HealthSnapshot) -> Check:
    (found,) = (each for each in first_run(snapshot) if each.name == name)
    return found


@pytest.mark.parametrize(
    ("counters", "sessions", "is_first"),
    [
        pytest.param({}, 0, True, id="nothing"),
        pytest.param({"ignored.crawler": 9, "records.accepted": 3}, 0, True, id="only refusals"),
        pytest.param({}, 1, False, id="a session"),
        pytest.param({"sessions.started": 1}, 0, False, id="a session that is gone"),
    ],
)
def test_first_run_lasts_until_the_first_session(counters: dict[str, int], sessions: int, is_first: bool) -> None:
    assert is_first_run(snapshot(counters, sessions=sessions)) is is_first


@pytest.mark.parametrize(
    ("made", "state", "text"),
    [
        pytest.param(snapshot(heard_ago=0), State.GOOD, "1 process with it used", id="running"),
        pytest.param(snapshot(heard_ago=3 * HOUR), State.BAD, "the last one was here 3 h ago", id="gone"),
        pytest.param(snapshot(heard_ago=None), State.BAD, "no process with it has used this store", id="never"),
        pytest.param(
            snapshot(heard_ago=None, living=frozenset({"j2"})), State.NOTE, "a process of this host", id="just started"
        ),
    ],
)
def test_middleware(made: HealthSnapshot, state: State, text: str) -> None:
    found = check("Middleware", made)
    assert found.state is state
    assert text in found.text


def test_last_request_is_the_latest_reason_of_any_process() -> None:
    made = snapshot(
        {"ignored.crawler": 5, "ignored.excluded": 1}, moments={"crawler": NOW - HOUR, "excluded": NOW - 2 * HOUR}
    )
    other = Mark(journal="j2", position=1, recorded_until=NOW, totals={f"{LAST_IGNORED}method": NOW - 60_000})
    found = check("Last request", replace(made, marks={**made.marks, "j2": other}))
    assert (found.state, found.text) == (
        State.BAD,
        "1 m ago, and it began no session: only GET and POST open a page",
    )


def test_last_request_whose_moment_is_lost_is_not_dated() -> None:
    found = check("Last request", snapshot({"ignored.crawler": 5, "ignored.excluded": 7}))
    assert found.text == "when is not known; 7 began no session: its path is excluded"


def test_no_request_is_unknown_and_not_an_error() -> None:
    found = check("Last request", snapshot({"ignored.report": 12}, moments={"report": NOW}))
    assert (found.state, found.text) == (State.UNKNOWN, "no request was noticed")


def test_records_that_wait_may_hold_the_first_session() -> None:
    found = check("Last request", snapshot({"ignored.crawler": 1}, unapplied=2))
    assert (found.state, found.text) == (State.NOTE, "2 records wait to be recorded, since 30 s")
    on_its_way = snapshot({"ignored.crawler": 1}, unapplied=2, waiting_ms=29_999)
    assert "began no session" in check("Last request", on_its_way).text


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_has_a_sentence_and_a_fix(reason: str) -> None:
    found = check("Last request", snapshot({f"ignored.{reason}": 1}, moments={reason: NOW}))
    assert found.text.startswith("now, and it began no session: ")
    assert found.fix


@pytest.mark.parametrize(
    ("counters", "sessions", "state", "text"),
    [
        pytest.param({}, 0, State.UNKNOWN, "no response could set it yet", id="nothing"),
        pytest.param({"ignored.undeliverable": 3}, 0, State.BAD, "3 responses could not carry it", id="public pages"),
        pytest.param(
            {"ignored.cookie_missing": 5, "sessions.started": 9}, 9, State.BAD, "5 of 9 sessions", id="half without"
        ),
        pytest.param({"ignored.cookie_missing": 1, "sessions.started": 9}, 9, State.NOTE, "1 of 9", id="few without"),
        pytest.param({"sessions.started": 9}, 9, State.GOOD, "no browser came back without it", id="none without"),
    ],
)
def test_cookie(counters: dict[str, int], sessions: int, state: State, text: str) -> None:
    found = check("Cookie", snapshot(counters, sessions=sessions))
    assert found.state is state
    assert text in found.text


def test_bots_and_excluded_paths_are_counted() -> None:
    made = snapshot({"ignored.crawler": 1_200, "ignored.probe": 3, "ignored.excluded": 7})
    assert check("Bots", made).text == "1,200 of a crawler, 3 of a health probe began no session"
    assert check("Excluded paths", made).text == "7 requests had an excluded path"
    assert check("Bots", snapshot()).text == "no request of a declared bot was noticed"
    assert check("Excluded paths", snapshot()).text == "no request had an excluded path"
