"""Dramatiq: messages add to the session of the request that sent them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .errors import MissingExtraError
from .propagation import MAX_AGE, extract, inject
from .tracking.visit import active_visit

try:
    from dramatiq import Middleware
except ImportError as error:
    msg = "sojourn.dramatiq needs Dramatiq: pip install dramatiq"
    raise MissingExtraError(msg) from error

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["SessionMiddleware"]


class SessionMiddleware(Middleware):
    """`broker.add_middleware(SessionMiddleware(engine))`, in the web app and in the worker."""

    def __init__(self, engine: Engine, *, max_age: timedelta = MAX_AGE) -> None:
        self._engine = engine
        self._max_age = max_age
        self._running: dict[str, AbstractContextManager[None]] = {}

    def before_enqueue(self, broker: Any, message: Any, delay: Any) -> None:
        inject(message.options)

    def before_process_message(self, broker: Any, message: Any) -> None:
        if active_visit.get() is not None:
            return
        session = extract(message.options, self._engine, max_age=self._max_age)
        self._running[message.message_id] = session
        session.__enter__()

    def after_process_message(self, broker: Any, message: Any, *, result: Any = None, exception: Any = None) -> None:
        self.after_skip_message(broker, message)

    def after_skip_message(self, broker: Any, message: Any) -> None:
        session = self._running.pop(message.message_id, None)
        if session is not None:
            session.__exit__(None, None, None)
