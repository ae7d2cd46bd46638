"""Sojourn: first-party session analytics for Python web applications. This module holds the public names.

Each is imported when it is first used: the command line and `sojourn.errors` need none of them. The doors import what a view
may call, so a request imports nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.events import Event
    from .engine import Engine
    from .errors import NoActiveRequest, SojournError
    from .settings import Property, Settings
    from .tracking.carrying import carry
    from .tracking.current import current_session
    from .tracking.helpers import (
        capture_exception,
        end_session,
        heartbeat,
        identify,
        opt_in,
        opt_out,
        set_session_properties,
        set_session_property,
        start_session,
        track,
        track_async,
    )
    from .tracking.principal import UNKNOWN, User
    from .tracking.privacy_signals import gpc_support

__all__ = [
    "UNKNOWN",
    "Engine",
    "Event",
    "NoActiveRequest",
    "Property",
    "Settings",
    "SojournError",
    "User",
    "capture_exception",
    "carry",
    "current_session",
    "end_session",
    "gpc_support",
    "heartbeat",
    "identify",
    "opt_in",
    "opt_out",
    "set_session_properties",
    "set_session_property",
    "start_session",
    "track",
    "track_async",
]


_PLACES = {
    "core.events": ("Event",),
    "engine": ("Engine",),
    "errors": ("NoActiveRequest", "SojournError"),
    "settings": ("Property", "Settings"),
    "tracking.carrying": ("carry",),
    "tracking.current": ("current_session",),
    "tracking.principal": ("UNKNOWN", "User"),
    "tracking.privacy_signals": ("gpc_support",),
}
_PLACE_OF = dict.fromkeys(__all__, "tracking.helpers") | {
    name: place for place, names in _PLACES.items() for name in names
}
_DOORS = frozenset({"Sojourn", "SojournMiddleware"})


def __getattr__(name: str) -> Any:
    if (place := _PLACE_OF.get(name)) is not None:
        value = globals()[name] = getattr(import_module(f"{__name__}.{place}"), name)
        return value
    if name in _DOORS:  # an ImportError, since of an AttributeError `from sojourn import ...` would not show the text
        msg = (
            f"there is a {name} for each framework: `from sojourn.flask import Sojourn`, `from sojourn.starlette import "
            'Sojourn` (FastAPI too), MIDDLEWARE = ["sojourn.django.SojournMiddleware", ...] in Django, and so on; around any '
            "other app `from sojourn.asgi import SojournMiddleware` (or sojourn.wsgi)"
        )
        raise ImportError(msg, name=__name__)
    msg = f"module 'sojourn' has no attribute {name!r}"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
