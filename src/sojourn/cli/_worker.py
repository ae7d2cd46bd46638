"""`sojourn worker`: recorder, sweeper and dispatchers in a process of its own, until it is asked to end."""

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
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError, StoreError

from . import _settings
from ._output import Lines, span

if TYPE_CHECKING:
    from sojourn.engine import Engine
    from sojourn.settings import Settings
    from sojourn.stores.model import StoreStats

_LOOK_S = 0.25
_AWAY_S = 1.0
_REMIND_S = 60.0


def add_commands(commands: Any) -> None:
    """Add it to the subparsers of the command line."""
    worker = commands.add_parser(
        "worker",
        help="record and deliver in a process of its own, until SIGTERM or Ctrl-C",
        description="Record what web processes wrote into their journals, end sessions, and deliver events. With "
        'deliver="worker" web processes do nothing of that; start this beside them on each machine, with the same '
        "settings. Several may run: one records, the others stand by. The exit code is 0 after SIGTERM or SIGINT, and 2 "
        "for settings that cannot work.",
    )
    _settings.app_option(worker)
    worker.add_argument("--json", action="store_true", help="print each line as a JSON document")
    worker.set_defaults(command=_worker)


def _worker(arguments: argparse.Namespace) -> int:
    from sojourn.engine import Engine

    try:
        settings = _usable(_settings.settings_of(arguments))
        engine = Engine(dataclasses.replace(settings, deliver="auto"))
    except SojournError as error:
        print(f"sojourn: {error}", file=sys.stderr)
        return 2
    lines = Lines("sojourn worker", is_json=arguments.json)
    with _asked_to_end() as asked, _warnings(lines):
        return _run(engine, lines, asked)


def _usable(settings: Settings) -> Settings:
    if not settings.enabled:
        raise SojournError("enabled=False: Sojourn is switched off in these settings; a worker has nothing to do")
    if settings.store == "memory:":
        raise SojournError('store="memory:" belongs to one process; give the app and its worker a store in a file')
    return settings


def _run(engine: Engine, lines: Lines, asked: Signal) -> int:
    settings = engine.settings
    directory = _settings.journals_of(settings, None)
    if not _store_is_there(engine, directory, lines, asked):
        lines.say("ended", "ended before there was a store")
        return 0
    before, began = _stats(engine), time.monotonic()
    engine.start()
    runtime = engine.runtime
    try:
        if runtime.journal.stats().medium == "memory":
            where = f"the journal directory {directory}" if directory else "a journal directory of its own"
            print(f"sojourn: a worker needs {where}, and cannot use it; set journal_dir", file=sys.stderr)
            return 1
        names = [backend.name for backend in engine.backends]
        store = _settings.shown_store(settings)
        lines.say(
            "started",
            f"records from {directory} into {store} and delivers to {', '.join(names) or 'no backend'}",
            {"store": store, "journals": str(directory), "backends": names},
        )
        was_recorder = False
        while not asked.wait(_LOOK_S):
            if runtime.is_recorder != was_recorder:
                was_recorder = runtime.is_recorder
                text = "is the recorder now" if was_recorder else "is not the recorder any more; stands by"
                lines.say("recorder", text, {"is_recorder": was_recorder})
    finally:
        after = _stats(engine)
        engine.close()
    lines.say("ended", *_summary(before, after, round((time.monotonic() - began) * 1000)))
    return 0


def _store_is_there(engine: Engine, directory: Path | None, lines: Lines, asked: Signal) -> bool:
    """Wait for the store, and say so; False where the end was asked for first.

    A file is made only where an app keeps its journals: else a wrong folder would look like an app without visitors.
    """
    path, told_at = engine.settings.store_path, float("-inf")
    while not asked.is_set():
        problem = None
        if path is not None and not path.exists() and not (directory is not None and directory.is_dir()):
            problem = (
                f"there is no database at {path} and no journal in {directory} yet: start the app, or correct store"
            )
        else:
            try:
                engine.store.open()
            except StoreError as error:
                problem = str(error)
        if problem is None:
            return True
        if time.monotonic() - told_at >= _REMIND_S:
            told_at = time.monotonic()
            lines.say("waiting", f"waits for the store: {problem}")
        asked.wait(_AWAY_S)
    return False


def _stats(engine: Engine) -> StoreStats | None:
    try:
        return engine.store.stats()
    except StoreError:
        return None


def _summary(before: StoreStats | None, after: StoreStats | None, ran: int) -> tuple[str, Mapping[str, object]]:
    """What the store counted meanwhile: also what others did beside this worker."""
    if before is None or after is None:
        return f"ended after {span(ran)}; the store is away", {"ran_ms": ran}
    recorded = _grown(before, after, "records.recorded")
    earlier = {state.name: state.delivered for state in before.backends}
    delivered = {state.name: state.delivered - earlier.get(state.name, 0) for state in after.backends}
    parts = [f"{number:,} events delivered to {name}" for name, number in delivered.items()]
    waiting = sum(state.backlog for state in after.backends)
    text = (
        f"ended after {span(ran)}; meanwhile {', '.join([f'{recorded:,} records recorded', *parts])}; {waiting:,} wait"
    )
    return text, {"ran_ms": ran, "recorded": recorded, "delivered": delivered, "waiting": waiting}


def _grown(before: StoreStats, after: StoreStats, name: str) -> int:
    return after.counters.get(name, 0) - before.counters.get(name, 0)


@contextmanager
def _asked_to_end() -> Iterator[Signal]:
    """Set by SIGTERM or SIGINT. A second Ctrl-C ends the process as it would without us; SIGTERM is often sent twice."""
    asked = Signal()
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, _frame: FrameType | None) -> None:
        asked.set()
        if number == signal.SIGINT:
            signal.signal(number, before[signal.SIGINT])

    for number in before:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _warnings(lines: Lines) -> Iterator[None]:
    """What the library logs is told like all else, unless the app has set up its logging."""
    log = logging.getLogger("sojourn")
    if log.hasHandlers():
        yield
        return
    handler = _Telling(lines)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


class _Telling(logging.Handler):
    def __init__(self, lines: Lines) -> None:
        super().__init__(logging.WARNING)
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.say(record.levelname.lower(), record.getMessage())
