"""Which figures count as healthy and which are problems; spans and colours of the output."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.cli._output import Lines, Paint, printable, span
from sojourn.health.checks import Backlog, HealthSnapshot, Limits, document, problems, whose
from sojourn.health.journals import Damaged, Unapplied
from sojourn.stores.model import BackendState, Lease, Mark, OutboxState, StoreStats

NOW = 1_769_860_800_000
MINUTE = 60_000
LIMITS = Limits(lag=10 * MINUTE)
DAMAGED_ADVICE = "cannot be read; check the disk, then delete the files that end in .damaged"


def state(**changed: Any) -> BackendState:
    figures = {"recorded": 10, "delivered": 6, "dead": 0, "skipped": 1, "dropped": 0, "backlog": 3}
    more = {"retried": 0, "retry_at": None, "failures": 0, "problem": None}
    return BackendState(**{"name": "posthog", "cursor": 7, **figures, **more, **changed})


def backlog(
    *, letters: int = 0, lag: int | None = 4_000, requeued: int = 0, in_use_at: int = NOW, **changed: Any
) -> Backlog:
    outbox = OutboxState(name="posthog", oldest_at=NOW - 4_000, letters=letters, requeued=requeued, in_use_at=in_use_at)
    return Backlog(state=state(**changed), outbox=outbox, lag=lag)


def here(
    *,
    records: int = 2,
    accepted: int = 2,
    age: int | None = 1_000,
    damaged: Damaged = Damaged(),  # noqa: B008
) -> Unapplied:
    return Unapplied(
        path=Path("sojourn.db.d"),
        place="here",
        records=records,
        accepted=accepted,
        oldest_at=None if age is None else NOW - age,
        living=frozenset({"j1"}),
        dead=1,
        damaged=damaged,
    )


def health(*backlogs: Backlog, **changed: Any) -> HealthSnapshot:
    counters = {"records.accepted": 5, "records.recorded": 5, "records.refused": 2, "ignored.bot": 3, "ignored.none": 0}
    stats = StoreStats(counters=counters, sessions=4, open_sessions=1, events=10, backends=())
    marks = {"j1": Mark(journal="j1", position=9, recorded_until=NOW - 3_000, heard_at=NOW)}
    plain = HealthSnapshot(now=NOW, stats=stats, backlogs=backlogs, leases=(), marks=marks, here=here())
    return replace(plain, **changed)


@pytest.mark.parametrize(
    ("snapshot", "limits", "expected"),
    [
        pytest.param(health(backlog()), LIMITS, [], id="healthy"),
        pytest.param(health(), LIMITS, [], id="no backend"),
        pytest.param(health(here=None), LIMITS, [], id="no journal directory"),
        pytest.param(health(backlog(lag=10 * MINUTE)), LIMITS, [], id="lag at the limit"),
        pytest.param(
            health(backlog(lag=10 * MINUTE + 1)),
            LIMITS,
            ["posthog: the oldest of 3 events has waited 10 m"],
            id="lag over the limit",
        ),
        pytest.param(health(backlog(lag=None)), LIMITS, [], id="only ends wait"),
        pytest.param(
            health(backlog(backlog=2)),
            LIMITS,
            ["posthog: 10 events were recorded, but 9 are accounted for"],
            id="an event is missing",
        ),
        pytest.param(health(backlog()), Limits(lag=MINUTE, backlog=3), [], id="backlog at the limit"),
        pytest.param(
            health(backlog()), Limits(lag=MINUTE, backlog=2), ["posthog: 3 events wait"], id="backlog over the limit"
        ),
        pytest.param(
            health(backlog(retry_at=NOW + MINUTE, problem="503")), LIMITS, [], id="tried again within a minute"
        ),
        pytest.param(
            health(backlog(retry_at=NOW + 5 * MINUTE, problem="a \x1b[2J key")),
            LIMITS,
            ["posthog: paused for 5 m: a \\x1b[2J key"],
            id="paused",
        ),
        pytest.param(health(backlog(letters=2)), Limits(lag=MINUTE, dead=2), [], id="dead letters at the limit"),
        pytest.param(
            health(backlog(letters=3)),
            Limits(lag=MINUTE, dead=2),
            ["posthog: 3 dead letters; see `sojourn outbox list posthog`"],
            id="dead letters over the limit",
        ),
        pytest.param(
            health(here=here(accepted=3)),
            LIMITS,
            ["records do not add up: 8 accepted, but 5 recorded and 2 unapplied"],
            id="a record is missing",
        ),
        pytest.param(
            health(here=here(accepted=3, damaged=Damaged(1, 1, 96))),
            LIMITS,
            [f"1 damaged segment of journals in sojourn.db.d: 96 B in 1 place {DAMAGED_ADVICE}"],
            id="a record is lost in damaged bytes",
        ),
        pytest.param(
            health(here=here(damaged=Damaged(2, 1_200, 4_196))),
            LIMITS,
            [f"2 damaged segments of journals in sojourn.db.d: 4.1 KiB in 1,200 places {DAMAGED_ADVICE}"],
            id="damaged segments are still there",
        ),
        pytest.param(
            health(here=here(accepted=3), is_moving=True), LIMITS, [], id="figures changed while they were read"
        ),
        pytest.param(
            health(here=here(age=11 * MINUTE)),
            LIMITS,
            ["2 records wait in sojourn.db.d, the oldest for 11 m; check that a recorder is running"],
            id="no recorder runs",
        ),
        pytest.param(
            health(backlog(lag=11 * MINUTE), backlog(letters=1, name="jsonl")),
            LIMITS,
            [
                "posthog: the oldest of 3 events has waited 11 m",
                "jsonl: 1 dead letters; see `sojourn outbox list jsonl`",
            ],
            id="two at once",
        ),
    ],
)
def test_problems_are_listed_and_make_the_document_unhealthy(
    snapshot: HealthSnapshot, limits: Limits, expected: list[str]
) -> None:
    assert [problem.text for problem in problems(snapshot, limits)] == expected
    printed = json.loads(json.dumps(document(snapshot, limits)))
    assert (printed["problems"], printed["is_healthy"]) == (expected, not expected)


def test_the_figures_of_the_document_add_up() -> None:
    figures: Any = document(health(backlog()), LIMITS)
    records = figures["records"]
    assert (records["accepted"], records["recorded"], records["unapplied"], records["refused"]) == (7, 5, 2, 2)
    (backend,) = figures["backends"]
    assert backend["recorded"] == sum(
        backend[name] for name in ("delivered", "dead", "skipped", "dropped", "expired", "backlog")
    )
    assert (backend["holds"], backend["lag_ms"], figures["journals"]["behind_ms"]) == (True, 4_000, 3_000)


def test_refusals_are_the_counters_of_what_was_left_out() -> None:
    assert health().refusals == {"ignored.bot": 3, "records.refused": 2}


@pytest.mark.parametrize(
    ("age", "is_heard_of"), [pytest.param(120_000, True, id="two minutes"), pytest.param(120_001, False, id="longer")]
)
def test_a_process_not_heard_of_for_two_minutes_does_not_count(age: int, *, is_heard_of: bool) -> None:
    old = Mark(journal="old", position=9, recorded_until=NOW - 500_000, heard_at=NOW - age)
    snapshot = health(marks={"old": old})
    assert bool(snapshot.heard_of) is is_heard_of
    assert snapshot.recorded_until == (NOW - 500_000 if is_heard_of else None)


@pytest.mark.parametrize(
    ("holder", "journals", "text"),
    [
        pytest.param("here/j1", here(), "journal j1, this host, alive", id="a living one"),
        pytest.param("here/j2", here(), "journal j2, this host, dead", id="a dead one"),
        pytest.param("there/j1", here(), "journal j1, another host", id="another host's"),
        pytest.param("here/j1-and-a-long-rest", None, "journal j1-and-a", id="nothing known"),
    ],
)
def test_the_holder_of_a_lease_is_described(holder: str, journals: Unapplied | None, text: str) -> None:
    assert whose(Lease(name="sweeper", holder=holder, token=1, until=NOW), health(here=journals)) == text


# --- output


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (-5, "0 s"),
        (0, "0 s"),
        (999, "0 s"),
        (59_999, "59 s"),
        (60_000, "1 m"),
        (61_000, "1 m 1 s"),
        (3_600_000, "1 h"),
        (3_605_000, "1 h"),
        (3_660_000, "1 h 1 m"),
        (90_061_000, "1 d 1 h"),
    ],
)
def test_a_span_in_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert span(milliseconds) == text


@given(st.text(), st.integers(10, 300))
def test_control_characters_are_never_printed(text: str, longest: int) -> None:
    assert printable(text, longest).isprintable()


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "is_on"),
    [
        pytest.param(Terminal(), {"TERM": "xterm"}, True, id="a terminal"),
        pytest.param(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False, id="NO_COLOR"),
        pytest.param(Terminal(), {"TERM": "dumb"}, False, id="a dumb terminal"),
        pytest.param(StringIO(), {"TERM": "xterm"}, False, id="a file"),
    ],
)
def test_colours_are_for_terminals(
    stream: StringIO, environ: dict[str, str], *, is_on: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert Paint.on(stream)("well", "good") == ("\x1b[32mwell\x1b[0m" if is_on else "well")


def test_a_line_is_text_or_json() -> None:
    people, programs = StringIO(), StringIO()
    Lines("sojourn worker", is_json=False, stream=people).say("away", "it is\naway", {"n": 1})
    Lines("sojourn worker", is_json=True, stream=programs).say("away", "it is\naway", {"n": 1})
    assert people.getvalue() == "sojourn worker: it is\\naway\n"
    document_ = json.loads(programs.getvalue())
    assert document_.pop("at").endswith("Z")
    assert document_ == {"what": "away", "message": "it is\\naway", "n": 1}


def test_a_closed_stream_raises_nothing() -> None:
    closed = StringIO()
    closed.close()
    Lines("sojourn worker", is_json=False, stream=closed).say("away", "no reader is left")


HOUR = 60 * MINUTE


@pytest.mark.parametrize(
    ("oldest", "lag", "says"),
    [
        pytest.param(None, 100 * HOUR, None, id="no limit"),
        pytest.param(24 * HOUR, None, None, id="nothing waits"),
        pytest.param(24 * HOUR, 12 * HOUR - 1, None, id="less than half of the time"),
        pytest.param(24 * HOUR, 12 * HOUR, "expires in 12 h", id="half"),
        pytest.param(24 * HOUR, 23 * HOUR, "expires in 1 h", id="soon"),
        pytest.param(24 * HOUR, 30 * HOUR, "expires now", id="by now"),
        pytest.param(72 * HOUR, 40 * HOUR, "none older than 3 d", id="another limit"),
    ],
)
def test_events_that_will_expire_are_a_problem_before_they_do(
    oldest: int | None, lag: int | None, says: str | None
) -> None:
    each = backlog(lag=lag, oldest_accepted=oldest)
    found = [problem.text for problem in problems(health(each), Limits(lag=1000 * HOUR)) if "expires" in problem.text]
    assert len(found) == (says is not None)
    assert says is None or says in found[0]
    assert (each.expires_in is None) is (says is None)


def test_expired_events_are_accounted_for() -> None:
    each = backlog(delivered=2, expired=4)
    assert each.holds
    (shown,) = cast("list[dict[str, object]]", document(health(each), LIMITS)["backends"])
    assert (shown["expired"], shown["expires_in_ms"], shown["oldest_accepted_ms"]) == (4, None, None)
