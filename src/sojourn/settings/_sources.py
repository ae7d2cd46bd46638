"""From the environment or a mapping to the arguments of `Settings`. Reads names and text, not their meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from sojourn.errors import SettingsError

from ._table import PREFIX, Setting
from ._warnings import warn

ENVIRONMENT: Final = "environment"
CONFIGURATION: Final = "configuration"

# Kubernetes gives every container such variables for a Service that happens to be called "sojourn".
_SERVICE_LINK: Final = re.compile(
    r"SOJOURN_(?:\w+_)?(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)

_MISSPELT: Final = 0.8
"""How alike (0 to 1) a name must be to one of ours to be a slip of the pen."""


def from_environ(environ: Mapping[str, str], table: Iterable[Setting]) -> dict[str, object]:
    """Arguments from environment variables.

    Raises `SettingsError` for a misspelt setting. Another name with our prefix may be of the host, which knows an app called
    "sojourn": it is ignored, with a warning, and service links of Kubernetes without one.
    """
    table = tuple(table)
    names = [row.env_name for row in table]
    values: dict[str, str] = {}
    for key, value in environ.items():
        if key in names:
            values[key] = value
        elif key.startswith(PREFIX) and value.strip() and not _SERVICE_LINK.fullmatch(key):
            if _nearest(key, names, _MISSPELT):
                raise unknown(key, names)
            warn(f"{key} in the environment is no setting of Sojourn, and is ignored")
    return arguments(values, table)


def arguments(mapping: Mapping[Any, object], table: Iterable[Setting]) -> dict[str, object]:
    """Arguments from the keys with our prefix; raise for one that names no setting. Blank text counts as not set."""
    rows = {row.env_name: row for row in table}
    values: dict[str, object] = {}
    for key, value in mapping.items():
        if not isinstance(key, str) or not key.startswith(PREFIX):
            continue
        if key not in rows:
            raise unknown(key, rows)
        row = rows[key]
        if not isinstance(value, str):
            values[row.name] = value
        elif value.strip():
            values[row.name] = row.kind.from_text(value)
    return values


def unknown(key: str, names: Iterable[str]) -> SettingsError:
    """The error for a name that is no setting."""
    (nearest,) = _nearest(key, names, 0.0)
    return SettingsError(f"{key} is not a setting; the nearest is {nearest}. Correct the name, or remove it.")


def _nearest(key: str, names: Iterable[str], cutoff: float) -> list[str]:
    """The name that looks most like this one, if one does."""
    # Compared without the prefix, which all share and which would make everything look near.
    by_name = {name.removeprefix(PREFIX).lower(): name for name in names}
    from difflib import get_close_matches  # only for a wrong name

    return [by_name[near] for near in get_close_matches(key.removeprefix(PREFIX).lower(), by_name, n=1, cutoff=cutoff)]
