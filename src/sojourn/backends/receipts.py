"""Whether a success is the receipt of a vendor, or comes from another server: a log-in page, a proxy, a portal. Pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from .outcomes import Pause, Response

_PAGES: Final = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script", b"<meta", b"<?xml")
_HTML: Final = ("text/html", "application/xhtml+xml")
_LOG_IN: Final = rb"(?:log|sign)[ _-]?[io]n|sso\b|saml|oauth|openid|password"
_LOG_IN_FORM: Final = re.compile(
    rb"<input[^>]+password|<form[^>]+action[^>]+(?:%b)|<title>[^<]*(?:%b)" % (_LOG_IN, _LOG_IN), re.IGNORECASE
)
_REDIRECT: Final = re.compile(
    rb"<meta[^>]+http-equiv\s*=\s*[\"']?refresh|\blocation(?:\.href)?\s*=|location\.(?:replace|assign)\(", re.IGNORECASE
)
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


def kind_of_page(response: Response) -> str:
    """Return what a browser would see where events should be taken: a log-in form, a page that redirects, or nothing ("")."""
    if 300 <= response.status < 400:
        target = response.headers.get("location", "").encode("utf-8", "replace")
        return "a redirect to a log-in page" if re.search(_LOG_IN, target, re.IGNORECASE) else "a redirect"
    if not 200 <= response.status < 300:
        return ""
    if "refresh" in response.headers:
        return "a page that redirects"
    if not is_web_page(response):
        return ""
    if _LOG_IN_FORM.search(response.body):
        return "a log-in form"
    return "a page that redirects" if _REDIRECT.search(response.body) else ""


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
