"""What the ASGI and the WSGI door share: they stand in for the app, and leave the context as they found it."""

from __future__ import annotations

from contextvars import Token
from typing import Any

# Not used here: what a view may call comes with a door, so that its first call imports nothing.
from . import carrying, current, helpers, privacy_signals  # noqa: F401
from .visit import Visit, active_visit


class Wrapper:
    """Passes attributes that it lacks on to `app`: test clients and frameworks read `state`, `routes` or `config`.

    Never a special method: `copy` and `pickle` look them up on an object whose `__init__` has not run, and would get
    those of the app.
    """

    app: Any

    def __getattr__(self, name: str) -> Any:
        if (name.startswith("__") and name.endswith("__")) or "app" not in self.__dict__:
            msg = f"{type(self).__name__!r} object has no attribute {name!r}"
            raise AttributeError(msg, name=name, obj=self)
        return getattr(self.app, name)


def leave_visit(token: Token[Visit | None]) -> None:
    """Make the visit before this one the active one again."""
    try:
        active_visit.reset(token)
    except ValueError:  # set in another context, which is gone, and the variable with it
        active_visit.set(None)
