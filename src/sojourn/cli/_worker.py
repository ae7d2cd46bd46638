"""`sojourn worker`: recorder, sweeper and dispatchers in their own process, until a signal stops it."""

from __future__ import annotations

import argparse
import dataclasses
import logging
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event as Signal
from types import FrameType
from typing import TYPE_CHECKING

from sojourn.errors import SojournError, StoreError

from . import _choosing, _stores
from ._output import Lines, span
from ._parser import Commands

if TYPE_CHECKING:
    from sojourn.engine import Engine
    from sojourn.settings import Settings
    from sojourn.stores.model import StoreStats

_POLL_S = 0.25
_STORE_ERROR_S = 1.0
_REMIND_S = 60.0


def add_commands(commands: Commands) -> None:
    """Add the command."""
    worker = commands.add_parser(
        "worker",
        description="Record the journals of web processes, end idle sessions, and deliver events, until SIGTERM or "
        'Ctrl-C. With deliver="worker" the web processes leave that to it; start one on each host, with the same '
        "settings as the app. If several run, one records and the others stand by. The exit code is 0 after SIGTERM or "
        "Ctrl-C, and 2 for invalid settings.",
    )
    worker.add_argument(
        "--app",
        metavar="MODULE:APP",
        help="use the settings of this app, such as shop.main:app or shop:create_app (default: SOJOURN_* from the environment)",
    )
    worker.add_argument("--json", action="store_true", help="print each line as a JSON document")
    worker.set_defaults(command=_worker)


def _worker(arguments: argparse.Namespace) -> int:
    from sojourn.engine import Engine

    try:
        settings = _usable(_choosing.settings_of_app(arguments.app) or _choosing.environment())
        engine = Engine(dataclasses.replace(settings, deliver="auto"))
    except SojournError as error:
        print(f"sojourn: {error}", file=sys.stderr)
        return 2
    lines = Lines("sojourn worker", is_json=arguments.json)
    with _stop_signal() as stop, _warnings(lines):
        return _run(engine, lines, stop)


def _usable(settings: Settings) -> Settings:
    if not settings.enabled:
        raise SojournError("enabled=False: Sojourn is disabled in these settings; a worker has nothing to do")
    if settings.store == "memory:":
        raise SojournError('store="memory:" belongs to one process; give the app and its worker a store in a file')
    return settings


def _run(engine: Engine, lines: Lines, stop: Signal) -> int:
    settings = engine.settings
    directory = _stores.journals_of(settings, None)
    if not _store_is_there(engine, directory, lines, stop):
        lines.say("ended", "stopped before the store was available")
        return 0
    before, began = _stats(engine), time.monotonic()
    engine.start()
    runtime = engine.runtime
    try:
        if runtime.journal.stats().medium == "memory":
            where = f"the journal directory {directory}" if directory else "its journal directory"
            print(f"sojourn: the worker cannot use {where}; set journal_dir", file=sys.stderr)
            return 1
        names = [backend.name for backend in engine.backends]
        store = _shown_store(settings)
        lines.say(
            "started",
            f"records {directory} into {store} and delivers to {', '.join(names) or 'no backend'}",
            {"store": store, "journals": str(directory), "backends": names},
        )
        was_recorder = False
        while not stop.wait(_POLL_S):
            if runtime.is_recorder != was_recorder:
                was_recorder = runtime.is_recorder
                text = "is now the recorder" if was_recorder else "is no longer the recorder; stands by"
                lines.say("recorder", text, {"is_recorder": was_recorder})
    finally:
        engine.close()
        after = _stats(engine)  # with what its last pass recorded and delivered
        engine.close()
    lines.say("ended", *_summary(before, after, round((time.monotonic() - began) * 1000)))
    return 0


def _shown_store(settings: Settings) -> str:
    """The URL of the store, without anything that may be a credential."""
    (row,) = (row for row in settings.fields() if row.name == "store")
    return row.kind.show(settings.store).strip("'")


def _store_is_there(engine: Engine, directory: Path | None, lines: Lines, stop: Signal) -> bool:
    """Wait until the store is available; return False if a signal came first.

    A database file is created only where an app keeps its journals: a wrong folder would look like an app without visitors.
    """
    path, shown_at = engine.settings.store_path, float("-inf")
    while not stop.is_set():
        problem = None
        if path is not None and not path.exists() and not (directory is not None and directory.is_dir()):
            problem = f"there is no store at {path} and no journal in {directory} yet; start the app, or correct store"
        else:
            try:
                engine.store.open()
            except StoreError as error:
                problem = str(error)
        if problem is None:
            return True
        if time.monotonic() - shown_at >= _REMIND_S:
            shown_at = time.monotonic()
            lines.say("waiting", f"waiting for the store: {problem}")
        stop.wait(_STORE_ERROR_S)
    return False


def _stats(engine: Engine) -> StoreStats | None:
    try:
        engine.store.open()
        return engine.store.stats()
    except StoreError:
        return None


def _summary(before: StoreStats | None, after: StoreStats | None, ran: int) -> tuple[str, Mapping[str, object]]:
    """What the store counted while this worker ran; other workers' work is included."""
    if before is None or after is None:
        return f"stopped after {span(ran)}; the store is unavailable", {"ran_ms": ran}
    recorded = _grown(before, after, "records.recorded")
    earlier = {state.name: state.delivered for state in before.backends}
    delivered = {state.name: state.delivered - earlier.get(state.name, 0) for state in after.backends}
    parts = [f"{number:,} events delivered to {name}" for name, number in delivered.items()]
    waiting = sum(state.backlog for state in after.backends)
    text = f"stopped after {span(ran)}: {', '.join([f'{recorded:,} records recorded', *parts])}; {waiting:,} waiting"
    return text, {"ran_ms": ran, "recorded": recorded, "delivered": delivered, "waiting": waiting}


def _grown(before: StoreStats, after: StoreStats, name: str) -> int:
    return after.counters.get(name, 0) - before.counters.get(name, 0)


@contextmanager
def _stop_signal() -> Iterator[Signal]:
    """Set by SIGTERM or SIGINT. A second Ctrl-C ends the process at once; supervisors often send SIGTERM twice."""
    stop = Signal()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def request_stop(number: int, _frame: FrameType | None) -> None:
        stop.set()
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])

    for number in before:
        signal.signal(number, request_stop)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _warnings(lines: Lines) -> Iterator[None]:
    """Print the library's log records as lines, unless the app has set up logging."""
    log = logging.getLogger("sojourn")
    if log.hasHandlers():
        yield
        return
    handler = _LinesHandler(lines)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _LinesHandler(logging.Handler):
    def __init__(self, lines: Lines) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.say(record.levelname.lower(), record.getMessage())
