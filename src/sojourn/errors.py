"""The errors of Sojourn. Each message names the fix. Inside a request only programming errors are raised."""

from __future__ import annotations


class SojournError(Exception):
    """The base class of all errors of Sojourn."""


class SettingsError(SojournError, ValueError):
    """A setting has an invalid value; the message names the setting, the value and the fix."""


class StoreError(SojournError):
    """The store cannot be opened or used; the message names it and the fix."""


class WrongDatabaseError(SojournError, ValueError):
    """`track(connection=...)` was given a connection to another database than the store's; the message names both."""


class NoActiveRequest(SojournError, RuntimeError):
    """A request-scoped helper was called outside a request behind the middleware."""


class MissingExtraError(SojournError, ImportError):
    """A feature needs an optional dependency; the message has the command that installs it."""
