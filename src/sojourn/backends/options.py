"""Options in a backend's URL: `scheme:place?option=value`. Knows no backend; never repeats a value in an error."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from sojourn.errors import SettingsError

_TRUE: Final = frozenset({"1", "true", "yes", "on"})
_FALSE: Final = frozenset({"0", "false", "no", "off"})


class Options:
    """The query parameters of one backend URL, taken out one by one."""

    def __init__(self, scheme: str, query: str) -> None:
        self._scheme = scheme
        self._pairs = parse_qsl(query, keep_blank_values=True)

    def texts(self, key: str) -> list[str]:
        """Take all values of an option that may be repeated."""
        values = [value for name, value in self._pairs if name == key]
        self._pairs = [(name, value) for name, value in self._pairs if name != key]
        return values

    def text(self, key: str) -> str | None:
        values = self.texts(key)
        if len(values) > 1:
            raise SettingsError(f"{self._scheme}: the option {key} is given {len(values)} times; give it once")
        return values[0] if values else None

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.text(key)
        return default if value is None else as_flag(self._scheme, key, value)

    def optional_flag(self, key: str) -> bool | None:
        """Take a flag whose default is the backend's own."""
        values = self.texts(key)
        self._pairs += [(key, value) for value in values]
        return self.flag(key, default=False) if values else None

    def seconds(self, key: str, *, default: float) -> float:
        value = self.text(key)
        try:
            return default if value is None else float(value)
        except ValueError:
            raise SettingsError(f"{self._scheme}: the option {key} is not a number of seconds") from None

    def rest(self) -> str:
        """Return what nobody took, as a query string again."""
        return urlencode(self._pairs)

    def finish(self, known: Iterable[str]) -> None:
        """Refuse what nobody took."""
        options = sorted(known)
        for name, _ in self._pairs:
            near = difflib.get_close_matches(name, options, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it knows {', '.join(options)}"
            # A long name may be a pasted credential that lost its `key=`.
            shown = f"option {name!r}" if len(name) <= 24 else "option"
            raise SettingsError(f"{self._scheme}: there is no such {shown}; {hint}")


def as_flag(scheme: str, key: str, value: str) -> bool:
    """Return what an option says that is true or false."""
    if value.lower() not in _TRUE | _FALSE:
        raise SettingsError(f"{scheme}: the option {key} is neither true nor false; write {key}=1 or {key}=0")
    return value.lower() in _TRUE


def split_place(url: str) -> tuple[str, Options]:
    """Split `scheme:place?options` for backends that call no server; the place is percent-decoded."""
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
    """Turn whatever a URL parser says into an error that does not repeat the URL, which may hold credentials."""
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
