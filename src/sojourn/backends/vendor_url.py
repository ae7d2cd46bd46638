"""A vendor named by URL: `scheme+https://KEY:SECRET@host/path?option=value`. Knows no vendor; repeats no credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from sojourn.errors import SettingsError

from .http import DEADLINE_S
from .options import Options, as_flag, url_errors, user_info

COMMON_OPTIONS: Final = ("events", "heartbeats", "name", "resend_ends", "third_party", "timeout")

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")  # what a header can carry, and what keys are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorURL:
    """What a vendor's URL says. `common` are the keyword arguments that all have, `own` the texts of the vendor's options."""

    scheme: str
    address: str
    key: str | None = field(repr=False)
    secret: str | None = field(repr=False)
    common: Mapping[str, Any]
    own: Mapping[str, list[str]]

    def text(self, option: str) -> str | None:
        """Return an option that can be given once."""
        values = self.own.get(option, [])
        if len(values) > 1:
            raise SettingsError(f"{self.scheme}: the option {option} is given {len(values)} times; give it once")
        return values[0] if values else None

    def flag(self, option: str, *, default: bool) -> bool:
        """Return an option that is true or false."""
        value = self.text(option)
        return default if value is None else as_flag(self.scheme, option, value)


def parsed(url: str, scheme: str, own: Iterable[str] = ()) -> VendorURL:
    """Take a URL apart; an option that nobody knows is an error."""
    with url_errors(scheme):
        parts = urlsplit(url.removeprefix(f"{scheme}+"))
        options = Options(scheme, parts.query)
        common: dict[str, Any] = {
            "name": options.text("name"),
            "third_party": options.flag("third_party", default=True),
            "timeout": options.seconds("timeout", default=DEADLINE_S),
            "events": options.texts("events") or None,
        }
        if common["events"]:
            common["events"] = ",".join(common["events"])
        for name in ("heartbeats", "resend_ends"):
            common[name] = options.optional_flag(name)
        taken = {name: options.texts(name) for name in own}
        options.finish([*COMMON_OPTIONS, *own])
        key, secret = user_info(url)
        bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
        return VendorURL(
            scheme=scheme, address=address_of(bare, scheme), key=key, secret=secret, common=common, own=taken
        )


def address_of(url: str, scheme: str) -> str:
    """Return a vendor's address without the slash at its end; refuse what cannot be called, and credentials in it."""
    with url_errors(scheme):
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{scheme}: the address must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.query or parts.fragment:
            raise SettingsError(
                f"{scheme}: the address is scheme, host and path only; give keys and options as arguments of their own"
            )
        _ = parts.port  # raises for a port that is none
        try:
            httpx.URL(url)
        except httpx.InvalidURL:
            raise ValueError from None
    return url.rstrip("/")


def checked_key(value: object, scheme: str, field_name: str) -> str:
    """Return a key that can travel in a header; no error repeats it."""
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise SettingsError(
            f"{scheme}: {field_name} is missing; copy it from the vendor's settings page "
            f"(in a URL it stands before the host: {scheme}+https://KEY@host)"
        )
    if not _VISIBLE.fullmatch(text):
        raise SettingsError(
            f"{scheme}: {field_name} has characters that no key has (spaces, line breaks, non-ASCII); copy it again"
        )
    return text
