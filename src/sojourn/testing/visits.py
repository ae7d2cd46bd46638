"""A visit without a request: to unit-test a view, a task or anything else that calls Sojourn's helpers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

from sojourn.core.events import Event
from sojourn.engine import Engine
from sojourn.settings import Settings
from sojourn.tracking.facts import NoFacts
from sojourn.tracking.helpers import identify
from sojourn.tracking.visit import active_visit

from .backends import MemoryBackend
from .clock import ManualClock

_KEY = "a key that only tests use"


class RecordedEvents(Sequence[Event]):
    """The events so far, in order. Reading it first records and delivers what was called since."""

    def __init__(self, engine: Engine, backend: MemoryBackend) -> None:
        self._engine: Engine | None = engine
        self._backend = backend

    def freeze(self) -> None:
        """Take no more events: the engine is closed, and another look would open it again."""
        self._engine = None

    def named(self, name: str) -> list[Event]:
        """Return the events of this name."""
        return [event for event in self if event.name == name]

    @property
    def names(self) -> list[str]:
        return [event.name for event in self]

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        return self._now()[index]

    def __len__(self) -> int:
        return len(self._now())

    def __repr__(self) -> str:
        return f"<{len(self)} events: {', '.join(self.names)}>"

    def _now(self) -> list[Event]:
        if self._engine is not None:
            self._engine.flush()
        return self._backend.events


class FakeVisits:
    """An engine in memory, and its events. `clock` moves time; call `close()` at the end."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        backend = MemoryBackend()
        self.engine = Engine(
            Settings(secret_key=_KEY, store="memory:", backends=[backend], **settings),
            clock=self.clock,
        )
        self.events = RecordedEvents(self.engine, backend)

    @contextmanager
    def visit(self, user_id: str | int | None = None) -> Iterator[RecordedEvents]:
        """Make a visitor's request active inside the block, with a session and, if `user_id` is given, a user."""
        tracker = self.engine.tracker
        visit = tracker.begin(_Request())
        token = active_visit.set(visit)
        try:
            if user_id is not None:
                identify(user_id)
            tracker.finish(visit, _Response())
            yield self.events
        finally:
            active_visit.reset(token)

    def close(self) -> None:
        self.engine.close()  # delivers what is left
        self.events.freeze()


_shared: list[FakeVisits] = []
"""The visits behind the fixture `sojourn_events`, while a test uses it."""


@contextmanager
def fake_visit(user_id: str | int | None = None) -> Iterator[RecordedEvents]:
    """Make a visitor's request active inside the block; yield the events of the visit as they come.

    With the fixture `sojourn_events`, all visits of a test share one log; without it, each has its own.
    """
    if _shared:
        with _shared[-1].visit(user_id) as events:
            yield events
        return
    visits = FakeVisits()
    try:
        with visits.visit(user_id) as events:
            yield events
    finally:
        visits.close()


@contextmanager
def shared_visits() -> Iterator[FakeVisits]:
    """Let all `fake_visit()` blocks inside share one engine and one log of events."""
    visits = FakeVisits()
    _shared.append(visits)
    try:
        yield visits
    finally:
        _shared.remove(visits)
        visits.close()


class _Request(NoFacts):
    """The request of a person who opens a page."""

    method = "GET"
    path = "/"

    def header(self, name: str) -> str:
        return "sojourn.testing" if name == "user-agent" else ""

    def has_any(self, names: tuple[str, ...]) -> bool:
        return any(self.header(name) for name in names)

    def framework_request(self) -> Any:
        return {}


class _Response:
    """A response that can carry a cookie and is not a page."""

    status = 204

    def header(self, name: str) -> str:
        return ""

    def names(self) -> tuple[str, ...]:
        return ()
