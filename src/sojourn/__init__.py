"""Sojourn: first-party session analytics for Python web applications. This module holds the public names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .core.events import Event
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

if TYPE_CHECKING:
    from .engine import Engine

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


_DOORS = frozenset({"Sojourn", "SojournMiddleware"})


def __getattr__(name: str) -> Any:
    if name == "Engine":
        from .engine import Engine

        return Engine
    if name in _DOORS:  # an ImportError, since of an AttributeError `from sojourn import ...` would not show the text
        msg = (
            f"there is a {name} for each framework: `from sojourn.flask import Sojourn`, `from sojourn.starlette import "
            'Sojourn` (FastAPI too), MIDDLEWARE = ["sojourn.django.SojournMiddleware", ...] in Django, and so on; around any '
            "other app `from sojourn.asgi import SojournMiddleware` (or sojourn.wsgi)"
        )
        raise ImportError(msg, name=__name__)
    msg = f"module 'sojourn' has no attribute {name!r}"
    raise AttributeError(msg)
