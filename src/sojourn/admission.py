"""Which requests may start a session, which are page views, and which answers may carry a cookie (rules 10 and 11). Pure."""

from __future__ import annotations

from urllib.parse import urlsplit

from .facts import AnswerFacts, RequestFacts

_PERSON_METHODS = frozenset({"GET", "POST"})
_NO_COOKIE_METHODS = frozenset({"HEAD", "OPTIONS"})
_PUBLIC = ("public", "s-maxage", "immutable")
_NOT_MODIFIED = 304
_REDIRECTS = range(300, 400)


def is_navigation(request: RequestFacts) -> bool:
    """A person opening a page, as far as a server can tell (W3C Fetch Metadata; without it, any GET or POST could be)."""
    if request.method not in _PERSON_METHODS:
        return False
    mode = request.header("sec-fetch-mode")
    if not mode:
        return True
    if request.header("hx-boosted") == "true":
        return True
    return mode == "navigate" and request.header("sec-fetch-dest") in {"document", ""}


def is_prefetch(request: RequestFacts) -> bool:
    """Loaded in advance, perhaps never looked at: prefetch, prerender, link preview of the browser."""
    if "prefetch" in request.header("sec-purpose"):
        return True
    old = (request.header("purpose"), request.header("x-moz"), request.header("x-purpose"))
    return any(value in {"prefetch", "preview"} for value in old)


def is_cross_site_post(request: RequestFacts) -> bool:
    """A POST that another site's page made: our `SameSite=Lax` cookie is missing there even if the visitor has one."""
    if request.method != "POST":
        return False
    site = request.header("sec-fetch-site")
    if site:
        return site == "cross-site"
    origin = request.header("origin")
    if not origin:
        return False
    return origin == "null" or urlsplit(origin).netloc != request.header("host")


def refusal_to_start(request: RequestFacts, *, any_request: bool, by_helper: bool) -> str | None:
    """Why this request may not start a session out of nothing, as a counted reason; `None`: it may.

    `by_helper`: the app asked for one (`identify()`, `track()`, `start_session()`), so it need not be a page.
    """
    if is_cross_site_post(request):
        return "cross_site_post"
    if by_helper:
        return None
    if is_prefetch(request):
        return "prefetch"
    if request.method not in _PERSON_METHODS:
        return "method"
    if not any_request and not is_navigation(request):
        return "not_a_navigation"
    return None


def may_carry_cookie(request: RequestFacts, answer: AnswerFacts) -> bool:
    """Whether a `Set-Cookie` on this answer reaches this visitor, and no one else through a shared cache (RFC 9111)."""
    if answer.status == _NOT_MODIFIED or request.method in _NO_COOKIE_METHODS:
        return False
    for name in ("cache-control", "cdn-cache-control", "surrogate-control"):
        value = answer.header(name)
        if value and _is_public(value.lower()):
            return False
    return True


def is_page_view(request: RequestFacts, answer: AnswerFacts) -> bool:
    """A navigation answered with HTML; a redirect is only on the way to one."""
    return "html" in answer.header("content-type") and answer.status not in _REDIRECTS and is_navigation(request)


def _is_public(cache_control: str) -> bool:
    directives = [part.strip().partition("=")[0] for part in cache_control.split(",")]
    return any(directive in _PUBLIC for directive in directives)
