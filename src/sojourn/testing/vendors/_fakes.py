"""The fakes of all registered backends. Each backend class names its own fake."""

from __future__ import annotations

from pkgutil import resolve_name

from sojourn.backends.registry import load, registered
from sojourn.errors import SojournError

from .fake import FakeVendor


def places() -> dict[str, str]:
    """Return where the fakes are (`package.module:Class`), by the scheme of their backend."""
    fakes: dict[str, str] = {}
    for scheme, entry in sorted(registered().items()):
        try:
            place = getattr(load(entry), "fake", None)
        except Exception:  # noqa: BLE001 - a third-party backend that cannot be imported
            place = None
        if place is not None:
            fakes[scheme] = place
    return fakes


def make_fake(scheme: str, *, is_strict: bool = False) -> FakeVendor:
    """Return a new fake of the vendor whose backend has this scheme, with its default credentials."""
    fakes = places()
    if scheme not in fakes:
        raise SojournError(f"there is no fake {scheme!r}; there are {', '.join(fakes)}")
    fake: FakeVendor = resolve_name(fakes[scheme])()
    fake.is_strict = is_strict
    return fake
