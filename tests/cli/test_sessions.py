"""`sojourn sessions list|show|tail`: filters, output, and text that is safe for any terminal."""

from __future__ import annotations

import io
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sojourn import capture_exception, cli, identify, set_session_property, track
from sojourn.cli import _tail
from sojourn.core.events import Position
from sojourn.errors import StoreError
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.rows import PropertyValue
from sojourn.tracking.masking import pseudonym
from tests.doors.browser import Browser, Response, Site, view_of
from tests.postgres import Cluster
from tests.stores.contract.steps import NOW, event, row, save

HASH_KEY = b"a key for user ids alone"
HOSTILE = "/\x1b[2J\u202e\r\n" + "x" * 300
HEADS = [
    "session",
    "started (UTC)",
    "user",
    "entry",
    "exit",
    "device",
    "duration",
    "pages",
    "events",
    "errors",
    "state",
]


def play(url: str) -> None:
    """Record Anna's session, ended by the idle timeout, and an hour later Ben's, which is open."""
    site = Site("wsgi", store=url)
    anna, ben = Browser(site), Browser(site)
    site.views["/login"] = view_of(
        lambda: identify("anna", "Anna Example"), lambda: set_session_property("plan", "pro")
    )
    site.views["/fails"] = view_of(lambda: capture_exception(error()), response=Response(500))
    anna.navigate("/login", referer="https://search.example/x?q=1")
    site.clock.advance(75)
    anna.navigate("/fails")
    site.clock.advance(3600)
    site.engine.sweep()
    site.views["/"] = view_of(lambda: identify("ben"), lambda: track("bought", {"name": "a\nb"}))
    ben.navigate("/")
    ben.navigate("/about")
    assert site.engine.flush().done
    site.close()


def error() -> Exception:
    try:
        raise ValueError("secret")
    except ValueError as error:
        return error


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('store') / 'sojourn.db'}"
    play(url)
    return url


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["sessions", *arguments]) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    return json.loads(output(capsys, *arguments, "--json"))


def key_of(url: str, user: str) -> str:
    store = SQLiteStore(Path(url.removeprefix("sqlite:///")))
    try:
        return next(kept.key for kept in store.sessions.latest(limit=9) if kept.user_id == user)
    finally:
        store.close()


# --- list


def test_list_as_a_table(played: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sessions", "list", "--store", played]) == 0
    out, err = capsys.readouterr()
    assert err == f"store: {played}\n"
    heads, ben, anna = out.splitlines()
    assert re.split("  +", heads.strip()) == HEADS
    assert re.fullmatch(r"  [0-9a-f-]{36}  2023-11-14 22:\d\d  Anna Example .*  1 m 15 s +2 +5 +1  idle_timeout", anna)
    assert "open, last activity " in ben
    assert ben.index("  /  ") == anna.index("  /login  ") == heads.index("  entry  ")


@pytest.mark.parametrize(
    ("options", "users"),
    [
        pytest.param([], ["ben", "anna"], id="all, latest first"),
        pytest.param(["--active"], ["ben"], id="open"),
        pytest.param(["--user", "anna"], ["anna"], id="of a user"),
        pytest.param(["--user", "stranger"], [], id="of an unknown user"),
        pytest.param(["--path", "/fails"], ["anna"], id="with a page"),
        pytest.param(["--path", "/f*"], ["anna"], id="with a page below"),
        pytest.param(["--reason", "idle_timeout"], ["anna"], id="end reason"),
        pytest.param(["--reason", "ended"], [], id="another end reason"),
        pytest.param(["--errors"], ["anna"], id="with errors"),
        pytest.param(["--errors", "--active"], [], id="two filters"),
        pytest.param(["--where", "exit_path=/f*"], ["anna"], id="exit page"),
        pytest.param(["--where", "exit_path=/f*", "--where", "browser=Nothing"], [], id="two dimensions"),
        pytest.param(["--limit", "1"], ["ben"], id="only one"),
        pytest.param(["--since", "2023-11-14T23:00"], ["ben"], id="since"),
        pytest.param(["--until", "2023-11-14T23:00:00+00:00"], ["anna"], id="until"),
        pytest.param(["--since", "1h"], [], id="an age"),
        pytest.param(["--since", "36500d"], ["ben", "anna"], id="a long age"),
    ],
)
def test_list_filters(options: list[str], users: list[str], played: str, capsys: pytest.CaptureFixture[str]) -> None:
    listed = document(capsys, "list", "--store", played, *options)
    assert [each["user_id"] for each in listed["sessions"]] == users
    assert listed["is_more"] is ("--limit" in options)


def test_list_by_visitor_id(played: str, capsys: pytest.CaptureFixture[str]) -> None:
    (ben, _) = document(capsys, "list", "--store", played)["sessions"]
    (session,) = document(capsys, "list", "--store", played, "--visitor", ben["visitor_id"])["sessions"]
    assert session == ben


@pytest.mark.parametrize(
    ("user_id", "reason"),
    [
        pytest.param("anna\u3164", "invisible characters (U+3164)", id="an invisible filler"),
        pytest.param("\u0430nna", "letters of several scripts (Cyrillic, Latin)", id="a Cyrillic a"),
        pytest.param("andre\u0301", "decomposed characters (not in NFC)", id="decomposed"),
        pytest.param("\u0639\u0644\u06cc\u200c\u0631\u0636\u0627", None, id="a joiner where its script uses one"),
        pytest.param("anna", None, id="an ordinary one"),
    ],
)
@pytest.mark.parametrize("name", ["Anna", None])
def test_a_look_alike_id_is_marked_in_the_list_and_explained_in_the_session(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], user_id: str, reason: str | None, name: str | None
) -> None:
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    site = Site("wsgi", store=url)
    site.views["/"] = view_of(lambda: identify(user_id, name))
    Browser(site).navigate()
    (session_id,) = site.sessions
    site.close()
    listed = output(capsys, "list", "--store", url)
    assert ("  Anna (look-alike)  " if name else " (look-alike)  ") in listed or reason is None
    assert listed.count("(look-alike)") == (reason is not None)
    shown = output(capsys, "show", session_id, "--store", url)
    assert (f"look-alike: this ID has {reason}\n" in shown) == (reason is not None)


def test_list_limit_announces_more(played: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert output(capsys, "list", "--store", played, "--limit", "1").splitlines()[-1] == (
        "  ... and more; use --limit 2 to show them"
    )
    assert output(capsys, "list", "--store", played, "--user", "stranger") == "none\n"


def test_list_by_user_id_with_hash_user_ids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SQLiteStore(tmp_path / "sojourn.db")
    kept = row("a")
    kept.user_id = pseudonym("anna", HASH_KEY)
    save(store, Batch(rows=[kept]))
    store.close()
    (tmp_path / "hashing_shop.py").write_text(
        "from sojourn import Settings\nfrom sojourn.wsgi import SojournMiddleware\n"
        f"app = SojournMiddleware(lambda e, s: [], Settings(secret_key='a key that only tests use', "
        f"store='sqlite:///{tmp_path / 'sojourn.db'}', hash_user_ids=True, user_hash_key={HASH_KEY!r}))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert len(document(capsys, "list", "--app", "hashing_shop:app", "--user", "anna")["sessions"]) == 1
    sys.modules.pop("hashing_shop")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        pytest.param(["list", "--since", "soon"], 2, "got 'soon'", id="no moment"),
        pytest.param(["list", "--reason", "bored"], 2, "bored", id="no reason"),
        pytest.param(["list", "--limit", "few"], 2, "got 'few'", id="no number"),
        pytest.param(["list", "--limit", "9" * 20], 2, "at most 12 digits", id="out of range"),
        pytest.param(["list", "--since", "2026-99-99"], 2, "got '2026-99-99'", id="no such day"),
        pytest.param(
            ["list", "--where", "brwser=Firefox"], 2, "brwser: unknown filter; did you mean browser?", id="no dimension"
        ),
        pytest.param(
            ["list", "--where", "browser=Firefox", "--where", "browser=Chrome"],
            1,
            "browser: a session has one value",
            id="one twice",
        ),
        pytest.param(["list", "--user", "a", "--visitor", "b"], 2, "not allowed with", id="two people"),
        pytest.param(
            ["list", "--since", "2024-01-01", "--until", "2023-01-01"], 1, "--until", id="the wrong way round"
        ),
        pytest.param(["show", "none-such"], 1, "there is no session 'none-such'", id="no such session"),
        pytest.param(["show", "\x1b[2J"], 1, "\\\\x1b[2J", id="a hostile name"),
        pytest.param(["tail", "--events", ","], 1, "is not a name or pattern", id="no pattern"),
    ],
)
def test_invalid_arguments_are_errors(
    options: list[str], code: int, message: str, played: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        exit_code = cli.main(["sessions", *options, "--store", played])
    except SystemExit as exit_:
        exit_code = exit_.code if isinstance(exit_.code, int) else -1
    err = capsys.readouterr().err
    assert (exit_code, message in err) == (code, True), err
    assert "\x1b" not in err


# --- show


def test_show_as_a_page(played: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = output(capsys, "show", key_of(played, "anna"), "--store", played)
    assert out.replace("\n", "").isprintable()
    about, timeline = out.split("\n\n")
    facts = dict(line.split(None, 1) for line in about.splitlines() if not line.startswith(" "))
    assert facts["user"] == "anna (Anna Example)"
    assert facts["duration"] == "1 m 15 s, 2 requests, 2 page views, 5 events, 1 errors"
    assert facts["entry"] == "/login from https://search.example/x"
    assert facts["exit"] == "/fails"
    assert facts["properties"] == "session_properties.plan=pro"
    assert ": idle_timeout" in about
    lines = timeline.splitlines()
    kinds = [re.match(r" +\+(\S+ \S+|\S+ \S+ \S+ \S+)  ([a-z._]+)", line) for line in lines]
    assert [match[2] for match in kinds if match] == [
        "session.start",
        "user.identify",
        "session.properties",
        "page_view",
        "session.heartbeat",
        "exception",
        "page_view",
        "session.end",
    ]
    assert "+1 m 15 s" in lines[-1]
    assert any(line.startswith(" " * 16) and "test_sessions.py" in line for line in lines)


def test_show_as_json_equals_an_export(played: str, capsys: pytest.CaptureFixture[str]) -> None:
    key = key_of(played, "anna")
    shown = document(capsys, "show", key, "--store", played)
    assert cli.main(["export", "--user", "anna", "--store", played]) == 0
    (exported,) = json.loads(capsys.readouterr().out)["sessions"]
    assert shown["events"] == exported["events"]
    neighbours = {"previous_session": None, "next_session": None}
    assert shown["session"] == {**exported["session"], **neighbours}


def test_show_limit_announces_more(played: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = output(capsys, "show", key_of(played, "anna"), "--store", played, "--limit", "2").splitlines()
    assert lines[-1] == "  ... and more; use --limit 8 to show all 8 events"
    assert "user.identify" in lines[-2]


def test_show_reads_long_sessions_in_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = SQLiteStore(tmp_path / "sojourn.db")
    save(store, Batch(rows=[row("s")], events=[event(f"e{n}", at=NOW + n) for n in range(1203)]))
    store.close()
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    assert output(capsys, "show", "id-s", "--store", url, "--limit", "5000").count("page_view") == 1203
    assert len(document(capsys, "show", "s", "--store", url)["events"]) == 1203


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["list"], id="list"),
        pytest.param(["show", "s"], id="show"),
        pytest.param(["tail"], id="tail"),
        pytest.param(["list", "--json"], id="a list as JSON"),
        pytest.param(["show", "s", "--json"], id="one as JSON"),
        pytest.param(["tail", "--json"], id="events as JSON"),
    ],
)
def test_untrusted_text_cannot_control_the_terminal(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = row("s")
    for name in ("session_id", "visitor_id", "user_id", "user_name", "entry_path", "referrer", "browser"):
        setattr(kept, name, HOSTILE)
    kept.user_traits, kept.origin = {HOSTILE: HOSTILE}, {"client.address": HOSTILE}
    kept.properties = {HOSTILE: PropertyValue(HOSTILE, NOW, "r")}
    attributes = {"url.path": HOSTILE, HOSTILE: HOSTILE, "exception.stacktrace": f"a\n{HOSTILE}\x9b"}
    hostile = msgspec.structs.replace(event("e", name=HOSTILE, user_id=HOSTILE), attributes=attributes)
    store = SQLiteStore(tmp_path / "sojourn.db")
    save(store, Batch(rows=[kept], events=[hostile]))
    store.close()
    out = output(capsys, *command, "--store", f"sqlite:///{tmp_path / 'sojourn.db'}")
    assert "[2J" in out
    assert {char for char in out if not char.isprintable()} == {"\n"}


# --- tail


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    names = ["page_view", "bought"]
    save(store, Batch(rows=[row("s")], events=[event(f"e{n}", name=names[n % 2]) for n in range(1200)]))
    yield store
    store.close()


def ids(text: str) -> list[str]:
    return [json.loads(line)["id"] for line in text.splitlines()]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        pytest.param([], range(1190, 1200), id="the last ten"),
        pytest.param(["-n", "2"], [1198, 1199], id="fewer"),
        pytest.param(["-n", "0"], [], id="none"),
        pytest.param(["-n", "5000"], range(1200), id="all"),
        pytest.param(["-n", "2", "--events", "bought"], [1197, 1199], id="of a name"),
        pytest.param(["-n", "2", "--events", "!bought"], [1196, 1198], id="except a name"),
        pytest.param(["-n", "600", "--events", "b*"], range(1, 1200, 2), id="more than one part of the log"),
    ],
)
def test_tail_prints_the_latest_events(
    options: list[str], numbers: list[int], log: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    out = output(capsys, "tail", "--store", f"sqlite:///{log.path}", "--json", *options)
    assert ids(out) == [f"e{n}" for n in numbers]


def test_tail_prints_console_lines(log: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    out = output(capsys, "tail", "--store", f"sqlite:///{log.path}", "-n", "1")
    assert re.fullmatch(r"12:00:00\.000Z  bought +id-s +anna .*\n", out)


class Enough(Exception):
    """Ends the endless loop of the test."""


def test_follow_survives_store_errors(
    log: SQLiteStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    waits: list[float] = []

    after = log.log.after

    def events_after(position: Position, *, limit: int) -> Any:
        if len(waits) == 1:
            raise StoreError("gone\x1b[2J")
        return after(position, limit=limit)

    def wait(seconds: float) -> None:
        waits.append(seconds)
        match len(waits):
            case 1:
                save(log, Batch(events=[event(f"new{n}") for n in range(700)]))
            case 3:
                raise Enough

    monkeypatch.setattr(log.log, "after", events_after)
    with pytest.raises(Enough):
        _tail.tail(log, lines=1, follows=True, patterns=None, is_json=True, out=out, wait=wait)
    assert ids(out.getvalue()) == ["e1199", *(f"new{n}" for n in range(700))]
    assert waits == [0.5, 2.0, 0.5]
    assert capsys.readouterr().err == "sojourn sessions tail: gone\\x1b[2J; trying again\n"


@pytest.mark.slow
def test_follow_sees_another_process_until_interrupted(log: SQLiteStore) -> None:
    command = [sys.executable, "-c", "import sys; from sojourn.cli import main; sys.exit(main())"]
    tail = subprocess.Popen(
        [*command, "sessions", "tail", "-f", "-n", "1", "--store", f"sqlite:///{log.path}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    try:
        assert tail.stdout is not None
        assert "bought" in line_of(tail)
        save(log, Batch(events=[event("late", name="entdeckt-é")]))
        assert "entdeckt-\\xe9" in line_of(tail)
        tail.send_signal(signal.SIGINT)
        assert tail.wait(10) == 130
    finally:
        tail.kill()
        tail.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line, within ten seconds."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + 10
        assert waiting.select(max(0, deadline - time.monotonic())), "no line came"
    return process.stdout.readline()


# --- PostgreSQL


@pytest.mark.slow
def test_with_postgresql(postgres: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
    url = postgres.fresh_database()
    play(url)
    listed = document(capsys, "list", "--store", url, "--path", "/f*")["sessions"]
    assert [each["user_id"] for each in listed] == ["anna"]
    shown = document(capsys, "show", listed[0]["session_key"], "--store", url)
    assert len(shown["events"]) == 8
    assert len(ids(output(capsys, "tail", "--store", url, "--json", "-n", "3"))) == 3
