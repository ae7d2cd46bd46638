"""Sessions in memory are of one process: several workers of a server say so once, one worker and two apps say nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import httpx
import pytest

from sojourn.pipeline.memory_workers import MemoryWorker
from tests.faults.servers import Server, gunicorn, uvicorn

from .conftest import Place

KEY = b"a key that only these tests use"
SAYS = 'store="memory:" is for one process'
PATIENCE_S = 20.0


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The temporary folder of this process and of the servers."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(made))
    monkeypatch.setenv("TMPDIR", str(made))
    return made


def visit_until(server: Server, text: str, times: int) -> None:
    """Open pages until the log has this text, and then some more for what should not come."""
    deadline = time.monotonic() + PATIENCE_S
    while server.log.read_text().count(text) < times:
        assert time.monotonic() < deadline, server.log.read_text()
        httpx.get(server.url, headers={"accept": "text/html"}, trust_env=False)
    for _ in range(40):
        httpx.get(server.url, headers={"accept": "text/html"}, trust_env=False)
    assert server.log.read_text().count(text) == times


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "times"), [(1, 0), (2, 1), (4, 1)])
@pytest.mark.parametrize("kind", ["gunicorn", "gunicorn, preloaded", "uvicorn"])
def test_workers_of_a_server_warn_once(place: Place, folder: Path, kind: str, workers: int, times: int) -> None:
    environ = {**place.environ(store="memory:"), "SITE_AT_IMPORT": "start" if "preloaded" in kind else ""}
    if kind == "uvicorn":
        served = uvicorn("site_under_test:asgi", folder=place.folder, environ=environ, workers=workers)
    else:
        options = ["--preload"] if "preloaded" in kind else []
        served = gunicorn(
            "site_under_test:wsgi", folder=place.folder, environ=environ, workers=workers, options=options
        )
    with served as server:
        visit_until(server, SAYS, times)
        server.stop()
    assert list(folder.iterdir()) == []


def test_two_apps_in_one_process_are_one_worker(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    workers = [MemoryWorker(KEY), MemoryWorker(KEY)]
    for worker in workers:
        worker.arrive()
        worker.arrive()
    assert len(list(folder.iterdir())) == 1
    for worker in workers:
        worker.leave()
        worker.leave()
    assert list(folder.iterdir()) == []
    assert caplog.records == []


def test_siblings_with_another_key_are_another_app(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    held = MemoryWorker(KEY)
    held.arrive()
    other = MemoryWorker(b"another key of these tests")
    other.arrive()
    assert len(list(folder.iterdir())) == 2
    held.leave()
    other.leave()
    assert caplog.records == []


@pytest.mark.parametrize("mode", [0o000, 0o555])
def test_folder_that_takes_no_file_is_no_error(folder: Path, caplog: pytest.LogCaptureFixture, mode: int) -> None:
    if os.getuid() == 0:
        folder.rmdir()  # the superuser may write anywhere
    else:
        folder.chmod(mode)
    worker = MemoryWorker(KEY)
    worker.arrive()
    worker.leave()
    assert caplog.records == []


def test_link_in_the_temporary_folder_is_not_followed(folder: Path, tmp_path: Path) -> None:
    worker = MemoryWorker(KEY)
    worker.arrive()
    (file,) = folder.iterdir()
    worker.leave()
    file.symlink_to(tmp_path / "elsewhere")
    worker.arrive()
    worker.leave()
    assert not (tmp_path / "elsewhere").exists()
