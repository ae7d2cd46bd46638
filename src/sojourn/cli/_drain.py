"""`sojourn outbox drain`: dispatchers in this process, until nothing is waiting. They record nothing."""

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
from typing import TYPE_CHECKING

from sojourn.errors import SojournError, StoreError

from ._output import Lines, cell, span
from ._progress import Bar
from ._stores import now_of

if TYPE_CHECKING:
    from sojourn.pipeline.deliver.dispatcher import Dispatcher
    from sojourn.settings import Settings
    from sojourn.stores.protocol import Store

_POLL_S = 0.2
_LINE_EVERY_S = 5.0
_IDLE_S = 0.2
_STORE_ERROR_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is still waiting for one backend, and why it is not sent now."""

    name: str
    waiting: int
    paused_for: int | None
    """Milliseconds; `None`: it is being sent."""
    problem: str | None


def drain(settings: Settings, *, only: str | None, timeout: timedelta | None, is_json: bool) -> int:
    """Deliver until nothing is waiting; return 0, or 1 if something is left. Raises `SojournError`."""
    from sojourn.engine import Engine

    if not settings.enabled:
        raise SojournError("enabled=False: Sojourn is disabled in these settings and delivers nothing")
    if not settings.backends:
        raise SojournError("no backend is configured; set --app or SOJOURN_BACKENDS")
    # "worker", so that this process does not record: it would end sessions by the idle_timeout of its own environment.
    engine = Engine(dataclasses.replace(settings, deliver="worker"))
    lines = Lines("sojourn outbox drain", is_json=is_json)
    try:
        store = engine.store
        names = _names(store, [backend.name for backend in engine.backends], only)
        engine.start()
        engine.runtime.open()  # registers this process, so that its leases are released at the end
        dispatchers = [dispatcher for dispatcher in engine.runtime.dispatchers if dispatcher.backend.name in names]
        with _delivering(dispatchers, lines, patience=settings.shutdown_timeout):
            remaining = _watch(store, names, timeout, lines, is_json=is_json)
    finally:
        engine.close()
    for each in remaining:
        problem = f": {each.problem}" if each.problem else ""
        lines.say("left", f"{each.name}: {each.waiting:,} events left{problem}", dataclasses.asdict(each))
    if not remaining:
        lines.say("empty", "nothing is waiting", {"backends": names})
    return 1 if remaining else 0


def _names(store: Store, configured: Sequence[str], only: str | None) -> list[str]:
    """The backends to drain. Raises `SojournError` for an unconfigured backend with waiting events: it never empties."""
    registered = {outbox.name for outbox in store.outbox.states()}
    if only is not None:
        if only not in configured:
            names = ", ".join(map(cell, configured))
            raise SojournError(f"no backend {cell(only)!r} is configured; choose one of {names}")
        return [only]
    waiting = [name for name in sorted(registered - set(configured)) if _remaining(store, name, 0).waiting]
    if waiting:
        names = ", ".join(map(cell, waiting))
        raise SojournError(
            f"events are waiting for {names}, which is not configured here: configure it (SOJOURN_BACKENDS or --app), skip "
            "its events with `sojourn outbox skip`, or name the backend to drain"
        )
    return [name for name in configured if name in registered]


@contextmanager
def _delivering(dispatchers: Sequence[Dispatcher], lines: Lines, *, patience: timedelta) -> Iterator[None]:
    """Run each dispatcher in a thread for the block, so that a slow backend does not delay the others.

    The block waits for them to end: a running one would reopen the store after it was closed.
    """
    stop = Signal()

    def deliver(dispatcher: Dispatcher) -> None:
        while not stop.is_set():
            try:
                if dispatcher.step().is_idle:
                    stop.wait(_IDLE_S)
            except StoreError as error:
                lines.say("away", str(error))
                stop.wait(_STORE_ERROR_S)

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


def _watch(
    store: Store, names: Sequence[str], timeout: timedelta | None, lines: Lines, *, is_json: bool
) -> list[Remaining]:
    """Show progress until nothing is left or the timeout is over; return what is left."""
    began = shown_at = time.monotonic()
    is_drawn = not is_json and sys.stderr.isatty()
    first = 0
    with Bar(sys.stderr if is_drawn else None) as bar:
        while True:
            now = now_of(store)
            remaining = [each for name in names if (each := _remaining(store, name, now)).waiting]
            total = sum(each.waiting for each in remaining)
            first = max(first, total)
            spent = time.monotonic() - began
            if not remaining or (timeout is not None and spent >= timeout.total_seconds()):
                return remaining
            bar.show("events", first - total, first, note=_reasons(remaining))
            if not is_drawn and (time.monotonic() - shown_at >= _LINE_EVERY_S or spent < _POLL_S):
                shown_at = time.monotonic()
                lines.say(
                    "waiting",
                    f"{total:,} events waiting{_reasons(remaining)}",
                    {"waiting": total, **_by_name(remaining)},
                )
            time.sleep(_POLL_S)


def _remaining(store: Store, name: str, now: int) -> Remaining:
    state = store.delivery.state(name)
    requeued = next((outbox.requeued for outbox in store.outbox.states() if outbox.name == name), 0)
    paused_for = None if state.retry_at is None or state.retry_at <= now else state.retry_at - now
    return Remaining(name=name, waiting=state.backlog + requeued, paused_for=paused_for, problem=state.problem)


def _by_name(remaining: Sequence[Remaining]) -> Mapping[str, object]:
    return {"backends": {each.name: each.waiting for each in remaining}}


def _reasons(remaining: Sequence[Remaining]) -> str:
    paused = [each for each in remaining if each.paused_for is not None]
    return "".join(f"; {each.name} paused for {span(each.paused_for or 0)}: {each.problem or ''}" for each in paused)
