"""Which requests may start a session or are page views, which responses may carry a cookie (S10, S11). Pure."""

from __future__ import annotations

import msgspec

from sojourn.core.bounded import Bounded
from sojourn.user_agents.kinds import Kind, kind_of

from . import caching, privacy_signals
from .facts import RequestFacts, ResponseFacts

CLIENT_REFUSALS = frozenset(kind.value for kind in Kind if kind.is_bot or kind.is_program)
"""Refusals because of the client: they hold for the whole request."""
_PERSON_METHODS = frozenset({"GET", "POST"})
_NO_COOKIE_METHODS = frozenset({"HEAD", "OPTIONS"})
_WHOLE_PAGE = frozenset({"body", "html", "main", ":main", "[up-main]", ":layer"})
_PURPOSES = ("sec-purpose", "purpose", "x-sec-purpose", "x-moz", "x-purpose")
_PREFETCHING = ("prefetch", "prerender", "preview")
_MARKS_OF_SWAPS = ("hx-boosted", "x-pjax", "x-turbo-request-id", "turbo-frame", "x-up-target")
_TELLING = (*_PURPOSES, *_MARKS_OF_SWAPS, *privacy_signals.HEADERS)
"""Headers that few requests carry. Without any, Fetch Metadata alone says why a request was made."""
_MOST_INTENTS = 256
_NOT_MODIFIED = 304
_REDIRECTS = range(300, 400)
FAILED = 400


class Intent(msgspec.Struct, frozen=True, gc=False):
    """Why a request was made, as far as its method and headers say. Read once per request."""

    is_navigation: bool
    is_document: bool
    """Whether Fetch Metadata says that the browser opens a document in a tab: a person did that."""
    is_marked: bool
    """Whether the request has Fetch Metadata at all."""
    is_prefetch: bool
    is_plain: bool
    """Whether it has Fetch Metadata and none of the headers that say more: no privacy signal either."""


_intents: Bounded[tuple[str, str, str], Intent] = Bounded(_MOST_INTENTS)


def intent_of(request: RequestFacts) -> Intent:
    """Why this request was made. Of plain requests there are few kinds, which are remembered."""
    mode = request.header("sec-fetch-mode")
    if not mode or request.has_any(_TELLING):
        return _read_intent(request, is_plain=False)
    kind = (request.method, mode, request.header("sec-fetch-dest"))
    intent = _intents.young.get(kind)
    if intent is None:
        intent = _intents[kind] = _read_intent(request, is_plain=True)
    return intent


def _read_intent(request: RequestFacts, *, is_plain: bool) -> Intent:
    mode = request.header("sec-fetch-mode")
    return Intent(
        is_navigation=is_navigation(request),
        is_document=mode == "navigate" and request.header("sec-fetch-dest") == "document",
        is_marked=bool(mode),
        is_prefetch=is_prefetch(request),
        is_plain=is_plain,
    )


def is_navigation(request: RequestFacts) -> bool:
    """Whether the browser says that a person opens a page (W3C Fetch Metadata); without it any GET or POST may be one."""
    if request.method not in _PERSON_METHODS:
        return False
    mode = request.header("sec-fetch-mode")
    if not mode:
        return True
    if mode == "navigate":
        return request.header("sec-fetch-dest") in {"document", ""}
    return _is_page_swap(request)


def is_marked_fetch(request: RequestFacts) -> bool:
    """Whether the request says that a script made it. Without Fetch Metadata: by what it accepts, or its library's mark."""
    if mode := request.header("sec-fetch-mode"):
        is_document = mode == "navigate" and request.header("sec-fetch-dest") in {"document", ""}
        return not is_document and not _is_page_swap(request)
    accept = request.header("accept")
    return bool(request.header("x-requested-with")) or (bool(accept) and "text/html" not in accept)


def is_prefetch(request: RequestFacts) -> bool:
    """Whether the page is loaded in advance, perhaps for nothing: prefetch, prerender, a link preview of the browser."""
    if not request.has_any(_PURPOSES):
        return False
    values = (request.header(name).lower() for name in _PURPOSES)
    # "Contains": Chrome says `prefetch;prerender`, and parameters may follow.
    return any(word in value for value in values for word in _PREFETCHING)


def is_prerender(request: RequestFacts) -> bool:
    """Whether the browser also runs the page that it loads in advance, before it is shown."""
    return any(word in request.header(name).lower() for name in _PURPOSES for word in ("prerender", "preview"))


def _is_page_swap(request: RequestFacts) -> bool:
    """A script that replaces the page by the next one: htmx with `hx-boost`, Turbo Drive, pjax, Unpoly."""
    if request.header("hx-boosted") == "true" or request.header("x-pjax"):
        return True
    if request.header("x-turbo-request-id"):
        return not request.header("turbo-frame")
    return request.header("x-up-target") in _WHOLE_PAGE


def is_cross_site_post(request: RequestFacts) -> bool:
    """Whether another site's page sent this POST: browsers leave our `SameSite=Lax` cookie out of it."""
    if request.method != "POST":
        return False
    site = request.header("sec-fetch-site")
    if site:
        return site == "cross-site"
    origin = request.header("origin")
    if not origin:
        return False
    return origin.partition("://")[2].lower() != request.header("host").lower()  # `null` has no host at all


def refusal_to_start(
    request: RequestFacts, *, any_request: bool, by_helper: bool, refuses_programs: bool = False
) -> str | None:
    """Why this request may not start a session out of nothing, as a counted reason; `None`: it may.

    Self-declared bots never may (crawlers, monitors, link previews, probes); `refuses_programs` adds HTTP clients and
    headless browsers. `by_helper`: the app calls for a session (`identify()`, `track()`, `start_session()`), page or not.
    """
    if is_cross_site_post(request):
        return "cross_site_post"
    kind = kind_of(request.header("user-agent"))
    if kind.is_bot or (refuses_programs and kind.is_program):
        return kind.value
    if by_helper:
        return None
    if is_prefetch(request):
        return "prefetch"
    if request.method not in _PERSON_METHODS:
        return "method"
    if not any_request and not is_navigation(request):
        return "not_a_navigation"
    return None


def may_carry_cookie(request: RequestFacts, response: ResponseFacts, *, adds_private: bool = True) -> bool:
    """Whether a `Set-Cookie` on this response reaches this visitor, and no one else through a shared cache."""
    if response.status == _NOT_MODIFIED or request.method in _NO_COOKIE_METHODS:
        return False
    return caching.may_carry(response, adds_private=adds_private)


def may_start_at(intent: Intent, response: ResponseFacts) -> bool:
    """Whether this response may begin the session of a client that brought no cookie of ours.

    A failed one may only if the browser marks the request as opening a page: what tries addresses out is no visitor.
    """
    return response.status < FAILED or (intent.is_navigation and intent.is_marked)


def is_page_view(intent: Intent, request: RequestFacts, response: ResponseFacts) -> bool:
    """Whether this is a navigation to an HTML page, or one that failed; a redirect is only on the way to one.

    Half of the frameworks respond to a missing page, and to an error, with JSON or plain text: the visitor sees that as a page.
    """
    status = response.status
    if not intent.is_navigation or intent.is_prefetch or status in _REDIRECTS:
        return False
    if "html" in response.header("content-type").lower():
        return True
    return status >= FAILED and (intent.is_marked or "text/html" in request.header("accept").lower())
