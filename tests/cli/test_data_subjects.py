"""`sojourn erase` and `sojourn export` of a person: effects, output and errors."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sojourn import cli
from sojourn.core.events import START, Event
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch, Settled
from sojourn.stores.rows import SessionRow
from sojourn.tracking.masking import pseudonym
from tests.stores.contract.steps import NOW, event, lease, row, save

HASH_KEY = b"a key for user ids alone"
PERSON = {"visitor": "browser-1", "user": "anna"}


def session(key: str, *, visitor: str, user: str | None) -> SessionRow:
    made = row(key)
    made.visitor_id, made.user_id = visitor, user
    return made


def of(key: str, visitor: str, user: str) -> list[Event]:
    return [event(f"{key}-{number}", key, visitor_id=visitor, user_id=user) for number in range(3)]


def fill(path: Path, user: str = "anna") -> str:
    """Fill a database with Anna's and Ben's sessions, of which a backend received two events; return its URL."""
    store = SQLiteStore(path)
    store.outbox.register(["posthog"], now=NOW)
    rows = [session("a", visitor="browser-1", user=user), session("b", visitor="browser-2", user="ben")]
    save(store, Batch(rows=rows, events=[*of("a", "browser-1", user), *of("b", "browser-2", "ben")]))
    held = lease(store)
    claimed = store.delivery.claim("posthog", held, until=NOW, limit=2, now=NOW).events
    store.delivery.settle("posthog", held, Settled(upto=claimed[-1].position, delivered=2), now=NOW)
    store.close()
    return f"sqlite:///{path}"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return fill(tmp_path / "sojourn.db")


def visitors_in(url: str) -> set[str]:
    store = SQLiteStore(Path(url.removeprefix("sqlite:///")))
    try:
        return {kept.visitor_id for kept in store.sessions.latest(limit=10)} | {
            kept.visitor_id for kept in store.log.after(START, limit=100)
        }
    finally:
        store.close()


# --- erase


@pytest.mark.parametrize("kind", list(PERSON))
def test_erase_deletes_one_person_and_lists_forwarded_events(
    kind: str, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["erase", f"--{kind}", PERSON[kind], "--store", url, "--yes"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "deleted: 1 sessions, 3 events, 0 dead letters",
        "already forwarded (at most); request deletion there too:",
        "  posthog: 2 events",
    ]
    assert err == f"store: {url}\n"
    assert visitors_in(url) == {"browser-2"}


@pytest.mark.parametrize(("options", "code"), [([], 0), (["--must-exist"], 1)])
def test_second_erase_finds_nothing(
    options: list[str], code: int, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["erase", "--user", "anna", "--store", url, "--yes", *options]
    assert cli.main(arguments) == 0
    capsys.readouterr()
    assert cli.main(arguments) == code
    assert capsys.readouterr().out == (
        "nothing is found of user anna, in the store or in the journals of this host; "
        "where the app hashes user ids, name it: --app MODULE:APP\n"
    )


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("typed", "code", "left"),
    [
        pytest.param("y\n", 0, {"browser-2"}, id="yes"),
        pytest.param(" YES \n", 0, {"browser-2"}, id="yes in full"),
        pytest.param("n\n", 1, {"browser-1", "browser-2"}, id="no"),
        pytest.param("\n", 1, {"browser-1", "browser-2"}, id="just Enter"),
        pytest.param("", 1, {"browser-1", "browser-2"}, id="the end of the input"),
    ],
)
def test_erase_asks_for_confirmation_on_a_terminal(
    *,
    typed: str,
    code: int,
    left: set[str],
    url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    assert cli.main(["erase", "--user", "anna", "--store", url]) == code
    err = capsys.readouterr().err
    assert "Erase all data of user anna? It cannot be restored. [y/N]" in err
    assert ("nothing was erased" in err) is (code == 1)
    assert visitors_in(url) == left


def test_erase_needs_yes_without_a_terminal(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert cli.main(["erase", "--user", "anna", "--store", url]) == 1
    assert "--yes" in capsys.readouterr().err
    assert visitors_in(url) == {"browser-1", "browser-2"}


# --- export


@pytest.mark.parametrize("kind", list(PERSON))
def test_export_of_a_person_is_one_json_document(kind: str, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", f"--{kind}", PERSON[kind], "--store", url]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert document["person"] == {f"{kind}.id": PERSON[kind]}
    assert [len(kept["events"]) for kept in document["sessions"]] == [3]
    assert "ben" not in out
    assert err == f"store: {url}\n"


def test_output_file_is_private_and_never_overwritten(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "anna.json"
    arguments = ["export", "--user", "anna", "--store", url, "--output", str(file)]
    assert cli.main(arguments) == 0
    assert capsys.readouterr().out == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text(encoding="utf-8"))["person"] == {"user.id": "anna"}

    file.write_text("something of mine")
    assert cli.main(arguments) == 1
    assert "choose another file" in capsys.readouterr().err
    assert file.read_text() == "something of mine"


def test_unfinished_output_file_is_deleted(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*_arguments: object, **_more: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sojourn.data_subjects.export_json", breaks)
    file = tmp_path / "anna.json"
    assert cli.main(["export", "--user", "anna", "--store", url, "--output", str(file)]) == 130
    assert not file.exists()


def test_export_is_utf_8_in_any_terminal(tmp_path: Path) -> None:
    url = fill(tmp_path / "sojourn.db", user="Zoë")
    done = run(tmp_path, "export", "--user", "Zoë", "--store", url, PYTHONIOENCODING="ascii")
    assert json.loads(done.stdout.decode("utf-8"))["person"] == {"user.id": "Zoë"}


# --- which store


@pytest.mark.parametrize("command", ["erase", "export"])
@pytest.mark.parametrize(
    ("there", "message"),
    [
        pytest.param(None, "there is no store at", id="a file that is missing"),
        pytest.param(b"", "there is no store at", id="an empty file"),
        pytest.param(b"not a database at all" * 100, "is not a SQLite database", id="a file of another kind"),
    ],
)
def test_missing_or_invalid_store_is_an_error_and_left_alone(
    command: str, there: bytes | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sojourn.db"
    if there is not None:
        path.write_bytes(there)
    yes = ["--yes"] if command == "erase" else []
    assert cli.main([command, "--user", "anna", "--store", f"sqlite:///{path}", *yes]) == 1
    assert message in capsys.readouterr().err
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([] if there is None else [there])


@pytest.mark.parametrize(
    ("url", "message"),
    [
        pytest.param("memory:", "belongs to one process", id="in memory"),
        pytest.param("mysql://host/db", "no store is named by a URL", id="an unknown URL"),
    ],
)
def test_unusable_store_url_is_an_error(url: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--user", "anna", "--store", url]) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--store", "sqlite:///x.db"], id="no person"),
        pytest.param(["--user", "anna", "--visitor", "b", "--store", "sqlite:///x.db"], id="two people"),
        pytest.param(["--user", "anna", "--store", "sqlite:///x.db", "--app", "a:b"], id="two stores"),
        pytest.param(["--user", "", "--store", "sqlite:///x.db"], id="an empty id"),
        pytest.param(["--user", "\udcff", "--store", "sqlite:///x.db"], id="an id that is no text"),
    ],
)
@pytest.mark.parametrize("command", ["erase", "export"])
def test_argument_errors_exit_with_2(command: str, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exited:
        cli.main([command, *arguments])
    assert exited.value.code == 2


# --- the store of an app

BEGIN = "from sojourn import Engine, Settings\nprint('loading')\n"
SETTINGS = "Settings(secret_key='a key that only tests use', store='sqlite:///sojourn.db')"
APPS = {
    "starlette": f"{BEGIN}from sojourn.starlette import Sojourn\nfrom starlette.applications import Starlette\n"
    f"app = Starlette()\nSojourn(app, {SETTINGS})\n",
    "flask": f"{BEGIN}from sojourn.flask import Sojourn\nfrom flask import Flask\n"
    f"app = Flask(__name__)\nSojourn(app, {SETTINGS})\n",
    "wsgi": f"{BEGIN}from sojourn.wsgi import SojournMiddleware\n"
    f"app = SojournMiddleware(lambda environ, start: [], {SETTINGS})\n",
    "asgi": f"{BEGIN}from sojourn.asgi import SojournMiddleware\n"
    f"async def inner(scope, receive, send): ...\napp = SojournMiddleware(inner, {SETTINGS})\n",
    "in a class": f"{BEGIN}from sojourn.wsgi import SojournMiddleware\n"
    f"class app:\n    wsgi = SojournMiddleware(lambda environ, start: [], {SETTINGS})\n",
    "a store object": f"{BEGIN}from pathlib import Path\nfrom sojourn.stores import SQLiteStore\n"
    "from sojourn.wsgi import SojournMiddleware\nkept = SQLiteStore(Path('sojourn.db').absolute())\n"
    "app = SojournMiddleware(lambda environ, start: [], Settings(secret_key='a key that only tests use', store=kept))\n",
}


def run(folder: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[bytes]:
    code = "import sys; from sojourn.cli import main; sys.exit(main())"
    own = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        cwd=folder,
        env={**own, **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("kind", list(APPS))
def test_app_option_finds_the_store(kind: str, tmp_path: Path) -> None:
    fill(tmp_path / "sojourn.db")
    (tmp_path / "shop.py").write_text(APPS[kind])
    name = "shop:app.wsgi" if kind == "in a class" else "shop:app"
    done = run(tmp_path, "export", "--user", "anna", "--app", name)
    assert (done.returncode, done.stderr.decode()) == (0, f"loading\nstore: sqlite:///{tmp_path / 'sojourn.db'}\n")
    assert len(json.loads(done.stdout)["sessions"]) == 1


def test_user_ids_are_hashed_as_the_app_does(tmp_path: Path) -> None:
    url = fill(tmp_path / "sojourn.db", user=pseudonym("anna", HASH_KEY))
    hashing = SETTINGS.replace(")", f", hash_user_ids=True, user_hash_key={HASH_KEY!r})")
    (tmp_path / "shop.py").write_text(APPS["wsgi"].replace(SETTINGS, hashing))
    done = run(tmp_path, "erase", "--user", "anna", "--app", "shop:app", "--yes")
    assert done.stdout.decode().startswith("deleted: 1 sessions, 3 events")
    assert visitors_in(url) == {"browser-2"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("shop", "give module:app", id="no app named"),
        pytest.param("nowhere:app", "ModuleNotFoundError", id="no such module"),
        pytest.param("shop:application", "AttributeError", id="no such name"),
        pytest.param("shop:plain", "does not use Sojourn", id="an app without us"),
        pytest.param("broken:app", "ZeroDivisionError", id="a module that fails"),
        pytest.param("keyless:app", "SOJOURN_SECRET_KEY=", id="an app that lacks its key"),
    ],
)
def test_invalid_app_is_a_one_line_error(name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text("plain = object()\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "keyless.py").write_text("from sojourn import Settings\napp = Settings.from_env()\n")
    done = run(tmp_path, "export", "--user", "anna", "--app", name)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"sojourn: ")
    assert message in done.stderr.decode()


def test_store_alone_is_enough(tmp_path: Path) -> None:
    """No key and no settings: such requests may be handled on another host, with a copy of the store."""
    url = fill(tmp_path / "sojourn.db")
    document: dict[str, Any] = json.loads(run(tmp_path, "export", "--visitor", "browser-1", "--store", url).stdout)
    assert document["person"] == {"visitor.id": "browser-1"}
