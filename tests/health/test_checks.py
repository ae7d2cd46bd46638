"""What counts as well and as not well, from figures alone; ages, tables and colours."""

from __future__ import annotations

import json
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.cli._output import Lines, Paint, printable, span, table
from sojourn.health.checks import Backlog, HealthSnapshot, Limits, document, problems, whose
from sojourn.health.journals import Unapplied
from sojourn.stores.operating import Outbox
from sojourn.stores.protocol import BackendState, Lease, Mark, StoreStats

NOW = 1_769_860_800_000
MINUTE = 60_000
LIMITS = Limits(lag=10 * MINUTE)


def state(**changed: Any) -> BackendState:
    figures = {"recorded": 10, "delivered": 6, "dead": 0, "skipped": 1, "dropped": 0, "backlog": 3}
    more = {"retried": 0, "retry_at": None, "failures": 0, "problem": None}
    return BackendState(**{"name": "posthog", "cursor": 7, **figures, **more, **changed})


def backlog(*, letters: int = 0, lag: int | None = 4_000, **changed: Any) -> Backlog:
    outbox = Outbox(name="posthog", oldest_at=NOW - 4_000, letters=letters, requeued=0, in_use_at=NOW)
    return Backlog(state=state(**changed), outbox=outbox, lag=lag)


def here(*, records: int = 2, accepted: int = 2, age: int | None = 1_000) -> Unapplied:
    return Unapplied(
        path=Path("sojourn.db.d"),
        place="here",
        records=records,
        accepted=accepted,
        oldest_at=None if age is None else NOW - age,
        living=frozenset({"j1"}),
        dead=1,
    )


def standing(*backlogs: Backlog, **changed: Any) -> HealthSnapshot:
    counters = {"records.accepted": 5, "records.recorded": 5, "records.refused": 2, "ignored.bot": 3, "ignored.none": 0}
    stats = StoreStats(counters=counters, sessions=4, open_sessions=1, events=10, backends=())
    marks = {"j1": Mark(journal="j1", position=9, recorded_until=NOW - 3_000, heard_at=NOW)}
    plain = HealthSnapshot(now=NOW, stats=stats, backlogs=backlogs, leases=(), marks=marks, here=here())
    return replace(plain, **changed)


@pytest.mark.parametrize(
    ("seen", "limits", "wrong"),
    [
        pytest.param(standing(backlog()), LIMITS, [], id="well"),
        pytest.param(standing(), LIMITS, [], id="no backend"),
        pytest.param(standing(here=None), LIMITS, [], id="no journal to be seen"),
        pytest.param(standing(backlog(lag=10 * MINUTE)), LIMITS, [], id="at the limit"),
        pytest.param(
            standing(backlog(lag=10 * MINUTE + 1)),
            LIMITS,
            ["posthog: the oldest of 3 events has waited for 10 m"],
            id="beyond the limit",
        ),
        pytest.param(standing(backlog(lag=None)), LIMITS, [], id="only ends wait"),
        pytest.param(
            standing(backlog(backlog=2)),
            LIMITS,
            ["posthog: 10 events were recorded, but 9 are somewhere"],
            id="an event is nowhere",
        ),
        pytest.param(standing(backlog()), Limits(lag=MINUTE, backlog=3), [], id="as many as may wait"),
        pytest.param(
            standing(backlog()), Limits(lag=MINUTE, backlog=2), ["posthog: 3 events wait"], id="more than may wait"
        ),
        pytest.param(
            standing(backlog(retry_at=NOW + MINUTE, problem="503")), LIMITS, [], id="tried again within a minute"
        ),
        pytest.param(
            standing(backlog(retry_at=NOW + 5 * MINUTE, problem="a \x1b[2J key")),
            LIMITS,
            ["posthog: rests for 5 m: a \\x1b[2J key"],
            id="rests",
        ),
        pytest.param(standing(backlog(letters=2)), Limits(lag=MINUTE, dead=2), [], id="as many letters as may lie"),
        pytest.param(
            standing(backlog(letters=3)),
            Limits(lag=MINUTE, dead=2),
            ["posthog: 3 dead letters; see `sojourn outbox list posthog`"],
            id="more letters than may lie",
        ),
        pytest.param(
            standing(here=here(accepted=3)),
            LIMITS,
            ["records do not add up: 8 accepted, but 5 recorded and 2 unapplied"],
            id="a record is nowhere",
        ),
        pytest.param(standing(here=here(accepted=3), is_moving=True), LIMITS, [], id="not seen at one moment"),
        pytest.param(
            standing(here=here(age=11 * MINUTE)),
            LIMITS,
            ["2 records wait in sojourn.db.d, the oldest for 11 m: is a recorder running?"],
            id="nobody records",
        ),
        pytest.param(
            standing(backlog(lag=11 * MINUTE), backlog(letters=1, name="jsonl")),
            LIMITS,
            [
                "posthog: the oldest of 3 events has waited for 11 m",
                "jsonl: 1 dead letters; see `sojourn outbox list jsonl`",
            ],
            id="two at once",
        ),
    ],
)
def test_what_is_not_well(seen: HealthSnapshot, limits: Limits, wrong: list[str]) -> None:
    assert problems(seen, limits) == wrong
    told = json.loads(json.dumps(document(seen, limits)))
    assert (told["problems"], told["is_healthy"]) == (wrong, not wrong)


def test_the_document_has_what_adds_up() -> None:
    told: Any = document(standing(backlog()), LIMITS)
    records = told["records"]
    assert (records["accepted"], records["recorded"], records["unapplied"], records["refused"]) == (7, 5, 2, 2)
    (backend,) = told["backends"]
    assert backend["recorded"] == sum(backend[name] for name in ("delivered", "dead", "skipped", "dropped", "backlog"))
    assert (backend["holds"], backend["lag_ms"], told["journals"]["behind_ms"]) == (True, 4_000, 3_000)


def test_of_the_counters_those_are_picked_that_tell_what_was_left_out() -> None:
    assert standing().refusals == {"ignored.bot": 3, "records.refused": 2}


@pytest.mark.parametrize(
    ("age", "is_heard_of"), [pytest.param(120_000, True, id="two minutes"), pytest.param(120_001, False, id="longer")]
)
def test_a_process_that_was_silent_for_long_does_not_count(age: int, *, is_heard_of: bool) -> None:
    old = Mark(journal="old", position=9, recorded_until=NOW - 500_000, heard_at=NOW - age)
    seen = standing(marks={"old": old})
    assert bool(seen.heard_of) is is_heard_of
    assert seen.recorded_until == (NOW - 500_000 if is_heard_of else None)


@pytest.mark.parametrize(
    ("holder", "journals", "told"),
    [
        pytest.param("here/j1", here(), "journal j1, this host, alive", id="a living one"),
        pytest.param("here/j2", here(), "journal j2, this host, dead", id="a dead one"),
        pytest.param("there/j1", here(), "journal j1, another host", id="another host's"),
        pytest.param("here/j1-and-a-long-rest", None, "journal j1-and-a", id="nothing known"),
    ],
)
def test_the_holder_of_a_lease_in_words(holder: str, journals: Unapplied | None, told: str) -> None:
    assert whose(Lease(name="sweeper", holder=holder, token=1, until=NOW), standing(here=journals)) == told


# --- how it is said


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
def test_nothing_that_a_terminal_obeys_is_printed(text: str, longest: int) -> None:
    assert printable(text, longest).isprintable()


def test_a_table_has_its_columns_under_each_other() -> None:
    assert table([["name", "count", ""], ["a", "1,000", "ok"], ["longer", "2", ""]], left=frozenset({0, 2})) == [
        "  name    count",
        "  a       1,000  ok",
        "  longer      2",
    ]


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "environ", "is_on"),
    [
        pytest.param(Terminal(), {"TERM": "xterm"}, True, id="a terminal"),
        pytest.param(Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False, id="asked for none"),
        pytest.param(Terminal(), {"TERM": "dumb"}, False, id="a terminal without"),
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


def test_a_line_is_for_people_or_for_programs() -> None:
    people, programs = StringIO(), StringIO()
    Lines("sojourn worker", is_json=False, stream=people).say("away", "it is\naway", {"n": 1})
    Lines("sojourn worker", is_json=True, stream=programs).say("away", "it is\naway", {"n": 1})
    assert people.getvalue() == "sojourn worker: it is\\naway\n"
    told = json.loads(programs.getvalue())
    assert told.pop("at").endswith("Z")
    assert told == {"what": "away", "message": "it is\\naway", "n": 1}


def test_a_reader_who_left_stops_nobody() -> None:
    closed = StringIO()
    closed.close()
    Lines("sojourn worker", is_json=False, stream=closed).say("away", "nobody hears it")
