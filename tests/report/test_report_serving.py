"""A report that owns its socket: one address opens it once, and no other site's name leads to it. Real sockets."""

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
from sojourn.stores import Database, open_store

COMMAND = (sys.executable, "-c", "import sys; from sojourn.cli import main; sys.exit(main())", "report")
PATIENCE_S = 30


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def server(told: list[str]) -> Iterator[ReportServer]:
    store = open_store("memory:")
    store.open()
    with ReportServer(Source(store=lambda: store, now=lambda: 1_700_000_000_000), tell=told.append) as server:
        yield server
    store.close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, timeout=PATIENCE_S) as client:
        yield client


def test_the_address_opens_it_once_and_then_there_is_another(
    server: ReportServer, told: list[str], client: httpx.Client
) -> None:
    (address,) = told
    assert address.startswith(f"http://127.0.0.1:{server.port}/?key=")
    opened = client.get(address)
    assert (opened.status_code, opened.headers["location"]) == (303, "/")
    assert client.get(f"http://127.0.0.1:{server.port}/").status_code == 200
    assert len(told) == 2
    with httpx.Client(trust_env=False) as other:
        assert other.get(address).status_code == 403
        assert other.get(told[1]).status_code == 303
    assert len(set(told)) == 3


@pytest.mark.parametrize("path", ["/", "/?key=", "/?key=wrong", "/sessions", "/sessions.csv", "/login", "/live/online"])
def test_without_the_address_it_is_closed(server: ReportServer, client: httpx.Client, path: str) -> None:
    answer = client.get(f"http://127.0.0.1:{server.port}{path}")
    assert answer.status_code in {401, 403}
    assert server.address.partition("key=")[2] not in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "192.0.2.1", "localhost.evil"]
)
def test_a_name_that_was_rebound_is_refused(
    server: ReportServer, client: httpx.Client, told: list[str], host: str
) -> None:
    answer = client.get(told[0], headers={"host": host})
    assert (answer.status_code, "set-cookie" in answer.headers) == (421, False)


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
def test_which_names_are_ours(bound: str, host: str, is_ours: bool) -> None:
    assert names_of(bound)(host) is is_ours


@given(st.text())
def test_no_other_name_is(host: str) -> None:
    is_loopback = re.fullmatch(r"\s*\[?(localhost|127(\.\d+){1,3}|::1|.*:.*:.*|\d+)\]?(:.*)?", host, re.IGNORECASE)
    assert names_of("127.0.0.1")(host) is False or is_loopback


def test_a_port_that_is_taken_is_said_with_the_way_out(server: ReportServer) -> None:
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


def test_the_command_serves_a_store_until_it_is_stopped(database: Path, client: httpx.Client) -> None:
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
            address = json.loads(process.stdout.readline())["address"]
            assert client.get(address).status_code == 303
            page = client.get(address.partition("?")[0])
            assert "No sessions in this range" in page.text
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(PATIENCE_S)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        pytest.param(["--store", "sqlite:///nowhere.db"], 1, "there is no database", id="no store"),
        pytest.param(["--store", "sqlite:///x.db", "--port", "70000"], 2, "0 to 65,535", id="no such port"),
        pytest.param([], 2, "required", id="nothing"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path: Path, arguments: list[str], code: int, problem: str) -> None:
    done = subprocess.run(
        [*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode, problem in done.stderr) == (code, True), done.stderr


def test_a_store_that_is_away_is_said_on_the_page(client: httpx.Client, told: list[str]) -> None:
    def away() -> Database:
        raise StoreError("the database db.example refused us; start it")

    with ReportServer(Source(store=away, now=lambda: 1_700_000_000_000), tell=told.append) as server:
        client.get(told[0])
        answer = client.get(f"http://127.0.0.1:{server.port}/sessions")
    assert (answer.status_code, "db.example refused us" in answer.text) == (503, True)


def test_the_demo_opens_onto_its_report(tmp_path: Path, client: httpx.Client) -> None:
    own = {name: value for name, value in os.environ.items() if not name.startswith(("SOJOURN_", "STATE_DIRECTORY"))}
    with subprocess.Popen(
        [*COMMAND[:-1], "demo"],
        stdout=subprocess.PIPE,
        text=True,
        env={**own, "XDG_STATE_HOME": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        told = (re.search(r"^  report +(http\S+)$", line) for line in process.stdout)
        address = next(found[1] for found in told if found)
        opened = client.get(address)
        assert (opened.status_code, opened.headers["location"]) == (303, "/sessions")
        assert "seed-shop" in client.get(f"{address.partition('?')[0]}sessions").text
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=PATIENCE_S)[0]
    assert (process.returncode, "The report is open. For another browser: http" in rest) == (0, True)
