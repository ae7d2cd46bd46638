"""A few faults of the suite, for a few seconds each: that it works, and that its worst figures stay at zero."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from . import catalogue, receiver, report
from .__main__ import main
from .scene import Fault, Row, Scene, run

BY_NAME = {fault.name: fault for fault in catalogue.FAULTS}


def played(fault: Fault, seconds: float) -> Row:
    said: list[str] = []
    row = run(fault, said.append, seconds=seconds)
    print("\n".join([*said, report.line(row)]))
    return row


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seconds"),
    [
        pytest.param("web-killed-gunicorn", 5, id="web processes killed every second"),
        pytest.param("worker-killed", 4, id="the worker killed in mid-batch and in mid-delivery"),
        pytest.param("backend-400", 2, id="events that the backend refuses for good"),
        pytest.param("inbox-sqlite", 4, id="processes killed around the commits of the app, SQLite"),
        pytest.param("inbox-postgres", 4, id="processes killed around the commits of the app, PostgreSQL"),
        pytest.param("postgres-stopped", 8, id="PostgreSQL away for longer than the idle timeout"),
    ],
)
def test_no_event_is_lost_or_duplicated_and_no_request_fails(name: str, seconds: float) -> None:
    row = played(BY_NAME[name], seconds)
    assert row.skipped == ""
    assert (row.lost, row.duplicates, row.wrong, row.errors) == (0, 0, 0, 0), row.complaints
    assert row.responses >= 20
    assert row.sessions_recorded == row.sessions_true == row.starts == row.ends


@pytest.mark.slow
def test_damage_of_journals_costs_the_damaged_records_only() -> None:
    row = played(BY_NAME["journals-damaged"], 4)
    assert (row.duplicates, row.wrong, row.errors) == (0, 0, 0), row.complaints
    assert 0 < row.lost < row.responses


@pytest.mark.slow
def test_a_backend_that_loses_events_is_detected() -> None:
    def play(scene: Scene) -> None:
        scene.receiver.behave(receiver.forgetful(every=20))
        with scene.deployment.gunicorn(workers=1) as server:
            with scene.visitors(server):
                scene.wait(scene.seconds)
            scene.settle()

    row = played(Fault(name="forgetful", about="a receiver that loses events", play=play, seconds=1.5), 1.5)
    assert row.lost > 0
    assert not row.is_kept


def test_every_fault_has_a_unique_name_and_a_description() -> None:
    assert len(BY_NAME) == len(catalogue.FAULTS)
    assert all(fault.about and fault.name == fault.name.lower() for fault in catalogue.FAULTS)


@pytest.mark.parametrize(
    ("row", "code"),
    [
        pytest.param(Row(fault="x"), 0, id="as promised"),
        pytest.param(Row(fault="x", lost=1, is_kept=False), 1, id="not as promised"),
        pytest.param(Row(fault="x", skipped="no root"), 0, id="not played"),
    ],
)
def test_the_exit_code_says_whether_the_figures_are_as_promised(
    row: Row, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.faults.__main__.run", replaying(row))
    assert main(["--only", "backend-5xx"]) == code
    assert "x" in capsys.readouterr().out


def replaying(row: Row) -> Callable[..., Row]:
    return lambda fault, say, **options: row


def test_an_unknown_fault_is_an_error_that_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--only", "backend-on-fire"])
    assert "backend-on-fire" in capsys.readouterr().err
