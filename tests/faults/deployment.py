"""One deployment under a fault: its folder, its store, its backend, its web servers and workers, all of them real."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sojourn.core.events import START, Event
from sojourn.errors import StoreError
from sojourn.pipeline.journal import JournalDirectory
from sojourn.stores import open_store
from sojourn.stores.model import StoreStats

from . import servers
from .receiver import wait_for
from .servers import Server

ROOT: Final = Path(__file__).parents[2]
BACKEND: Final = "webhook"
_PAGE: Final = 5_000
_WORKER: Final = "from sojourn.cli import main; raise SystemExit(main(['worker']))"


@dataclass(slots=True)
class Process:
    """A process that is no server: a worker, a producer. In a group of its own."""

    popen: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.popen.pid

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.popen.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self.popen.wait(10)

    def stop(self) -> None:
        """As a service manager does."""
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            self.popen.wait(15)
        except subprocess.TimeoutExpired:
            self.kill()


@dataclass(slots=True, kw_only=True)
class Figures:
    """How the store stands."""

    stats: StoreStats
    unread: int
    """How many journals have records that are not applied."""

    @property
    def counters(self) -> Mapping[str, int]:
        return self.stats.counters


@dataclass(slots=True, kw_only=True)
class Deployment:
    """Where it all is, and with which settings; starts and stops nothing by itself."""

    folder: Path
    store: str
    settings: dict[str, str] = field(default_factory=dict)
    journals: list[Path] = field(default_factory=list)
    """Journal directories, one for each host."""
    trouble: str = ""
    """Why the store could not be asked the last time."""
    _opened: Any = None

    def environ(self, host: int = 0, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SOJOURN_")}
        own = {
            "SOJOURN_SECRET_KEY": "a key that only the fault suite knows",
            "SOJOURN_STORE": self.store,
            "SOJOURN_JOURNAL_DIR": str(self.journals[host]),
            "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "src"))),
            "PYTHONWARNINGS": "error",
        }
        return {**kept, **own, **{f"SOJOURN_{name.upper()}": value for name, value in self.settings.items()}, **more}

    # --- processes

    @contextlib.contextmanager
    def gunicorn(
        self, workers: int = 3, *, options: Sequence[str] = (), host: int = 0, **more: str
    ) -> Iterator[Server]:
        app, environ = "tests.faults.site:wsgi", self.environ(host, **more)
        options = ["--timeout", "120", *options]
        with servers.gunicorn(app, folder=self.folder, environ=environ, workers=workers, options=options) as server:
            yield server

    @contextlib.contextmanager
    def uvicorn(self, workers: int = 1, *, host: int = 0, **more: str) -> Iterator[Server]:
        app, environ = "tests.faults.site:asgi", self.environ(host, **more)
        with servers.uvicorn(app, folder=self.folder, environ=environ, workers=workers) as server:
            yield server

    @contextlib.contextmanager
    def worker(self, host: int = 0, **more: str) -> Iterator[Process]:
        """A `sojourn worker`; stopped, however often it was killed and started again in between."""
        process = self.start_worker(host, **more)
        try:
            yield process
        finally:
            process.stop()

    def start_worker(self, host: int = 0, **more: str) -> Process:
        return self.start([sys.executable, "-c", _WORKER], host, **more)

    def start(self, command: Sequence[str], host: int = 0, **more: str) -> Process:
        log = self.folder / f"process-{time.monotonic_ns()}.log"
        with log.open("wb") as out:
            popen = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environ(host, **more),
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return Process(popen, log)

    # --- what the store says

    def opened(self) -> Any:
        """The store, opened here too. Any: what both stores can be asked is more than the port says."""
        if self._opened is None:
            self._opened = open_store(self.store)
        return self._opened

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def figures(self) -> Figures | None:
        """How it stands, or `None` while the store cannot say."""
        try:
            store = self.opened()
            store.open()
            positions = {journal: mark.position for journal, mark in store.records.marks().items()}
            unread = 0
            for directory in self.journals:
                reader = JournalDirectory(directory)
                reading = reader.read(positions, before=time.monotonic_ns(), limit=_PAGE)
                unread += len({frame.journal for frame in reading.frames})
                reader.close()
            return Figures(stats=store.stats(), unread=unread)
        except StoreError as error:
            self.trouble = str(error)
            return None

    def log_of_events(self) -> list[Event]:
        events: list[Event] = []
        while page := self.opened().log.after(events[-1].position if events else START, limit=_PAGE):
            events += page
        return events

    def recorder_pid(self, host: int = 0) -> int | None:
        """Who records for this host now, by the lease in the store and the lock on the journal it names."""
        directory = self.journals[host]
        try:
            lease = self.opened().leases.holder(f"recorder:{JournalDirectory(directory).place()}")
        except (StoreError, OSError):
            return None
        if lease is None or not lease.holder:
            return None
        return _owner(directory / f"{lease.holder.rpartition('/')[2]}.lock")

    def await_recorder(self, seconds: float = 30, *, of: int | None = None) -> None:
        """Wait until a process records for the first host, or until this one does."""

        def is_there() -> bool:
            pid = self.recorder_pid()
            return pid is not None and of in (None, pid)

        wait_for(is_there, seconds, "a process records")


def _owner(lock: Path) -> int | None:
    """The process that holds this lock file, as the kernel's table of locks says."""
    try:
        inode = lock.stat().st_ino
    except OSError:
        return None
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if "POSIX" in fields and fields[5].rpartition(":")[2] == str(inode):
            return int(fields[4])
    return None
