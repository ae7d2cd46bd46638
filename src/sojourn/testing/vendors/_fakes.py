"""The fakes of all registered backends. Each backend class names its own fake."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pkgutil import resolve_name

from sojourn.backends.registry import find, load, registered
from sojourn.errors import SojournError

from .fake import FakeVendor


def places() -> dict[str, str]:
    """Return where the fakes are (`package.module:Class`), by the scheme of their backend."""
    found = {scheme: _place(entry) for scheme, entry in sorted(registered().items())}
    return {scheme: place for scheme, place in found.items() if place is not None}


def make_fake(scheme: str, *, is_strict: bool = False) -> FakeVendor:
    """Return a new fake of the vendor whose backend has this scheme, with its default credentials."""
    entry = find(scheme)
    place = None if entry is None else _place(entry)
    if place is None:
        raise SojournError(f"there is no fake {scheme!r}; there are {', '.join(places())}")
    fake: FakeVendor = resolve_name(place)()
    fake.is_strict = is_strict
    return fake


def _place(entry: EntryPoint) -> str | None:
    try:
        place: str | None = getattr(load(entry), "fake", None)
    except Exception:  # noqa: BLE001 - a third-party backend that cannot be imported
        return None
    return place
