"""What Sojourn raises. Each says what to do; none ever reaches an app from behind a request except a programmer's error."""

from __future__ import annotations


class SojournError(Exception):
    """The root of all errors of Sojourn."""


class SettingsError(SojournError, ValueError):
    """A setting has a value that cannot work; the message names the field, the value and the fix."""


class StoreError(SojournError):
    """The store cannot be opened or used; the message names it and the fix."""


class NoActiveRequest(SojournError, RuntimeError):
    """A request-scoped helper was called outside a request behind the middleware."""


class MissingExtraError(SojournError, ImportError):
    """A feature needs an optional dependency; the message has the command that installs it."""
