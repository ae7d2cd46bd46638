"""Celery: tasks add to the session of the request that sent them.

Call `connect(engine)` once, in a module that both the web app and the worker import.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from .errors import MissingExtraError
from .propagation import HEADER, MAX_AGE, extract, inject
from .tracking.visit import active_visit

try:
    from celery import signals  # type: ignore[import-untyped]
except ImportError as error:
    msg = "sojourn.celery needs Celery: pip install celery"
    raise MissingExtraError(msg) from error

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["connect"]


def connect(engine: Engine, *, max_age: timedelta = MAX_AGE) -> None:
    """Send the session with every task, and make it the one that helpers name while the task runs."""
    running: dict[str, AbstractContextManager[None]] = {}

    def sent(headers: dict[str, Any] | None = None, **_: object) -> None:
        if headers is not None:
            inject(headers)

    def begun(task_id: str, task: Any, **_: object) -> None:
        if active_visit.get() is not None:  # run in place by a request: `task_always_eager`
            return
        value = getattr(task.request, HEADER, None)
        running[task_id] = session = extract({HEADER: value}, engine, max_age=max_age)
        session.__enter__()

    def ended(task_id: str, **_: object) -> None:
        session = running.pop(task_id, None)
        if session is not None:
            session.__exit__(None, None, None)

    signals.before_task_publish.connect(sent, weak=False)
    signals.task_prerun.connect(begun, weak=False)
    signals.task_postrun.connect(ended, weak=False)
