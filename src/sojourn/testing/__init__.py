"""What a test of an app behind Sojourn needs: a clock you move, an in-memory backend, fixtures, a contract.

`Engine(settings, clock=ManualClock())` runs no thread: `engine.flush()` and `engine.sweep()` do the work when called.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend_contract import BackendContract
    from .backends import MemoryBackend
    from .clock import ManualClock
    from .visits import FakeVisits, RecordedEvents, fake_visit

__all__ = [
    "BackendContract",
    "FakeVisits",
    "ManualClock",
    "MemoryBackend",
    "RecordedEvents",
    "fake_visit",
]

_HOMES = {
    "BackendContract": ".backend_contract",
    "FakeVisits": ".visits",
    "ManualClock": ".clock",
    "MemoryBackend": ".backends",
    "RecordedEvents": ".visits",
    "fake_visit": ".visits",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'sojourn.testing' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(home, __name__), name)
