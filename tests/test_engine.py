"""The engine as an app sees it: what it opens and when, what flush, sweep and close promise, forks and faults."""

from __future__ import annotations

import gc
import os
import shutil
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn.engine import Engine
from sojourn.errors import SettingsError, StoreError
from sojourn.settings import Settings
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.wsgi import SojournMiddleware

KEY = "a key that only tests use, ever"


class Site:
    """A one-page WSGI app behind a door, and a browser that keeps its cookie."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.door = SojournMiddleware(_page, engine=engine)
        self.cookie = ""

    def open_page(self) -> str:
        said: list[str] = []

        def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> object:
            said.append(status)
            self.cookie = next((v.partition(";")[0] for k, v in headers if k == "Set-Cookie"), self.cookie)
            return None

        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.input": None, "HTTP_COOKIE": self.cookie}
        assert b"".join(self.door(environ, start_response)) == b"hello"  # type: ignore[arg-type]
        return said[0]


def _page(_environ: object, start_response: object) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/html")])  # type: ignore[operator]
    return [b"hello"]


@pytest.fixture
def store_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'sojourn.db'}"


@pytest.fixture
def running(store_url: str) -> Iterator[Site]:
    """With threads, on disk, as in production."""
    backend = MemoryBackend()
    settings = Settings(
        secret_key=KEY, store=store_url, backends=[backend], idle_timeout="1s", sweep_interval="0.1s", sweep_grace=0
    )
    engine = Engine(settings)
    yield Site(engine)
    engine.close()


def test_building_an_engine_opens_and_creates_nothing(tmp_path: Path, store_url: str) -> None:
    threads = threading.active_count()
    Engine(Settings(secret_key=KEY, store=store_url))
    assert threading.active_count() == threads
    assert list(tmp_path.iterdir()) == []


def test_a_switched_off_engine_opens_nothing_and_sets_no_cookie(tmp_path: Path, store_url: str) -> None:
    site = Site(Engine(Settings(enabled=False, store=store_url)))
    site.engine.start()
    assert site.open_page() == "200 OK"
    assert site.cookie == ""
    assert (site.engine.flush().done, site.engine.sweep(), site.engine.stats().store.sessions) == (True, 0, 0)
    assert list(tmp_path.iterdir()) == []


def test_flush_reports_what_it_did(store_url: str) -> None:
    backend, clock = MemoryBackend(), ManualClock()
    site = Site(Engine(Settings(secret_key=KEY, store=store_url, backends=[backend]), clock=clock))
    site.open_page()
    report = site.engine.flush()
    assert (report.recorded, report.delivered, report.waiting, report.done) == (1, 2, 0, True)
    assert [event.name for event in backend.events] == ["session.start", "page_view"]
    site.engine.close()


def test_flush_never_sweeps_and_never_waits_for_a_retry_time(store_url: str) -> None:
    backend, clock = MemoryBackend(), ManualClock()
    site = Site(Engine(Settings(secret_key=KEY, store=store_url, backends=[backend]), clock=clock))
    site.open_page()
    backend.fail(1, error=OSError("down"))
    assert site.engine.flush().waiting == 2
    clock.advance(86_400)
    report = site.engine.flush()
    assert (report.delivered, report.waiting) == (2, 0)
    assert "session.end" not in [event.name for event in backend.events]
    site.engine.close()


def test_a_worker_records_what_a_process_wrote_under_another_name_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "shop.db").touch()
    (tmp_path / "link.db").symlink_to("data/shop.db")
    site = Site(Engine(Settings(secret_key=KEY, store=f"sqlite:///{tmp_path}/link.db", deliver="worker")))
    for _ in range(5):
        site.open_page()
    with Engine(Settings(secret_key=KEY, store=f"sqlite:///{tmp_path}/data/shop.db")) as worker:
        worker.flush()
        assert worker.stats().store.counters["records.recorded"] == 5
    site.engine.close()


@pytest.mark.parametrize(
    ("seconds", "ended"),
    [pytest.param(1799.999, 0, id="still running"), pytest.param(1800, 1, id="over, inclusive, with no grace")],
)
def test_sweep_with_a_manual_clock(store_url: str, seconds: float, ended: int) -> None:
    backend, clock = MemoryBackend(), ManualClock()
    site = Site(Engine(Settings(secret_key=KEY, store=store_url, backends=[backend]), clock=clock))
    site.open_page()
    clock.advance(seconds)
    assert site.engine.sweep() == ended
    assert site.engine.sweep() == 0
    site.engine.flush()
    ends = [event for event in backend.events if event.name == "session.end"]
    assert [(event.time, event.attributes["session.duration_ms"]) for event in ends] == [(1_700_000_000_000, 0)] * ended
    site.engine.close()


def test_the_threads_record_deliver_and_end_by_themselves(running: Site) -> None:
    running.open_page()
    (backend,) = running.engine.backends
    assert isinstance(backend, MemoryBackend)
    finished = threading.Event()
    receive = backend.send

    def send(batch: object) -> object:
        receipt = receive(batch)  # type: ignore[arg-type]
        if any(event.name == "session.end" for event in backend.events):
            finished.set()
        return receipt

    backend.send = send  # type: ignore[method-assign, assignment]
    assert finished.wait(20)
    assert [event.name for event in backend.events] == ["session.start", "page_view", "session.end"]


def test_close_leaves_no_thread_no_file_and_no_warning(store_url: str) -> None:
    before = set(threading.enumerate())
    descriptors = _descriptors()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(2):  # again: a closed engine opens anew
            engine = Engine(Settings(secret_key=KEY, store=store_url, backends=[MemoryBackend()]))
            for _ in range(2):
                Site(engine).open_page()
                assert engine.flush().done
                engine.close()
                engine.close()
        gc.collect()
    assert set(threading.enumerate()) == before
    assert _descriptors() == descriptors


def test_close_keeps_the_journal_and_the_next_process_applies_it(store_url: str) -> None:
    """`deliver="worker"`: this process may only write its journal."""
    writer = Site(Engine(Settings(secret_key=KEY, store=store_url, deliver="worker")))
    writer.open_page()
    writer.engine.close()
    engine = Engine(Settings(secret_key=KEY, store=store_url))
    assert engine.flush().done
    assert engine.stats().store.sessions == 1
    engine.close()


def test_a_memory_journal_is_delivered_before_close(store_url: str) -> None:
    backend = MemoryBackend()
    site = Site(Engine(Settings(secret_key=KEY, store="memory:", backends=[backend])))
    site.open_page()
    site.engine.close()
    assert [event.name for event in backend.events] == ["session.start", "page_view"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_makes_its_own_and_harms_nothing_of_its_parent(store_url: str) -> None:
    site = Site(Engine(Settings(secret_key=KEY, store=store_url)))
    site.open_page()
    site.engine.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: a fork beside threads, which is what is tested
        child = os.fork()
    if child == 0:
        try:
            site.cookie = ""
            status = site.open_page()
            done = site.engine.flush(20).done
            os._exit(0 if status == "200 OK" and done else 1)
        finally:
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0
    site.open_page()
    assert site.engine.flush(20).done
    stats = site.engine.stats().store
    assert (stats.sessions, stats.counters["records.recorded"]) == (2, 3)
    site.engine.close()


def test_a_store_that_cannot_be_opened_is_counted_and_the_app_unharmed(tmp_path: Path) -> None:
    path = tmp_path / "sojourn.db"
    path.write_bytes(b"this is no database, but another app's file, long enough to look at" * 20)
    site = Site(Engine(Settings(secret_key=KEY, store=f"sqlite:///{path}")))
    assert [site.open_page() for _ in range(3)] == ["200 OK"] * 3
    with pytest.raises(StoreError, match=r"sojourn\.db"):
        site.engine.flush()
    site.engine.close()
    assert path.read_bytes().startswith(b"this is no database")


def test_a_store_that_fails_later_is_tried_again(tmp_path: Path, store_url: str) -> None:
    clock = ManualClock()
    site = Site(Engine(Settings(secret_key=KEY, store=store_url), clock=clock))
    site.open_page()
    site.engine.flush()
    recording = site.engine.store.records.recording
    site.engine.store.records.recording = _failing  # type: ignore[method-assign, assignment]
    assert site.open_page() == "200 OK"
    with pytest.raises(OSError, match="the disk is away"):
        site.engine.flush()
    site.engine.store.records.recording = recording  # type: ignore[method-assign]
    assert site.engine.flush().recorded == 1
    assert site.engine.stats().store.counters["records.recorded"] == 2
    site.engine.close()


def _failing() -> object:
    raise OSError("the disk is away")


def test_retention_deletes_old_sessions_and_never_an_open_one(store_url: str) -> None:
    clock = ManualClock()
    settings = Settings(secret_key=KEY, store=store_url, retention="30d", manual_max_silence=None)
    old, manual = (Site(Engine(settings, clock=clock)) for _ in range(2))
    manual.door = SojournMiddleware(_manual_page, engine=manual.engine)
    old.open_page()
    manual.open_page()
    for site in (old, manual):
        site.engine.flush()
    clock.advance(31 * 86_400)
    old.engine.sweep()
    manual.engine.sweep()
    stats = old.engine.stats().store
    assert (stats.sessions, stats.open_sessions) == (1, 1)
    for site in (old, manual):
        site.engine.close()


def _manual_page(environ: object, start_response: object) -> list[bytes]:
    from sojourn import start_session

    start_session()
    return _page(environ, start_response)


def test_two_backends_of_one_name_are_refused(store_url: str) -> None:
    with pytest.raises(SettingsError, match="name="):
        Engine(Settings(secret_key=KEY, store=store_url, backends=[MemoryBackend(), MemoryBackend()]))


def test_counters_that_no_record_carried_reach_the_store(store_url: str) -> None:
    clock = ManualClock()
    engine = Engine(Settings(secret_key=KEY, store=store_url), clock=clock)
    engine.guard.count("prefetch")
    engine.flush()
    assert engine.stats().store.counters["ignored.prefetch"] == 1
    engine.close()


def _descriptors() -> set[str]:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return set()
    return {target for fd in folder.iterdir() if (target := _target(fd)) and "sojourn" in target}


def _target(fd: Path) -> str:
    try:
        return os.readlink(fd)
    except OSError:
        return ""


def test_removed_journals_are_recreated(running: Site) -> None:
    """What was read is in the store, what was not is lost with the files; the next records go to a new journal."""
    assert running.open_page() == "200 OK"
    engine = running.engine
    engine.flush()
    before = engine.stats().journal
    assert before is not None
    assert before.path is not None
    shutil.rmtree(before.path)
    deadline = time.monotonic() + 10
    while (now := engine.stats().journal) is not None and now.id == before.id:
        assert time.monotonic() < deadline, "no new journal was begun"
        time.sleep(0.05)
    recorded = engine.stats().store.counters["records.recorded"]
    assert running.open_page() == "200 OK"
    assert engine.flush(10).done
    assert engine.stats().store.counters["records.recorded"] == recorded + 1


def test_hours_that_are_over_are_summed_up_for_the_report_beside_the_sweep(store_url: str) -> None:
    clock = ManualClock()
    with Engine(Settings(secret_key=KEY, store=store_url, backends=[MemoryBackend()]), clock=clock) as engine:
        Site(engine).open_page()
        engine.flush()
        clock.advance(5 * 3600)
        finished = clock.now() - 3 * 3_600_000
        runtime = engine.runtime
        runtime.open()
        runtime._sweeper.sweep(clock.now())
        assert runtime._store.maintenance.roll_up(finished_before=finished, limit=48) == 0, "it is done already"
