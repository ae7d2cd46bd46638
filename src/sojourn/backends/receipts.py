"""Whether a success is the receipt of a vendor, or comes from another server: a log-in page, a proxy, a portal. Pure."""

from __future__ import annotations

import json
from typing import Any, Final

from .outcomes import Pause, Response

_PAGES: Final = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta", b"<?xml")
_HTML: Final = ("text/html", "application/xhtml+xml")
_BOM: Final = b"\xef\xbb\xbf"


def not_a_receipt(response: Response, expected: str) -> Pause:
    """Return the outcome of a success that is not this vendor's. `expected`: "Acme responds with 202"."""
    what = " with a web page" if is_web_page(response) else ""
    hint = "a log-in page, a proxy or a portal is in between" if what else "another server may respond there"
    return Pause(reason=f"HTTP {response.status}{what}, but {expected}; {hint}; check the URL")


def is_web_page(response: Response) -> bool:
    """Return whether a response is a page for a browser, by its type or its first bytes."""
    if response.headers.get("content-type", "").partition(";")[0].strip().lower() in _HTML:
        return True
    return _start(response.body).startswith(_PAGES)


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return a body that is a JSON object, or `None`."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def is_empty(body: bytes) -> bool:
    """Return whether a body says nothing: no bytes, or an empty JSON object."""
    return not body.strip() or json_object(body) == {}


def _start(body: bytes) -> bytes:
    return body[:512].removeprefix(_BOM).lstrip()[:32].lower()
