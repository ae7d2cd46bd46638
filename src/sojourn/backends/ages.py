"""How old an event may be when a receiver gets it: some vendors drop older ones with a success. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sojourn.errors import SettingsError

from .protocol import Backend

_LEAST_S: Final = 60.0


def oldest_accepted_ms(backend: Backend) -> int | None:
    """Return a backend's `oldest_accepted` in milliseconds; `None` if it takes events of any age."""
    declared = getattr(backend, "oldest_accepted", None)
    return None if declared is None else int(_seconds(declared) * 1000)


def moves_old_ends(backend: Backend) -> bool:
    """Return whether a backend takes the end of a session under a later date rather than not at all."""
    return bool(getattr(backend, "moves_old_ends", False))


def checked_age(value: timedelta | float | None) -> timedelta | None:
    """Return an age as a span; raise `SettingsError` if it is less than a minute."""
    if value is None:
        return None
    seconds = _seconds(value)
    if not seconds >= _LEAST_S:
        raise SettingsError(f"oldest_accepted must be at least {_LEAST_S:g} seconds, got {value!r}")
    return timedelta(seconds=seconds)


def _seconds(value: timedelta | float) -> float:
    return value.total_seconds() if isinstance(value, timedelta) else float(value)
