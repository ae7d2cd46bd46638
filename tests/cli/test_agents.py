"""`sojourn agents`: who read what, as a table, CSV or JSON; `sojourn agent-ranges`: the networks it is verified by."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from sojourn import cli
from sojourn.backends import fetching
from sojourn.core.clock import SystemClock
from sojourn.stores import SQLiteStore
from sojourn.stores.model import AgentCount, Batch
from sojourn.user_agents.published import FRESH_MS, KIND, SOURCES, Published, published_of
from tests.stores.contract.steps import save

HOUR_MS = 3_600_000
LIST = {"creationTime": "2026-11-20T10:00:00.000000", "prefixes": [{"ipv4Prefix": "8.8.4.0/27"}]}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    yield store
    store.close()


def run(store: SQLiteStore, *arguments: str) -> int:
    return cli.main(["agents", *arguments, "--store", f"sqlite:///{store.path}"])


def ranges(store: SQLiteStore, *arguments: str) -> int:
    return cli.main(["agent-ranges", *arguments, "--store", f"sqlite:///{store.path}"])


def networks(store: SQLiteStore) -> dict[str, tuple[str, ...]]:
    found = {each.name: published_of(each.text) for each in store.definitions.of(KIND)}
    return {name: each.networks for name, each in found.items() if each is not None}


@pytest.fixture
def visited(store: SQLiteStore) -> SQLiteStore:
    """One agent read two pages this hour, another one page eight days ago."""
    now = SystemClock.now() // HOUR_MS * HOUR_MS
    bot = {"agent": "GPTBot", "kind": "ai_training"}
    rows = [
        AgentCount(at=now, path="/=1+1", status=2, hits=3, last_at=now, **bot),  # type: ignore[arg-type]
        AgentCount(at=now, path="/gone", status=4, hits=1, verified=1, last_at=now, **bot),  # type: ignore[arg-type]
        AgentCount(at=now - 8 * 24 * HOUR_MS, agent="bingbot", kind="search", path="/old", status=2, hits=1),
    ]
    save(store, Batch(agents=rows))
    return store


def test_table_of_agents_and_of_pages(visited: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(visited) == 0
    out = capsys.readouterr().out.splitlines()
    heads = [
        "agent",
        "kind",
        "identity",
        "requests",
        "verified",
        "false",
        "pages",
        "4xx",
        "5xx",
        "robots.txt",
        "llms.txt",
    ]
    assert out[1].split() == [*heads, "last", "at"]
    assert out[2].split()[:9] == ["GPTBot", "ai_training", "partly", "verified", "4", "1", "0", "2", "1"]
    assert len(out) == 3
    assert run(visited, "--pages") == 0
    assert "/gone" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("since", "agents"),
    [
        (("--since", "9d"), ["GPTBot", "bingbot"]),
        (("--range", "30d"), ["GPTBot", "bingbot"]),
        (("--since", "2h"), ["GPTBot"]),
    ],
)
def test_json_of_a_range(
    visited: SQLiteStore, capsys: pytest.CaptureFixture[str], since: tuple[str, ...], agents: list[str]
) -> None:
    assert run(visited, *since, "--format", "json") == 0
    assert [row["agent"] for row in json.loads(capsys.readouterr().out)["agents"]] == agents


def test_csv_is_inert_in_a_spreadsheet(visited: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(visited, "--pages", "--format", "csv", "--find", "=") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "path,requests,agents,client_errors,server_errors,last_at"
    assert lines[1].startswith("/=1+1,3,1,0,0,")
    assert len(lines) == 2


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_mistake_is_named(visited: SQLiteStore, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert run(visited, "--kind", "robots", "--format", form) == 1
    assert "kind: unknown value" in capsys.readouterr().err


# --- published networks


def test_a_file_is_loaded_for_the_agents_that_it_is_about(
    store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bots.json"
    file.write_text(json.dumps(LIST))
    assert ranges(store, "load", str(file)) == 0
    assert capsys.readouterr().out == "ClaudeBot, Claude-User, Claude-SearchBot: 1 networks\n"
    assert networks(store) == dict.fromkeys(("Claude-SearchBot", "Claude-User", "ClaudeBot"), ("8.8.4.0/27",))
    plain = tmp_path / "addresses.txt"
    plain.write_text("# of the monitor\n9.9.9.9\n")
    assert ranges(store, "load", str(plain), "--agent", "UptimeRobot") == 0
    assert networks(store)["UptimeRobot"] == ("9.9.9.9/32",)


def test_a_folder_with_one_bad_file_changes_nothing(
    store: SQLiteStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "lists"
    folder.mkdir()
    (folder / "README.md").write_text("not a list")
    (folder / "gptbot.json").write_text(json.dumps(LIST))
    (folder / "searchbot.json").write_text('{"prefixes": [{"ipv4Prefix": "0.0.0.0/0"}]}')
    assert ranges(store, "load", str(folder)) == 1
    assert "searchbot.json: 0.0.0.0/0 is too wide to be one operator's" in capsys.readouterr().err
    assert networks(store) == {}
    (folder / "searchbot.json").write_text(json.dumps(LIST))
    assert ranges(store, "load", str(folder)) == 0
    assert set(networks(store)) == {"GPTBot", "OAI-SearchBot"}


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        pytest.param("mine.json", (), "give --agent NAME, or name it as one of gptbot.json", id="unknown file"),
        pytest.param("mine.json", ("--agent", "<script>"), "no agent can have the name <script>", id="no name"),
        pytest.param("gone.json", ("--agent", "GPTBot"), "gone.json cannot be read: No such file", id="no file"),
        pytest.param("empty", (), "has 0 .json and .txt files", id="empty folder"),
    ],
)
def test_what_cannot_be_loaded_is_explained(  # noqa: PLR0917 - fixtures and parameters
    store: SQLiteStore,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    arguments: tuple[str, ...],
    problem: str,
) -> None:
    (tmp_path / "mine.json").write_text(json.dumps(LIST))
    (tmp_path / "empty").mkdir()
    assert ranges(store, "load", str(tmp_path / name), *arguments) == 1
    assert problem in capsys.readouterr().err


Responder = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def respond(monkeypatch: pytest.MonkeyPatch) -> Callable[[Responder], None]:
    """Let `update` fetch from a function."""

    def use(responder: Responder) -> None:
        transport = httpx.MockTransport(responder)
        monkeypatch.setattr(fetching, "client_of", lambda: httpx.Client(transport=transport, follow_redirects=True))

    return use


def test_update_fetches_every_list(
    store: SQLiteStore, respond: Callable[[Responder], None], capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def responder(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json=LIST)

    respond(responder)
    assert ranges(store, "update") == 0
    assert asked == [source.url for source in SOURCES]
    assert set(networks(store)) == {agent for source in SOURCES for agent in source.agents}
    assert ranges(store, "update", "--agent", "GPTBot", "--agent", "ClaudeBot") == 0
    assert asked[len(SOURCES) :] == ["https://openai.com/gptbot.json", "https://claude.com/crawling/bots.json"]
    assert "GPTBot: 1 networks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("response", "problem"),
    [
        pytest.param(httpx.Response(404), "the server responded with status 404", id="gone"),
        pytest.param(httpx.Response(200, text="<!doctype html>"), "it is a web page, not the list itself", id="page"),
        pytest.param(httpx.Response(200, content=b" " * 3_000_000), "it is larger than 2 MB", id="large"),
        pytest.param(
            httpx.Response(302, headers={"location": "http://evil.example/list.json"}),
            "leads over plain http",
            id="plain http",
        ),
        pytest.param(httpx.ConnectError("no route"), "no route", id="no network"),
    ],
)
def test_a_list_that_cannot_be_read_stays_as_it_was(
    store: SQLiteStore,
    respond: Callable[[Responder], None],
    capsys: pytest.CaptureFixture[str],
    response: httpx.Response | httpx.ConnectError,
    problem: str,
) -> None:
    store.definitions.set(KIND, "GPTBot", Published(1, "old", ("9.9.9.9/32",)).text)

    def responder(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/gptbot.json":
            if isinstance(response, httpx.ConnectError):
                raise response
            return response
        return httpx.Response(200, json=LIST)

    respond(responder)
    assert ranges(store, "update") == 1
    err = capsys.readouterr().err
    assert "https://openai.com/gptbot.json" in err
    assert problem in err
    found = networks(store)
    assert found["GPTBot"] == ("9.9.9.9/32",)
    assert found["ChatGPT-User"] == ("8.8.4.0/27",), "the others are read all the same"


def test_update_knows_only_operators_that_publish(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert ranges(store, "update", "--agent", "YandexBot") == 1
    assert "no list of YandexBot is known; use load with a file" in capsys.readouterr().err


def test_list_and_remove(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert ranges(store, "list") == 0
    assert capsys.readouterr().out == "no lists; sojourn agent-ranges update fetches them\n"
    now = SystemClock.now()
    store.definitions.set(KIND, "GPTBot", Published(now - FRESH_MS - HOUR_MS, "gptbot.json", ("9.9.9.9/32",)).text)
    store.definitions.set(KIND, "bingbot", Published(now, "bingbot.json", ("8.8.4.0/27", "9.9.9.9/32")).text)
    assert ranges(store, "list") == 0
    old, new = capsys.readouterr().out.splitlines()[1:]
    assert "older than 30 days: confirms only" in old
    assert new.split()[:2] == ["bingbot", "2"]
    assert ranges(store, "list", "--json") == 0
    assert json.loads(capsys.readouterr().out)["ranges"][1]["networks"] == ["8.8.4.0/27", "9.9.9.9/32"]
    assert ranges(store, "remove", "GPTBot") == 0
    assert ranges(store, "remove", "GPTBot") == 1
    assert set(networks(store)) == {"bingbot"}
