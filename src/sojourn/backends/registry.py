"""The registry: our own backends by their place in this package, all others by the entry points of `sojourn.backends`.

Ours are entry points too, but do not depend on them: a frozen app, a vendored copy or a source tree on the path has no
metadata. So each of ours is a module that is named after the scheme of its URL and exports the backend class alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint, entry_points
from inspect import ismodule
from pkgutil import iter_modules
from typing import Any, Final

from . import plain, vendors

ENTRY_POINT_GROUP: Final = "sojourn.backends"


def registered() -> dict[str, EntryPoint]:
    """Return every backend by its scheme. Another distribution cannot replace one of ours."""
    others = {entry.name.lower(): entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return others | {entry.name: entry for entry in built_in()}


def built_in() -> Iterator[EntryPoint]:
    """Return our own backends, those without a vendor first."""
    for package in (plain, vendors):
        for module in iter_modules(package.__path__):
            yield EntryPoint(module.name, f"{package.__name__}.{module.name}", ENTRY_POINT_GROUP)


def built_in_class(name: str) -> Any:
    """Return one of our own backends by the name of its class."""
    # The scheme is nearly always part of the name, so one module is imported, and a broken one hides no other.
    for entry in sorted(built_in(), key=lambda entry: entry.name not in name.lower()):
        backend = load(entry)
        if backend.__name__ == name:
            return backend
    raise LookupError(name)


def load(entry: EntryPoint) -> Any:
    """Import a backend class."""
    loaded = entry.load()
    return getattr(loaded, loaded.__all__[0]) if ismodule(loaded) else loaded
