"""The registry: our own backends by their place in this package, all others by the entry points of `sojourn.backends`.

Ours are entry points too, but do not depend on them: a frozen app, a vendored copy or a source tree on the path has no
metadata. So each of ours is a module that is named after the scheme of its URL and exports the backend class alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from inspect import ismodule
from os.path import join
from pkgutil import iter_modules
from typing import Any, Final

from sojourn.core.browser_sessions import BrowserSession
from sojourn.errors import SettingsError

from . import plain, vendors

ENTRY_POINT_GROUP: Final = "sojourn.backends"


def registered() -> dict[str, EntryPoint]:
    """Return every backend by its scheme. Another distribution cannot replace one of ours."""
    others = {entry.name.lower(): entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    return others | {entry.name: entry for entry in built_in()}


def find(scheme: str) -> EntryPoint | None:
    """Return the backend of a scheme, if there is one. Ours are found without reading what is installed."""
    ours = (entry for entry in built_in() if entry.name == scheme)
    return next(ours, None) or registered().get(scheme)


def built_in() -> Iterator[EntryPoint]:
    """Return our own backends, those without a vendor first."""
    for package in (plain, vendors):
        for module in iter_modules(package.__path__):
            yield EntryPoint(module.name, f"{package.__name__}.{module.name}", ENTRY_POINT_GROUP)


def browser_vendors() -> list[str]:
    """Return the vendors of ours whose browser SDK shows a server its session: those with a module `browser`."""
    return [
        vendor.name
        for vendor in iter_modules(vendors.__path__)
        if any(part.name == "browser" for part in iter_modules(join(place, vendor.name) for place in vendors.__path__))
    ]


def browser_session(vendor: str) -> BrowserSession:
    """Return how a vendor's browser SDK shows its session. Raises `SettingsError` for one that does not."""
    known = browser_vendors()
    if vendor not in known:
        raise SettingsError(
            f"browser_ids: {vendor!r} has no browser SDK that Sojourn reads; give any of {', '.join(known)}"
        )
    module = import_module(f"{vendors.__name__}.{vendor}.browser")
    session: BrowserSession = module.BROWSER_SESSION
    return session


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
