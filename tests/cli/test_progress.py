"""The progress of a command: a bar on a terminal, lines or nothing elsewhere."""

from __future__ import annotations

import io

import pytest

from sojourn.cli._progress import Bar


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    """Time that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.mark.parametrize(
    ("done", "total", "spent", "note", "text"),
    [
        pytest.param(0, 10, 0.2, "", "[........................] 0 of 10 events", id="nothing yet"),
        pytest.param(5, 10, 2.0, "", "[############............] 5 of 10 events, 2/s", id="half"),
        pytest.param(10, 10, 2.0, "", "[########################] 10 of 10 events, 5/s", id="all"),
        pytest.param(0, 0, 0.0, "", "[########################] 0 of 0 events", id="nothing to do"),
        pytest.param(500, 400, 0.5, "", "[########################] 500 of 400 events", id="more than the total"),
        pytest.param(1_500, None, 0.5, "", "1,500 events", id="of an unknown total"),
        pytest.param(
            0, 4, 0.5, "; one: 503\x1b[2J", "[........................] 0 of 4 events; one: 503\\x1b[2J", id="a note"
        ),
        pytest.param(0, 4, 0.5, "x" * 99, f"[........................] 0 of 4 events{'x' * 38}…", id="too long"),
    ],
)
def test_bar(
    done: int,
    total: int | None,
    spent: float,
    note: str,
    text: str,
    *,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    stream = Terminal()
    with Bar(stream, clock=clock) as bar:
        bar.show("events", 0, 10)
        clock.now = spent
        bar.show("events", done, total, note=note)
    *_, last, end = stream.getvalue().split("\r\x1b[K")
    assert (last, end) == (text, "")


def test_a_bar_is_not_drawn_more_often_than_it_is_seen(clock: Clock) -> None:
    stream = Terminal()
    bar = Bar(stream, clock=clock)
    for number in range(1_000):
        clock.now += 0.001
        bar.show("events", number, 2_000)
    assert 9 <= stream.getvalue().count("\r") <= 11
    bar.show("events", 2_000, 2_000)
    assert "2,000 of 2,000" in stream.getvalue()


def test_elsewhere_a_line_now_and_then_or_nothing(clock: Clock) -> None:
    quiet, lines = io.StringIO(), io.StringIO()
    with Bar(quiet, clock=clock) as one, Bar(lines, line_every_s=10, clock=clock) as other, Bar(None) as none:
        for number in range(25):
            for bar in (one, other, none):
                bar.show("sessions", number, 100)
            clock.now += 1
        other.show("rollups", 1, 3)
    assert quiet.getvalue() == ""
    assert lines.getvalue().splitlines() == [
        "0 of 100 sessions",
        "10 of 100 sessions, 1/s",
        "20 of 100 sessions, 1/s",
        "1 of 3 rollups",
    ]
