"""The report on its own socket: one-time links and the check of host names. Real sockets."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.errors import SojournError, StoreError
from sojourn.report.serving import ReportServer, Source, names_of
from sojourn.stores import Store, open_store

COMMAND = (sys.executable, "-c", "import sys; from sojourn.cli import main; sys.exit(main())", "report")
PATIENCE_S = 30


@pytest.fixture
def links() -> list[str]:
    return []


@pytest.fixture
def server(links: list[str]) -> Iterator[ReportServer]:
    store = open_store("memory:")
    store.open()
    with ReportServer(Source(store=lambda: store, now=lambda: 1_700_000_000_000), on_link=links.append) as server:
        yield server
    store.close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
        yield client


def test_link_works_once_and_a_new_one_is_printed(server: ReportServer, links: list[str], client: httpx.Client) -> None:
    (link,) = links
    assert link.startswith(f"http://127.0.0.1:{server.port}/?key=")
    response = client.get(link)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    assert client.get(f"http://127.0.0.1:{server.port}/").status_code == 200
    assert len(links) == 2
    with httpx.Client(trust_env=False) as other:
        assert other.get(link).status_code == 403
        assert other.get(links[1]).status_code == 303
    assert len(set(links)) == 3


@pytest.mark.parametrize("path", ["/", "/?key=", "/?key=wrong", "/sessions", "/sessions.csv", "/login", "/live/online"])
def test_access_is_denied_without_a_link(server: ReportServer, client: httpx.Client, path: str) -> None:
    response = client.get(f"http://127.0.0.1:{server.port}{path}")
    assert response.status_code in {401, 403}
    assert server.link.partition("key=")[2] not in response.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "192.0.2.1", "localhost.evil"]
)
def test_rebound_host_name_is_rejected(server: ReportServer, client: httpx.Client, links: list[str], host: str) -> None:
    response = client.get(links[0], headers={"host": host})
    assert (response.status_code, "set-cookie" in response.headers) == (421, False)


@pytest.mark.parametrize(
    ("bound", "host", "is_ours"),
    [
        ("127.0.0.1", "127.0.0.1:8000", True),
        ("127.0.0.1", "localhost:8000", True),
        ("127.0.0.1", "LOCALHOST", True),
        ("127.0.0.1", "[::1]:8000", True),
        ("127.0.0.1", "10.0.0.7", False),
        ("::1", "[::1]:8000", True),
        ("0.0.0.0", "10.0.0.7:8000", True),
        ("0.0.0.0", "evil.example", False),
        ("10.0.0.7", "10.0.0.7:8000", True),
        ("box.lan", "box.lan:8000", True),
        ("box.lan", "evil.example:8000", False),
    ],
)
def test_host_header_check(bound: str, host: str, is_ours: bool) -> None:
    assert names_of(bound)(host) is is_ours


@given(st.text())
def test_any_other_host_header_is_rejected(host: str) -> None:
    is_loopback = re.fullmatch(r"\s*\[?(localhost|127(\.\d+){1,3}|::1|.*:.*:.*|\d+)\]?(:.*)?", host, re.IGNORECASE)
    assert names_of("127.0.0.1")(host) is False or is_loopback


def test_taken_port_is_an_error_with_the_fix(server: ReportServer) -> None:
    with pytest.raises(SojournError, match="choose another --port"):
        ReportServer(Source(store=lambda: open_store("memory:"), now=lambda: 0), port=server.port)


# --- the command


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "sojourn.db"
    store = open_store(f"sqlite:///{path}")
    store.open()
    store.close()
    return path


def test_command_serves_a_store_until_interrupted(database: Path, client: httpx.Client) -> None:
    environ = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
    with subprocess.Popen(
        [*COMMAND, "--store", f"sqlite:///{database}", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    ) as process:
        try:
            assert process.stdout is not None
            link = json.loads(process.stdout.readline())["address"]
            assert client.get(link).status_code == 303
            page = client.get(link.partition("?")[0])
            assert "No session was recorded yet" in page.text
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        pytest.param(["--store", "sqlite:///nowhere.db"], 1, "there is no store", id="no store"),
        pytest.param(["--store", "sqlite:///x.db", "--port", "70000"], 2, "0 to 65,535", id="no such port"),
        pytest.param([], 2, "no store is named", id="nothing"),
    ],
)
def test_command_errors(tmp_path: Path, arguments: list[str], code: int, problem: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, problem in done.stderr) == (code, True), done.stderr


def test_page_says_that_the_store_is_unavailable(client: httpx.Client, links: list[str]) -> None:
    def away() -> Store:
        raise StoreError("the database db.example refused us; start it")

    with ReportServer(Source(store=away, now=lambda: 1_700_000_000_000), on_link=links.append) as server:
        client.get(links[0])
        response = client.get(f"http://127.0.0.1:{server.port}/sessions")
    assert (response.status_code, "db.example refused us" in response.text) == (503, True)


def test_demo_serves_its_report(tmp_path: Path, client: httpx.Client) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SOJOURN_", "STATE_DIRECTORY"))}
    with subprocess.Popen(
        [*COMMAND[:-1], "demo"],
        stdout=subprocess.PIPE,
        text=True,
        env={**own, "XDG_STATE_HOME": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        links = (re.search(r"^  report +(http\S+)$", line) for line in process.stdout)
        link = next(match[1] for match in links if match)
        response = client.get(link)
        assert (response.status_code, response.headers["location"]) == (303, "/sessions")
        assert "seed-shop" in client.get(f"{link.partition('?')[0]}sessions").text
        assert any("The link was used. A new one: http" in line for line in process.stdout)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
