"""Secret keys: how they are read, how long they must be, and the errors for them. No error shows a key."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

SHORTEST: Final = 16
"""Bytes. Below this a key can be guessed offline from one cookie."""


class NamedKey(bytes):
    """A key that knows where it came from."""

    source = ""
    """`SECRET_KEY`; empty for `secret_key` itself."""
    may_be_short = False
    """Whether a framework's debug or testing mode lets it pass."""


def hide(value: object) -> str:
    return "<missing>" if value is None or value == () else "<hidden>"


def parse_keys(value: object) -> tuple[bytes, ...]:
    """Read one key, or keys from oldest to newest. `too_short` checks their length later, when the mode of the app is clear."""
    if value is None:
        return ()
    keys = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str | bytes) else (value,)
    return tuple(_as_bytes(key) for key in keys)


def parse_hash_key(value: object) -> bytes:
    key = _as_bytes(value)
    if len(key) < SHORTEST:
        msg = f"it needs at least {SHORTEST} bytes; here is a new one: {new_key()}"
        raise ValueError(msg)
    return key


def _as_bytes(value: object) -> bytes:
    if isinstance(value, str):
        try:
            value = value.encode()
        except UnicodeEncodeError:
            msg = "a key must be valid text or bytes"
            raise ValueError(msg) from None
    if not isinstance(value, bytes):
        msg = "give text or bytes, or a list of them from the oldest key to the newest (the last one signs)"
        raise ValueError(msg)
    if not value:
        msg = f"a key must not be empty; here is a new one: {new_key()}"
        raise ValueError(msg)
    return value


def split_keys(text: str) -> object:
    return tuple(key for part in text.split(",") if (key := part.strip()))


def of_framework(mapping: Mapping[str, object]) -> object:
    """The keys that a web framework keeps under its own names, from oldest to newest; `None` without any."""
    key = mapping.get("SECRET_KEY")
    if not key:
        return None
    older = mapping.get("SECRET_KEY_FALLBACKS") or ()
    older = (older,) if isinstance(older, str | bytes) or not isinstance(older, Iterable) else older
    fallbacks = [_named(each, f"SECRET_KEY_FALLBACKS[{number}]") for number, each in enumerate(older)]
    return (*fallbacks, _named(key, "SECRET_KEY"))


def leniently(value: object) -> object:
    """Let short keys pass. What is no key stays as it is, for `parse_keys` to refuse."""
    if isinstance(value, str | bytes):
        return _named(value, may_be_short=True)
    return tuple(_named(key, may_be_short=True) for key in value) if isinstance(value, Sequence) else value


def _named(key: object, source: str = "", *, may_be_short: bool = False) -> object:
    raw = key.encode(errors="replace") if isinstance(key, str) else key
    if not isinstance(raw, bytes) or not 0 < len(raw) < SHORTEST:
        return key
    named = NamedKey(raw)
    named.source = source or getattr(key, "source", "")
    named.may_be_short = may_be_short
    return named


def too_short(keys: Iterable[bytes]) -> bool:
    return any(len(key) < SHORTEST and not getattr(key, "may_be_short", False) for key in keys)


def are_short(keys: Iterable[bytes]) -> bool:
    return any(len(key) < SHORTEST for key in keys)


def new_key() -> str:
    return secrets.token_urlsafe(32)


def missing_text() -> str:
    return (
        "secret_key is missing; it signs the cookie that carries a visitor's session. Here is a new one:\n\n"
        f"    SOJOURN_SECRET_KEY={new_key()}\n\n"
        "Put that line into the environment of every process of this app (the same key in all of them, and not into "
        'version control), or pass it on: Settings(secret_key=...), or app.config["SOJOURN_SECRET_KEY"] in Flask. '
        "SOJOURN_ENABLED=0 turns Sojourn off and needs no key."
    )


def short_text(keys: Iterable[bytes]) -> str:
    """The error for keys one of which is too short."""
    source = next((getattr(key, "source", "") for key in keys if len(key) < SHORTEST), "")
    of_app = f" This is the {source} of your app, which Sojourn uses without a SOJOURN_SECRET_KEY." if source else ""
    return f"every key needs at least {SHORTEST} bytes, also the old ones of a list.{of_app} Here is a new one: {new_key()}"
