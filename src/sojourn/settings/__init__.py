"""The settings of Sojourn: one frozen object, checked when it is built. Building it opens nothing."""

from __future__ import annotations

from sojourn.core.properties import Property

from ._settings import Settings
from ._table import Setting
from ._web import DEFAULT_EXCLUDE, DEFAULT_PASSIVE

__all__ = ["DEFAULT_EXCLUDE", "DEFAULT_PASSIVE", "Property", "Setting", "Settings"]
