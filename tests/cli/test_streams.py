"""Commands whose output cannot be written: one line on standard error, exit code 1, and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from tests.stores.contract.steps import NOW, event, row, save

RUN = "import sys; from sojourn.cli import main; sys.exit(main())"
COMMANDS = [
    ["status", "--store", "{url}"],
    ["status", "--store", "{url}", "--json"],
    ["sessions", "list", "--store", "{url}"],
    ["sessions", "list", "--store", "{url}", "--json"],
    ["sessions", "show", "s", "--store", "{url}"],
    ["sessions", "show", "s", "--store", "{url}", "--json"],
    ["sessions", "tail", "--store", "{url}"],
    ["export", "--events", "--store", "{url}"],
    ["export", "--sessions", "--format", "csv", "--store", "{url}"],
    ["export", "--visitor", "v", "--store", "{url}"],
    ["erase", "--visitor", "nobody", "--yes", "--store", "{url}"],
    ["outbox", "list", "posthog", "--waiting", "--store", "{url}"],
    ["secret"],
    ["--help"],
    ["--version"],
    [],
]
each_command, some_commands = (
    pytest.mark.parametrize("command", commands, ids=lambda command: " ".join(command[:3]) or "no command")
    for commands in (COMMANDS, [COMMANDS[0], COMMANDS[3], COMMANDS[7], COMMANDS[-3]])
)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("streams") / "sojourn.db"
    store = SQLiteStore(path)
    store.outbox.register(["posthog"], now=NOW)
    save(store, Batch(rows=[row("s")], events=[event(f"e{number}") for number in range(300)]))
    store.close()
    return f"sqlite:///{path}"


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What is on standard error beside the name of the store; exactly one line."""
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("store: ")]
    return line


def run(command: list[str], url: str, redirection: str) -> subprocess.CompletedProcess[str]:
    arguments = [part.format(url=url) for part in command]
    shell = f'exec "$@" {redirection}'
    words = ["sh", "-c", shell, "sh", sys.executable, "-W", "error", "-c", RUN, *arguments]
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@each_command
def test_a_full_disk_is_one_line(command: list[str], url: str) -> None:
    done = run(command, url, ">/dev/full")
    assert complaint(done) == "sojourn: the output could not be written: No space left on device"
    assert done.returncode == 1


@some_commands
def test_a_closed_standard_output_is_one_line(command: list[str], url: str) -> None:
    done = run(command, url, ">&-")
    assert complaint(done) == "sojourn: the output could not be written: Bad file descriptor"
    assert done.returncode == 1


@some_commands
def test_a_reader_that_has_gone_is_one_line(command: list[str], url: str) -> None:
    """As after `| head -1`, at once: the reading end is closed before the command starts."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        arguments = [part.format(url=url) for part in command]
        words = [sys.executable, "-W", "error", "-c", RUN, *arguments]
        done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert complaint(done) == "sojourn: the output could not be written: Broken pipe"
    assert done.returncode == 1


def test_without_standard_error_the_output_is_complete(url: str) -> None:
    shell = 'exec "$@" 2>&-'
    words = ["sh", "-c", shell, "sh", sys.executable, "-c", RUN, "export", "--events", "--store", url]
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 300)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_an_export_that_was_not_written_is_not_reported_as_done(url: str) -> None:
    assert "exported" not in run(["export", "--events", "--store", "{url}"], url, ">/dev/full").stderr


def test_erasure_is_complete_where_its_summary_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "sojourn.db"
    store = SQLiteStore(path)
    save(store, Batch(rows=[row("s")], events=[event("e")]))
    (tmp_path / "sojourn.db.d").mkdir()
    visitor = store.sessions.latest(limit=1)[0].visitor_id
    assert run(["erase", "--visitor", visitor, "--yes", "--store", "{url}"], f"sqlite:///{path}", ">&-").returncode == 1
    assert store.sessions.latest(limit=1) == []
    store.close()
