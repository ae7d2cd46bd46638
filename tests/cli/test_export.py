"""`sojourn export` of sessions and events, as JSON lines and CSV, with a progress bar on a terminal."""

from __future__ import annotations

import csv
import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from sojourn import cli
from sojourn.core.session import EndReason
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, event, row, save

HOUR = 3_600_000
FORMULA = "=HYPERLINK(1)"


def fill(store: Any, sessions: int = 3) -> None:
    """Save sessions an hour apart with two events each; the first has ended, the second's user ID is a formula."""
    rows = [row(f"s{n}", NOW + n * HOUR) for n in range(sessions)]
    rows[0].end_reason = EndReason.IDLE_TIMEOUT
    rows[0].exit_path = "/Straße/日本"
    rows[1].user_id, rows[1].errors = FORMULA, 1
    events = [
        event(f"e{n}-{each}", f"s{n}", NOW + n * HOUR + each, user_id=FORMULA if n == 1 else "anna")
        for n in range(sessions)
        for each in range(2)
    ]
    save(store, Batch(rows=rows, events=events))


@pytest.fixture
def url(tmp_path: Path) -> str:
    store = SQLiteStore(tmp_path / "sojourn.db")
    fill(store)
    store.close()
    return f"sqlite:///{tmp_path / 'sojourn.db'}"


def export(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["export", *arguments]) == 0
    return capsys.readouterr().out


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def table(text: str) -> list[dict[str, str]]:
    assert text.count("\r\n") == text.count("\n")  # RFC 4180
    return list(csv.DictReader(io.StringIO(text, newline="")))


# --- sessions


def test_sessions_as_json_lines_latest_first(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--sessions", "--store", url]) == 0
    out, err = capsys.readouterr()
    assert [each["session_key"] for each in lines(out)] == ["s2", "s1", "s0"]
    assert lines(out)[-1] == {
        **lines(out)[-1],
        "session_id": "id-s0",
        "visitor_id": "visitor",
        "started_at": "2026-01-31T12:00:00.000Z",
        "is_open": False,
        "end_reason": "idle_timeout",
        "exit_path": "/Straße/日本",
    }
    assert err == f"store: {url}\nexported: 3 sessions\n"


def test_sessions_as_csv_without_formulas(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    documents = lines(export(capsys, "--sessions", "--store", url))
    rows = table(export(capsys, "--sessions", "--format", "csv", "--store", url))
    assert [list(each) for each in rows] == [list(each) for each in documents]
    assert [each["session_key"] for each in rows] == ["s2", "s1", "s0"]
    assert documents[1]["user_id"] == FORMULA
    assert rows[1]["user_id"] == f"'{FORMULA}"
    assert (rows[2]["is_open"], rows[2]["requests"], rows[2]["referrer"]) == ("false", "0", "")


@pytest.mark.parametrize("what", ["--sessions", "--events"])
@pytest.mark.parametrize("user_id", ['a;=HYPERLINK("x")', "a; +1", "a\t=1"])
def test_csv_has_no_formulas_where_a_semicolon_separates(
    what: str, user_id: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SQLiteStore(tmp_path / "sojourn.db")
    session, event_ = (
        row("s0", NOW),
        event("e0", "s0", NOW, user_id=user_id),
    )
    session.user_id = user_id
    save(store, Batch(rows=[session], events=[event_]))
    store.close()
    text = export(capsys, what, "--format", "csv", "--store", f"sqlite:///{tmp_path / 'sojourn.db'}")
    parts = [part.lstrip(' "') for part in text.replace("\t", ";").split(";")]
    assert [part for part in parts if part.startswith(("=", "+"))] == []
    assert len(parts) > 1 or "\t" in user_id


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["--active"], ["s2", "s1"], id="open"),
        pytest.param(["--reason", "idle_timeout"], ["s0"], id="end reason"),
        pytest.param(["--errors"], ["s1"], id="with errors"),
        pytest.param(["--path", "/Straße/*"], ["s2", "s1", "s0"], id="with a page"),
        pytest.param(["--where", "exit_path=/Straße/*"], ["s0"], id="exit page"),
        pytest.param(["--path", "/none"], [], id="with no such page"),
        pytest.param(["--since", "2026-01-31T13:00"], ["s2", "s1"], id="since"),
        pytest.param(["--until", "2026-01-31T13:00"], ["s0"], id="before"),
    ],
)
def test_session_filters(options: list[str], expected: list[str], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = export(capsys, "--sessions", *options, "--store", url)
    assert [each["session_key"] for each in lines(out)] == expected


def test_export_larger_than_one_batch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = SQLiteStore(tmp_path / "sojourn.db")
    fill(store, 1203)
    store.close()
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    keys = [each["session_key"] for each in lines(export(capsys, "--sessions", "--store", url))]
    assert keys == [f"s{n}" for n in reversed(range(1203))]
    ids = [each["id"] for each in lines(export(capsys, "--events", "--store", url))]
    assert ids == [f"e{n}-{each}" for n in range(1203) for each in range(2)]


# --- events


def test_events_as_json_lines_are_cloudevents(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    documents = lines(export(capsys, "--events", "--store", url))
    assert [each["id"] for each in documents] == ["e0-0", "e0-1", "e1-0", "e1-1", "e2-0", "e2-1"]
    assert documents[0]["specversion"] == "1.0"
    assert documents[0]["data"]["event_properties.n"] == 2**53 + 1


def test_events_as_csv(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    documents = lines(export(capsys, "--events", "--store", url))
    rows = table(export(capsys, "--events", "--format", "csv", "--store", url))
    assert [each["event_id"] for each in rows] == [each["id"] for each in documents]
    assert [json.loads(each["attributes"]) for each in rows] == [each["data"] for each in documents]
    assert {name: value for name, value in rows[2].items() if name != "attributes"} == {
        "event_id": "e1-0",
        "position": "3",
        "name": "page_view",
        "time": "2026-01-31T13:00:00.000Z",
        "session_key": "s1",
        "session_id": "id-s1",
        "visitor_id": "visitor",
        "user_id": f"'{FORMULA}",
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(["--since", "2026-01-31T14:00"], ["e2-0", "e2-1"], id="since"),
        pytest.param(["--until", "2026-01-31T12:00:00.001"], ["e0-0"], id="before"),
    ],
)
def test_event_filters(options: list[str], expected: list[str], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert [each["id"] for each in lines(export(capsys, "--events", *options, "--store", url))] == expected


def test_empty_export_is_a_header_or_nothing(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    none = ["--since", "2030-01-01", "--store", url]
    for what in ("--sessions", "--events"):
        assert export(capsys, what, *none) == ""
        assert export(capsys, what, "--format", "csv", *none).count("\n") == 1


# --- output


def test_output_file_is_new_and_private(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "sessions.csv"
    arguments = ["--sessions", "--format", "csv", "--output", str(path), "--store", url]
    assert export(capsys, *arguments) == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_bytes()
    assert before.decode() == export(capsys, *arguments[:3], "--store", url)
    assert cli.main(["export", *arguments]) == 1
    assert "--output" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_closed_pipe_is_no_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `| head`."""

    class Closed(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError

        def fileno(self) -> int:
            return other.fileno()

    with open("/dev/null", "w") as other:
        monkeypatch.setattr(sys, "stdout", Closed())
        assert cli.main(["export", "--events", "--store", url]) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--events", "--active"], "--active cannot be used with --events", id="a filter of sessions"),
        pytest.param(["--events", "--path", "/a", "--errors"], "--path, --errors cannot", id="two of them"),
        pytest.param(
            ["--user", "a", "--format", "csv"], "--format cannot be used with --user or --visitor", id="a person"
        ),
        pytest.param(["--visitor", "a", "--since", "7d"], "--since cannot", id="a part of a person"),
        pytest.param(["--sessions", "--until", "1900-01-01"], "--until must be later", id="before all time"),
    ],
)
def test_options_without_effect_are_errors(
    options: list[str], message: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["export", *options, "--store", url]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err


@pytest.mark.parametrize("options", [[], ["--sessions", "--events"], ["--sessions", "--user", "anna"]])
def test_exactly_one_kind_of_export(options: list[str], url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["export", *options, "--store", url])
    assert capsys.readouterr().err.startswith("sojourn export: ")


# --- progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bar_is_shown_on_a_terminal_only(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sojourn.cli._progress._REDRAW_S", 0.0)
    for number, (out, err, is_drawn) in enumerate(
        [(io.StringIO(), Terminal(), True), (Terminal(), Terminal(), False), (io.StringIO(), io.StringIO(), False)]
    ):
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", err)
        assert cli.main(["export", "--events", "--store", url]) == 0
        drawn = err.getvalue()
        assert ("[" in drawn) is is_drawn, number
        if is_drawn:
            assert "] 6 of 6" in drawn
            assert drawn.endswith("\r\x1b[Kexported: 6 events\n")


# --- PostgreSQL


@pytest.mark.slow
def test_with_postgresql(postgres: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    from sojourn.stores import open_store

    url = postgres.fresh_database()
    store = open_store(url)
    fill(store)
    store.close()
    assert [each["session_key"] for each in lines(export(capsys, "--sessions", "--store", url))] == ["s2", "s1", "s0"]
    assert len(table(export(capsys, "--events", "--format", "csv", "--store", url))) == 6
