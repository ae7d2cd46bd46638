"""`sojourn outbox drain`: dispatchers in this process, until nothing waits. They deliver, and record nothing."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from threading import Event as Signal
from threading import Thread
from typing import TYPE_CHECKING, TextIO

from sojourn.errors import SojournError, StoreError

from ._output import Lines, cell, printable, span

if TYPE_CHECKING:
    from sojourn.pipeline.deliver.dispatcher import Dispatcher
    from sojourn.settings import Settings
    from sojourn.stores.protocol import Store

_LOOK_S = 0.2
_TELL_S = 5.0
_REST_S = 0.2
_AWAY_S = 1.0
_WIDTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What one backend has still to be sent, and why it does not get it now."""

    name: str
    waiting: int
    rests_for: int | None
    """Milliseconds; `None`: it is being sent."""
    problem: str | None


def drain(settings: Settings, *, only: str | None, timeout: timedelta | None, is_json: bool) -> int:
    """Deliver until nothing waits: 0; 1 where something is left. Raises `SojournError`."""
    from sojourn.engine import Engine

    if not settings.enabled:
        raise SojournError("enabled=False: Sojourn is switched off in these settings, and delivers nothing")
    if not settings.backends:
        raise SojournError("no backend is configured: name the app with --app, or its backends in SOJOURN_BACKENDS")
    # Not to record: these settings may be those of a shell, and would end other people's sessions by its idle_timeout.
    engine = Engine(dataclasses.replace(settings, deliver="worker"))
    lines = Lines("sojourn outbox drain", is_json=is_json)
    try:
        store = engine.store
        names = _names(store, [backend.name for backend in engine.backends], only)
        engine.start()
        engine.runtime.open()  # registers, so that leases are given back at the end
        dispatchers = [dispatcher for dispatcher in engine.runtime.dispatchers if dispatcher.backend.name in names]
        with _delivering(dispatchers, lines, patience=settings.shutdown_timeout):
            left = _watched(store, names, timeout, lines, is_json=is_json)
    finally:
        engine.close()
    for each in left:
        problem = f": {each.problem}" if each.problem else ""
        lines.say("left", f"{each.name}: {each.waiting:,} events are left{problem}", dataclasses.asdict(each))
    if not left:
        lines.say("empty", "nothing waits any more", {"backends": names})
    return 1 if left else 0


def _names(store: Store, configured: Sequence[str], only: str | None) -> list[str]:
    """The backends to drain. One that the store has events for, and nobody a dispatcher, is an error: it never empties."""
    known = {outbox.name for outbox in store.outbox.states()}
    if only is not None:
        if only not in configured:
            there = ", ".join(map(cell, configured))
            raise SojournError(f"no backend {cell(only)!r} is configured; configured are {there}")
        return [only]
    waiting = [name for name in sorted(known - set(configured)) if _left(store, name, 0).waiting]
    if waiting:
        there = ", ".join(map(cell, waiting))
        raise SojournError(
            f"events wait for {there}, which is not configured here: configure it (SOJOURN_BACKENDS, or --app), give "
            "its events up with `sojourn outbox skip`, or name the backend to drain"
        )
    return [name for name in configured if name in known]


@contextmanager
def _delivering(dispatchers: Sequence[Dispatcher], lines: Lines, *, patience: timedelta) -> Iterator[None]:
    """A thread per dispatcher, for the block; one dead backend delays no other.

    At its end they are waited for: one that works on would open the store again after it was closed.
    """
    stop = Signal()

    def deliver(dispatcher: Dispatcher) -> None:
        while not stop.is_set():
            try:
                if dispatcher.step().is_idle:
                    stop.wait(_REST_S)
            except StoreError as error:
                lines.say("away", str(error))
                stop.wait(_AWAY_S)

    threads = [Thread(target=deliver, args=(dispatcher,), daemon=True) for dispatcher in dispatchers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        deadline = time.monotonic() + patience.total_seconds()
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))


def _watched(
    store: Store, names: Sequence[str], timeout: timedelta | None, lines: Lines, *, is_json: bool
) -> list[Left]:
    """Tell how it goes, until nothing is left or the time is over: what is left."""
    began = told_at = time.monotonic()
    bar = None if is_json or not sys.stderr.isatty() else Bar(sys.stderr)
    first = None
    try:
        while True:
            now = _now(store)
            found = [_left(store, name, now) for name in names]
            left = [each for each in found if each.waiting]
            total = sum(each.waiting for each in left)
            first = total if first is None else max(first, total)
            spent = time.monotonic() - began
            if not left or (timeout is not None and spent >= timeout.total_seconds()):
                return left
            if bar is not None:
                bar.show(first - total, first, spent, left)
            elif time.monotonic() - told_at >= _TELL_S or spent < _LOOK_S:
                told_at = time.monotonic()
                lines.say("waiting", f"{total:,} events wait{_reasons(left)}", {"waiting": total, **_by_name(left)})
            time.sleep(_LOOK_S)
    finally:
        if bar is not None:
            bar.clear()


def _now(store: Store) -> int:
    told = store.time()
    return time.time_ns() // 1_000_000 if told is None else told


def _left(store: Store, name: str, now: int) -> Left:
    state = store.delivery.state(name)
    requeued = next((outbox.requeued for outbox in store.outbox.states() if outbox.name == name), 0)
    rests_for = None if state.retry_at is None or state.retry_at <= now else state.retry_at - now
    return Left(name=name, waiting=state.backlog + requeued, rests_for=rests_for, problem=state.problem)


def _by_name(left: Sequence[Left]) -> Mapping[str, object]:
    return {"backends": {each.name: each.waiting for each in left}}


def _reasons(left: Sequence[Left]) -> str:
    resting = [each for each in left if each.rests_for is not None]
    return "".join(f"; {each.name} again in {span(each.rests_for or 0)}: {each.problem or ''}" for each in resting)


class Bar:
    """A progress bar on one line of a terminal, drawn over itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, done: int, total: int, spent: float, left: Sequence[Left]) -> None:
        """`spent` in seconds."""
        filled = _WIDTH * done // total if total else _WIDTH
        speed = f", {done / spent:,.0f}/s" if spent >= 1 else ""
        text = f"[{'#' * filled}{'.' * (_WIDTH - filled)}] {done:,} of {total:,}{speed}{_reasons(left)}"
        self._stream.write(f"\r\x1b[K{printable(text, 110)}")
        self._stream.flush()

    def clear(self) -> None:
        self._stream.write("\r\x1b[K")
        self._stream.flush()
