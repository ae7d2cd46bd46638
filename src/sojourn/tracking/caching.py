"""Which responses may carry a cookie past shared caches, and what must stand beside it (RFC 9111, RFC 9213). Pure.

A shared cache that stores a response with our `Set-Cookie` hands one visitor's session to everybody. RFC 9111 does not
forbid that (section 7.3), so the response itself must: with an unqualified `private` or `no-store`.

See S11 in docs/internals.md.
"""

from __future__ import annotations

from .facts import ResponseFacts

_PUBLIC = frozenset({"public", "s-maxage", "immutable"})
"""Directives by which the app says that the response is the same for everybody."""
_NOT_STORED = frozenset({"private", "no-store"})
_SERVED_STALE = ("stale-while-revalidate", "stale-if-error", "no-cache")
_TARGETED_SUFFIX = "-cache-control"
"""RFC 9213 names a header for one cache `<target>-Cache-Control`: `CDN-`, `Cloudflare-CDN-`, `Vercel-CDN-` ..."""


def may_carry(response: ResponseFacts, *, adds_private: bool) -> bool:
    """Whether caches leave a cookie on this response to the visitor it was made for.

    `adds_private`: the door adds `private` where nothing forbids storing. Without it, a response whose `Cache-Control`
    leaves room for a shared cache carries no cookie.
    """
    value = response.header("cache-control")
    if value:
        if value.count('"') % 2:
            return False  # malformed: what a cache makes of it, and of anything added to it, is anybody's guess
        directives = _directives(value)
        if not _PUBLIC.isdisjoint(directives) or not (adds_private or _forbids_storing(directives)):
            return False
    return not any(_invites(name, response) for name in response.names())


def with_private(response: ResponseFacts) -> str | None:
    """The `Cache-Control` of a response that carries our cookie; `None`: the app's own forbids storing already."""
    value = response.header("cache-control")
    if not value:
        return "private"
    return None if _forbids_storing(_directives(value)) else f"{value}, private"


def _invites(name: str, response: ResponseFacts) -> bool:
    """Whether this header lets some shared cache store the response, whatever `Cache-Control` says."""
    if name == "x-accel-expires":  # nginx: seconds, or `@` and a moment; zero and less do not store
        value = response.header(name).strip()
        return not (value.startswith("-") or value.strip("@0") == "" or value == "off")
    if name == "edge-control":  # Akamai: `!` takes a directive back
        return _lets_store(response.header(name), {"max-age", "cache-maxage", "!no-store", "!private", "!bypass-cache"})
    if name == "surrogate-control" or (name.endswith(_TARGETED_SUFFIX) and name != "cache-control"):
        return _lets_store(response.header(name), {"max-age", *_SERVED_STALE})
    return False


def _lets_store(value: str, reasons: set[str]) -> bool:
    directives = _directives(value)
    if not _PUBLIC.isdisjoint(directives):
        return True
    if _forbids_storing(directives):
        return False
    return any(directives.get(reason, "0").strip('"') not in {"0", "0s"} for reason in reasons)


def _forbids_storing(directives: dict[str, str]) -> bool:
    """`private="x-foo"` keeps one field from being stored, and the rest of the response may be."""
    return any(directives.get(name) == "" for name in _NOT_STORED)


def _directives(value: str) -> dict[str, str]:
    """Directives by name; a repeated one has its plain form, if it has one. Commas in quotes separate nothing."""
    directives: dict[str, str] = {}
    for position, text in enumerate(value.lower().split('"')):
        if position % 2:  # a quoted argument
            continue
        is_argument = position > 0
        for number, part in enumerate(text.split(",")):
            if is_argument and number == 0:
                continue  # what follows a closing quote up to its comma
            name, equals, argument = part.partition("=")
            name, argument = name.strip(), argument.strip() or ("quoted" if equals else "")
            if name:
                directives[name] = "" if directives.get(name) == "" else argument
    return directives
