"""Options in a backend's URL: `scheme:place?option=value`. No error repeats a value, which may be a credential."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from sojourn.core.flags import flag_of
from sojourn.errors import SettingsError

COMMON_OPTIONS: Final[Mapping[str, type]] = {"name": str, "third_party": bool, "events": list, "heartbeats": bool}
"""The options of every backend, as keyword arguments of its class."""


class Options:
    """The query parameters of one backend URL. Take those that the backend has, then `finish()` refuses the others."""

    def __init__(self, scheme: str, query: str) -> None:
        self._scheme = scheme
        self._pairs = parse_qsl(query, keep_blank_values=True)
        self._names: set[str] = set()

    def take(self, types: Mapping[str, type]) -> dict[str, Any]:
        """Take the options that are set. `list`: may be repeated; `float`: seconds."""
        taken: dict[str, Any] = {}
        for name, kind in types.items():
            self._names.add(name)
            values = [value for key, value in self._pairs if key == name]
            self._pairs = [(key, value) for key, value in self._pairs if key != name]
            if name == "events" and values:
                taken[name] = ",".join(values) or None  # one value may hold several patterns, with commas between
            elif kind is list and values:
                taken[name] = values
            elif values:
                taken[name] = self._single(name, kind, values)
        return taken

    def rest(self) -> str:
        """Return the parameters that were not taken, as a query string again."""
        return urlencode(self._pairs)

    def finish(self) -> None:
        """Raise `SettingsError` for a parameter that was not taken."""
        options = sorted(self._names)
        for name, _ in self._pairs:
            near = difflib.get_close_matches(name, options, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the options are {', '.join(options)}"
            # A long name may be a pasted credential that lost its `key=`.
            shown = f"option {name!r}" if len(name) <= 24 else "option"
            raise SettingsError(f"{self._scheme}: there is no such {shown}; {hint}")

    def _single(self, name: str, kind: type, values: list[str]) -> str | bool | float:
        if len(values) > 1:
            raise SettingsError(f"{self._scheme}: the option {name} is given {len(values)} times; give it once")
        (value,) = values
        if kind is bool:
            if (flag := flag_of(value)) is None:
                raise SettingsError(
                    f"{self._scheme}: the option {name} is neither true nor false; write {name}=1 or {name}=0"
                )
            return flag
        if kind is float:
            try:
                return float(value)
            except ValueError:
                raise SettingsError(f"{self._scheme}: the option {name} is not a number of seconds") from None
        return value


def split_place(url: str) -> tuple[str, Options]:
    """Split `scheme:place?options`, for backends that call no server; the place is percent-decoded."""
    scheme, _, rest = url.partition(":")
    place, _, query = rest.partition("?")
    if place.startswith("//"):
        authority, slash, path = place[2:].partition("/")
        if authority not in ("", "localhost"):
            raise SettingsError(f"{scheme}: a path follows the colon at once, as in {scheme}:name or {scheme}:/a/path")
        place = slash + path
    return unquote(place), Options(scheme, query)


@contextmanager
def url_errors(scheme: str) -> Iterator[None]:
    """Replace the errors of URL parsers, which quote the URL, by one that does not: it may hold credentials."""
    try:
        yield
    except SettingsError:
        raise
    except ValueError:
        raise SettingsError(f"{scheme}: the URL is malformed; it reads {scheme}+https://host/path") from None


def user_info(url: str) -> tuple[str | None, str | None]:
    """Return the decoded user and password of a URL."""
    parts = urlsplit(url)
    user, password = parts.username, parts.password
    return (None if user is None else unquote(user)), (None if password is None else unquote(password))
