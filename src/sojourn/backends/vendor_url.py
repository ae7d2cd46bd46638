"""The URL of a vendor backend: `scheme+https://KEY:SECRET@host/path?option=value`. No error repeats a credential."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self
from urllib.parse import urlsplit, urlunsplit

import httpx

from sojourn.errors import SettingsError

from .options import COMMON_OPTIONS, Options, url_errors, user_info

VENDOR_OPTIONS: Final[Mapping[str, type]] = {
    **COMMON_OPTIONS,
    "resend_ends": bool,
    "timeout": float,
    "gzip": bool,
    "oldest_accepted": float,
}

_VISIBLE: Final = re.compile(r"[\x21-\x7e]+")  # what a header can carry, and what keys are made of


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorURL:
    """A parsed URL. `options` and `own` are keyword arguments: those of all vendors, and the vendor's own."""

    scheme: str
    address: str
    key: str | None = field(repr=False)
    secret: str | None = field(repr=False)
    options: Mapping[str, Any]
    own: Mapping[str, Any]

    @classmethod
    def parse(cls, url: str, scheme: str, own: Mapping[str, type] | None = None) -> Self:
        """Parse a URL; an option that is neither common nor in `own` is a `SettingsError`."""
        with url_errors(scheme):
            parts = urlsplit(url.removeprefix(f"{scheme}+"))
            options = Options(scheme, parts.query)
            common, vendor_own = options.take(VENDOR_OPTIONS), options.take(own or {})
            options.finish()
            key, secret = user_info(url)
            bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
            address = checked_address(bare, scheme)
        return cls(scheme=scheme, address=address, key=key, secret=secret, options=common, own=vendor_own)


def checked_address(address: str, scheme: str) -> str:
    """Return an address without its trailing slash; raise `SettingsError` unless it is `http(s)://host[:port][/path]`."""
    with url_errors(scheme):
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{scheme}: the address must begin with http:// or https:// and name a host")
        if parts.username is not None or parts.query or parts.fragment:
            raise SettingsError(
                f"{scheme}: the address is scheme, host and path only; pass keys and options as arguments of their own"
            )
        _ = parts.port  # raises ValueError if it is not a number
        try:
            httpx.URL(address)
        except httpx.InvalidURL:
            raise ValueError from None
    return address.rstrip("/")


def checked_key(key: object, scheme: str, name: str = "key") -> str:
    """Return a key that a header can carry; raise `SettingsError`, without the key in it, for anything else."""
    text = key.strip() if isinstance(key, str) else ""
    if not text:
        raise SettingsError(
            f"{scheme}: {name} is missing; copy it from the vendor's settings page "
            f"(in a URL it stands before the host: {scheme}+https://KEY@host)"
        )
    if not _VISIBLE.fullmatch(text):
        raise SettingsError(
            f"{scheme}: {name} has characters that no key has (spaces, line breaks, non-ASCII); copy it again"
        )
    return text
