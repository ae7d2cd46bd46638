"""`sojourn worker` beside real servers whose processes only write their journals: killed, doubled, stopped."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from sojourn import cli
from sojourn.core.events import START
from sojourn.stores import SQLiteStore

from .conftest import Place, Server, Start

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

COMMAND = (sys.executable, "-W", "error", "-c", "import sys; from sojourn.cli import main; sys.exit(main())", "worker")
_Found = TypeVar("_Found")


@dataclass
class Worker:
    process: subprocess.Popen[bytes]
    said: Path

    def lines(self) -> list[dict[str, Any]]:
        """What it has printed so far, whole lines only."""
        text = self.said.read_text()
        return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]

    def printed(self, what: str) -> list[dict[str, Any]]:
        return [line for line in self.lines() if line["what"] == what]

    @property
    def is_recorder(self) -> bool:
        changes = self.printed("recorder")
        return bool(changes) and bool(changes[-1]["is_recorder"])

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(30)


Hire = Callable[..., Worker]


@pytest.fixture
def hire(place: Place) -> Iterator[Hire]:
    """Start a worker with these settings; every one of them is stopped afterwards."""
    with ExitStack() as stack:

        def start(*arguments: str, **settings: str) -> Worker:
            said = place.folder / f"worker-{time.monotonic_ns()}.log"
            return stack.enter_context(_hired(place, said, arguments, settings))

        yield start


@contextmanager
def _hired(place: Place, said: Path, arguments: tuple[str, ...], settings: dict[str, str]) -> Iterator[Worker]:
    environ = place.environ(**settings)
    if "secret_key" not in settings:
        del environ["SOJOURN_SECRET_KEY"]  # it makes no cookie and reads none
    with said.open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, "--json", *arguments], cwd=place.folder, env=environ, stdout=log, stderr=log
        )
    try:
        yield Worker(process, said)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def until(found: Callable[[], _Found], *, seconds: float = 30.0) -> _Found:
    """What is found, as soon as it is something."""
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
    return value


def settings_of(place: Place, **more: str) -> dict[str, str]:
    return {"deliver": "worker", "backends": f"jsonl:{place.folder / 'events.jsonl'}", **more}


def browse(server: Server, pages: list[str]) -> None:
    with httpx.Client(base_url=server.url, timeout=20) as browser:
        for page in pages:
            browser.get(page, headers={"accept": "text/html"}).raise_for_status()


def delivered(place: Place) -> Counter[str]:
    """By path, how often its page view arrived."""
    file = place.folder / "events.jsonl"
    events = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return Counter(event["data"]["url.path"] for event in events if event["type"] == "page_view")


def status(place: Place, capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert cli.main(["status", "--store", place.store, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


PAGES = [f"/page/{number}" for number in range(20)]


@pytest.mark.parametrize("kind", ["gunicorn", "uvicorn"])
def test_web_processes_only_append_and_the_worker_records_and_delivers(
    kind: str, place: Place, serve: Start, hire: Hire, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(place)
    server = serve(kind, workers=2, **settings)
    browse(server, PAGES)
    assert not (place.folder / "sojourn.db").exists(), "no process has recorded"
    worker = hire(**settings)
    until(lambda: delivered(place).keys() >= set(PAGES))
    assert set(delivered(place).values()) == {1}
    (started,) = worker.printed("started")
    assert started["backends"] == ["jsonl"]
    report = status(place, capsys)
    assert {lease["holder"].rpartition("/")[2] for lease in report["leases"]} == {_journal_of(worker, place)}
    assert (report["records"]["holds"], report["backends"][0]["holds"], report["backends"][0]["backlog"]) == (
        True,
        True,
        0,
    )
    assert worker.end() == 0
    (ended,) = worker.printed("ended")
    assert ended["recorded"] >= len(PAGES)
    assert ended["delivered"]["jsonl"] == report["backends"][0]["delivered"]


def _journal_of(worker: Worker, place: Place) -> str:
    """The journal whose lock this process holds, as the system sees it."""
    locks = Path("/proc/locks").read_text().splitlines()
    inodes = {int(line.split(":")[-1].split()[0]) for line in locks if f" {worker.process.pid} " in line}
    (own,) = (file for file in (place.folder / "sojourn.db.d").glob("*.lock") if file.stat().st_ino in inodes)
    return own.stem


def test_another_worker_continues_after_a_kill(
    place: Place, serve: Start, hire: Hire, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(place)
    server = serve("gunicorn", workers=2, **settings)
    asked = [*PAGES]
    browse(server, asked)
    for round_ in range(4):
        worker = hire(**settings)
        until(lambda worker=worker: worker.printed("started"))  # type: ignore[misc]
        pages = [f"/{round_}/{number}" for number in range(50)]
        browse(server, pages)
        asked += pages
        worker.process.kill()  # somewhere in the middle of them
        worker.process.wait(10)
    hire(**settings)
    until(lambda: delivered(place).keys() >= set(asked))
    report = until(lambda: _when_all_is_delivered(status(place, capsys)))
    assert report["records"]["accepted"] == report["records"]["recorded"] >= len(asked)
    assert (report["records"]["holds"], report["backends"][0]["holds"]) == (True, True)
    store = SQLiteStore(place.folder / "sojourn.db")
    views = Counter(
        event.attributes["url.path"] for event in store.log.after(START, limit=10_000) if event.name == "page_view"
    )
    store.close()
    assert views == Counter(asked)


def _when_all_is_delivered(report: Any) -> Any:
    return report if report["backends"][0]["backlog"] == 0 and report["records"]["unapplied"] == 0 else None


def test_a_second_worker_takes_over_within_seconds(place: Place, serve: Start, hire: Hire) -> None:
    settings = settings_of(place)
    server = serve("uvicorn", **settings)
    workers = [hire(**settings), hire(**settings)]
    until(lambda: all(worker.printed("started") for worker in workers))
    (leader,) = until(lambda: [worker for worker in workers if worker.is_recorder])
    (other,) = (worker for worker in workers if worker is not leader)
    browse(server, ["/before"])
    until(lambda: "/before" in delivered(place))
    assert not other.is_recorder
    leader.process.kill()
    leader.process.wait(10)
    killed_at = time.monotonic()
    browse(server, ["/after"])
    until(lambda: other.is_recorder and "/after" in delivered(place))
    assert time.monotonic() - killed_at < 10, "long before the lease is over"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_worker_in_time_with_exit_code_0(
    number: signal.Signals, place: Place, serve: Start, hire: Hire
) -> None:
    settings = settings_of(place)
    browse(serve("uvicorn", **settings), PAGES)
    worker = hire(**settings)
    until(lambda: worker.is_recorder)
    began = time.monotonic()
    assert worker.end(number) == 0
    assert time.monotonic() - began < 5
    (ended,) = worker.printed("ended")
    assert delivered(place).keys() >= set(PAGES), "what the time allows is done first"
    assert (ended["waiting"], ended["recorded"] >= len(PAGES)) == (0, True), "and its last line counts that"
    store = SQLiteStore(place.folder / "sojourn.db")
    leases = store.leases.held()
    store.close()
    assert leases == (), "they pass on at once"


def test_a_hanging_backend_does_not_delay_the_workers_end(place: Place, serve: Start, hire: Hire) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never responds
        url = f"webhook+http://127.0.0.1:{silent.getsockname()[1]}/in"
        settings = settings_of(place, backends=url)
        browse(serve("uvicorn", **settings), PAGES)
        worker = hire(**settings)
        silent.settimeout(30)
        connection, _ = silent.accept()
        with connection:
            began = time.monotonic()
            assert worker.end() == 0
            assert time.monotonic() - began < 2 + 3 + 3  # shutdown_timeout, then the interpreter on a busy machine


def test_the_worker_waits_for_a_missing_store_and_does_not_create_it(place: Place, serve: Start, hire: Hire) -> None:
    settings = settings_of(place)
    worker = hire(**settings)
    (waiting,) = until(lambda: worker.printed("waiting"))
    assert "there is no store at" in waiting["message"]
    assert {file.suffix for file in place.folder.iterdir()} <= {".py", ".log"}
    browse(serve("uvicorn", **settings), PAGES)
    until(lambda: delivered(place).keys() >= set(PAGES))
    assert len(worker.printed("waiting")) == 1, "it is not said every second"


def test_the_worker_can_be_ended_while_it_waits_for_the_store(place: Place, hire: Hire) -> None:
    worker = hire(**settings_of(place))
    until(lambda: worker.printed("waiting"))
    assert worker.end() == 0


def test_the_worker_takes_its_settings_from_an_app(place: Place, serve: Start, hire: Hire) -> None:
    settings = settings_of(place)
    browse(serve("uvicorn", **settings), PAGES)
    worker = hire("--app", "site_under_test:asgi", secret_key="a key for many worker processes", **settings)
    until(lambda: delivered(place).keys() >= set(PAGES))
    assert worker.end() == 0


def test_without_a_usable_journal_directory_the_worker_fails(place: Place, hire: Hire) -> None:
    folder = place.folder / "journals"
    folder.mkdir()
    folder.chmod(0o777)  # where anybody may plant files
    worker = hire(journal_dir=str(folder))
    assert worker.process.wait(30) == 1
    assert f"the worker cannot use the journal directory {folder}; set journal_dir" in worker.said.read_text()
