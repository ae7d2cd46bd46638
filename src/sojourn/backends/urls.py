"""Backends named in a setting by URL: `console:,jsonl:events.jsonl,webhook+https://host/in`."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint
from typing import Final

from sojourn.errors import SettingsError, SojournError

from .protocol import Backend
from .registry import find, load, registered

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9.-]{0,30})(\+[A-Za-z0-9.+-]{1,30})?:")


def backend_from_url(text: str) -> Backend:
    """Build the backend named by the scheme of a URL (up to `:` or `+`). Errors quote no more than the scheme."""
    url = text.strip()
    match = _SCHEME.match(url)
    if match is None:
        raise SettingsError(f"backends: a backend's URL begins with its scheme; known are {_forms(registered())}")
    scheme = match[1].lower()
    entry = find(scheme)
    if entry is None:
        raise SettingsError(f"backends: the scheme {scheme!r} is unknown; {_hint(scheme, registered())}")
    return _build(scheme, entry, match[1].lower() + url[match.end(1) :])


def check_unique_names(backends: Iterable[Backend]) -> None:
    """Raise `SettingsError` if backends share a name, under which each has its place in the event log."""
    for name, count in Counter(backend.name for backend in backends).items():
        if not name:
            raise SettingsError("backends: a backend has an empty name; pass name=")
        if count > 1:
            raise SettingsError(
                f"backends: {count} are named {name!r}; pass name= to tell them apart (in a URL: ?name=...)"
            )


def _build(scheme: str, entry: EntryPoint, url: str) -> Backend:
    try:
        cls = load(entry)
    except SojournError:
        raise
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"backends: {scheme}: cannot be loaded from {entry.value}: {type(error).__name__}; install what it needs"
        ) from error
    from_url = getattr(cls, "from_url", None)
    if from_url is None:
        raise SettingsError(f"backends: {scheme}: cannot be built from a URL; pass an object of {entry.value} instead")
    try:
        backend = from_url(url)
    except SojournError:
        raise
    except (ValueError, TypeError, LookupError) as error:
        # Without its cause: the errors of other packages may quote the URL, and with it credentials.
        raise SettingsError(f"backends: {scheme}: its URL is wrong ({type(error).__name__}); see its docs") from None
    if not isinstance(backend, Backend):
        raise SettingsError(f"backends: {scheme}: {entry.value} returned an object that is no backend")
    return backend


def _hint(scheme: str, entries: Mapping[str, EntryPoint]) -> str:
    if scheme in ("http", "https"):
        return f"for a webhook write webhook+{scheme}://..."
    near = difflib.get_close_matches(scheme, list(entries), n=1)
    nearest = f"did you mean {near[0]}:? " if near else ""
    return f"{nearest}known are {_forms(entries)}"


def _forms(entries: Mapping[str, EntryPoint]) -> str:
    return ", ".join(_form(scheme, entries[scheme]) for scheme in sorted(entries))


def _form(scheme: str, entry: EntryPoint) -> str:
    try:
        return str(load(entry).url_form).format(scheme=scheme)
    except Exception:  # noqa: BLE001 - a broken third-party package must not hide the error reported here
        return f"{scheme}:"
