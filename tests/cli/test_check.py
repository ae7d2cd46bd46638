"""`sojourn check`: it tries every configured backend, prints each outcome, and shows no key."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn import cli
from sojourn.testing.vendors import FakeDynatrace, FakeOpenTelemetry


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SOJOURN_BACKENDS", raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture
def dynatrace() -> Iterator[tuple[FakeDynatrace, str]]:
    fake = FakeDynatrace("dt0c01.hunter2")
    with fake.serve() as url:
        yield fake, url


def test_each_backend_has_a_line(
    dynatrace: tuple[FakeDynatrace, str], capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    fake, url = dynatrace
    code = cli.main(["check", "--backend", url, "--backend", "jsonl:events.jsonl"])
    out = capsys.readouterr().out
    head, first, second = out.splitlines()
    assert code == 0
    assert first.startswith("dynatrace      ok       3 of 3 events accepted in ")
    assert second.startswith("jsonl          ok       3 of 3 events accepted in ")
    (session,) = fake.sessions()
    assert session.session_id in head
    assert session.duration_ms == 1_000
    assert all(event.attributes["sojourn.check"] is True for event in session.events)
    assert len((own_folder / "events.jsonl").read_text().splitlines()) == 3
    assert "hunter2" not in out


def test_failing_backend_sets_the_exit_code_and_others_are_still_tried(
    dynatrace: tuple[FakeDynatrace, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, url = dynatrace
    wrong = url.replace("hunter2", "hunter3") + "?name=other"
    closed = "webhook+http://127.0.0.1:1/hunter2"
    code = cli.main(["check", "--backend", wrong, "--backend", closed, "--backend", url])
    captured = capsys.readouterr()
    lines = captured.out.splitlines()[1:]
    assert code == 1
    assert lines[0].startswith("other          failed")
    assert "the token is unknown" in lines[0]
    assert "nothing listens there" in lines[1]
    assert lines[2].startswith("dynatrace      ok")
    assert "hunter" not in f"{captured.out}{captured.err}"


def test_backends_of_the_environment_need_no_secret_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    fake = FakeOpenTelemetry()
    with fake.serve() as url:
        monkeypatch.setenv("SOJOURN_BACKENDS", f"{url},jsonl:events.jsonl")
        monkeypatch.setenv("SOJOURN_SERVICE_NAME", "shop")
        monkeypatch.delenv("SOJOURN_SECRET_KEY", raising=False)
        assert cli.main(["check"]) == 0
    assert fake.resources == [{"service.name": "shop"}] * 2  # of a compressed call and a plain one
    assert [path.name for path in own_folder.iterdir()] == ["events.jsonl"]


APP = """
from sojourn import Settings
from sojourn.asgi import SojournMiddleware
from sojourn.backends import JSONLinesBackend

async def inner(scope, receive, send): ...

app = SojournMiddleware(inner, settings=Settings(
    secret_key="a key that only tests use", service_name="app-{name}", store="memory:",
    backends=[JSONLinesBackend("own.jsonl"), "jsonl:other.jsonl?name=other"],
))
"""


def test_backends_of_an_app(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (own_folder / "checked_shop.py").write_text(APP)
    assert cli.main(["check", "--app", "checked_shop:app"]) == 0
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[:2] for line in lines] == [["jsonl", "ok"], ["other", "ok"]]
    assert "app-{name}" in (own_folder / "own.jsonl").read_text()
    assert (own_folder / "other.jsonl").exists()


def test_check_as_json(dynatrace: tuple[FakeDynatrace, str], capsys: pytest.CaptureFixture[str]) -> None:
    fake, url = dynatrace
    fake.fail_next(503)
    assert cli.main(["check", "--json", "--backend", url, "--backend", "jsonl:events.jsonl"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [(one["name"], one["ok"], one["taken"]) for one in document["backends"]] == [
        ("dynatrace", False, 0),
        ("jsonl", True, 3),
    ]
    assert document["backends"][0]["problem"].startswith("HTTP 503 from http://127.0.0.1:")
    assert document["backends"][0]["address"] == fake.address


def test_invalid_url_is_reported_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", "--backend", "kafka://hunter2@h", "--backend", "jsonl:events.jsonl"]) == 1
    first, second = capsys.readouterr().out.splitlines()[1:]
    assert first.startswith("#1             failed   backends: the scheme 'kafka' is unknown")
    assert "hunter2" not in first
    assert second.startswith("jsonl          ok")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param([], "no backend is configured", id="none"),
        pytest.param(["--backend", "console:", "--backend", "console:"], "pass name=", id="two of one name"),
        pytest.param(["--app", "nothing_here:app"], "could not be imported", id="no app"),
    ],
)
def test_nothing_to_check_is_an_error(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["check", *arguments]) == 1
    err = capsys.readouterr().err
    assert says in err
    assert "hunter2" not in err
