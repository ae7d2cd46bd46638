"""The report's application: access checks, then a table of pages. Independent of ASGI and WSGI."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sojourn.errors import StoreError

from . import (
    _agents,
    _agents_export,
    _alerts,
    _assets,
    _delivery,
    _event,
    _export,
    _figures,
    _first_run,
    _funnels,
    _goals,
    _login,
    _overview,
    _own_browser,
    _panel_pages,
    _profile,
    _retention,
    _session,
    _sessions,
    _shared,
    _views_page,
    tokens,
)
from ._access import Access, is_own_form
from ._tickets import Ticket
from ._view import Source, View, error_page
from ._web import MAX_BODY, Request, Response, redirect
from .tokens import ApiToken

Page = Callable[[View], Response]
NamedPage = Callable[[View, str], Response | None]

_PAGES: Final[Mapping[str, Page]] = {
    "/": _overview.overview,
    "/overview.json": _figures.as_json,
    "/sessions": _sessions.sessions,
    "/sessions.csv": _export.as_csv,
    "/sessions.json": _export.as_json,
    "/event": _event.page,
    "/event.csv": _event.as_csv,
    "/event.json": _event.as_json,
    "/users": _profile.user,
    "/visitors": _profile.visitor,
    "/goals": _goals.goals,
    "/funnels": _funnels.funnels,
    "/retention": _retention.retention,
    "/agents": _agents.agents,
    "/agents.csv": _agents_export.as_csv,
    "/agents.json": _agents_export.as_json,
    "/alerts": _alerts.alerts,
    "/delivery": _delivery.delivery,
    "/tokens": tokens.page,
    "/views": _views_page.views,
    "/live/online": _overview.online,
    "/live/sessions": _sessions.changes,
    "/live/delivery": _delivery.live,
    "/live/first-run": _first_run.live,
}
_NAMED_PAGES: Final[tuple[tuple[re.Pattern[str], NamedPage], ...]] = (
    (re.compile(r"/panels/([a-z_]{1,40})"), _panel_pages.page),
    (re.compile(r"/panels/([a-z_]{1,40})\.csv"), _panel_pages.as_csv),
    (re.compile(r"/panels/([a-z_]{1,40})\.json"), _panel_pages.as_json),
    (re.compile(r"/sessions/([A-Za-z0-9-]{1,100})"), _session.session),
    (re.compile(r"/live/sessions/([A-Za-z0-9-]{1,100})"), _session.changes),
    (re.compile(r"/events/([A-Za-z0-9_-]{1,100})"), _session.of_event),
)
_SHARED: Final = re.compile(r"/share/([A-Za-z0-9_-]{20,100})(\.json)?")
_FORMS: Final[Mapping[str, Page]] = {
    "/goals/add": _goals.add,
    "/goals/remove": _goals.remove,
    "/funnels/add": _funnels.add,
    "/funnels/remove": _funnels.remove,
    "/views/add": _views_page.add,
    "/views/change": _views_page.change,
    "/views/rename": _views_page.rename,
    "/views/remove": _views_page.remove,
    "/views/share": _views_page.share,
    "/views/revoke": _views_page.revoke,
    "/tokens/add": tokens.add,
    "/tokens/revoke": tokens.remove,
    "/own-browser": _own_browser.switch,
    "/delivery/try": _delivery.try_now,
    "/delivery/retry": _delivery.retry,
    "/delivery/skip": _delivery.skip,
}
_METHODS: Final = ("GET", "HEAD", "POST")
_PLAIN: Final = "text/plain; charset=utf-8"
_FOREIGN_FORM: Final = (
    "The form did not come from a page of this report, or the page was too old. Go back, reload the page and send the "
    "form again."
)
_STILL_LOGGED_IN: Final = (
    "You could not be logged out: the store is unavailable, and every process looks up log-outs there. Try again in a "
    "moment."
)


class Report:
    """The report behind both adapters. `handle` may block: it reads the store."""

    def __init__(self, source: Source, access: Access) -> None:
        self.source = source
        self.access = access

    def needs_verdict(self, path: str) -> bool:
        """Whether the app's `allow` must be called before `handle` gets a request for this path."""
        return self.access.allow is not None and not path.startswith("/assets/")

    def handle(self, request: Request) -> Response:
        response = self._handle(request)
        if request.method == "HEAD" and not isinstance(response.body, bytes):
            close = getattr(response.body, "close", None)
            if close is not None:
                close()
            return Response(kind=response.kind, cache=response.cache, headers=response.headers)
        return response

    def _handle(self, request: Request) -> Response:
        now, access = self.source.now(), self.access
        if not access.serves(request.header("host")):
            return Response(body=b"This report is not served at this host name.\n", status=421, kind=_PLAIN)
        if request.method not in _METHODS:
            return Response(status=405, headers=(("Allow", ", ".join(_METHODS)),), kind=_PLAIN)
        if request.path.startswith("/assets/"):
            asset = _assets.asset(request.path) if request.method != "POST" else None
            return asset or Response(body=b"not found\n", status=404, kind=_PLAIN)
        try:
            cookie_ticket = access.ticket(request, now)
        except StoreError:  # whether it was logged out is unknown
            return self._unavailable(request, now)
        ticket = cookie_ticket or access.tickets.new(now, is_in=False)
        view = View(
            request=request,
            source=self.source,
            now=now,
            form_token=access.tickets.form_token(ticket),
            can_log_out=access.allow is None and ticket.is_in,
            has_links=access.has_form,
            may_write=access.allow is None and ticket.may_write,
        )
        response = self._shared(view) or self._guarded(view, cookie_ticket, ticket)
        # A page with a form needs a ticket; a log-in or log-out has set its own cookie.
        if cookie_ticket is None and not response.cookies and response.status < 400 and request.method != "HEAD":
            return replace(response, cookies=(self._cookie(request, ticket),))
        return response

    def _unavailable(self, request: Request, now: int) -> Response:
        """The page of a reader whose log-in cannot be checked. It says nothing of the store."""
        form_token = self.access.tickets.form_token(self.access.tickets.new(now, is_in=False))
        view = View(request=request, source=self.source, now=now, form_token=form_token, can_log_out=False)
        return error_page(view, 503, "Store unavailable", "Your log-in cannot be checked now. Try again in a moment.")

    def _guarded(self, view: View, cookie_ticket: Ticket | None, ticket: Ticket) -> Response:
        """The page, or what the access allows instead. `ticket` is the cookie's, or a new one for this page's forms."""
        request, access = view.request, self.access
        if len(request.body) > MAX_BODY:
            return error_page(view, 413, "Form too large", "This form is larger than any form of the report.")
        has_token = self._bears_token(view)
        if isinstance(has_token, Response):
            return has_token
        if not has_token:
            if request.method == "GET" and "key" in request.query and access.exchange(request):
                cookies = self._log_in_cookies(request, view.now, may_write=True)
                return redirect(request.url(access.landing), cookies=cookies)
            if request.method == "POST" and not is_own_form(request, access.tickets, cookie_ticket):
                return error_page(view, 403, "Form rejected", _FOREIGN_FORM)
            if request.method == "POST" and request.path == "/theme":
                return _login.theme(view)
            if request.path == "/login" and access.has_form and not access.is_in(request, cookie_ticket):
                return self._log_in(view)
            if not access.is_in(request, cookie_ticket):
                return self._denied(view)
            if request.path in {"/login", "/logout"}:
                return self._log_out(view, ticket) if request.path == "/logout" else redirect(request.url("/"))
        else:
            view = replace(view, may_write=False)  # a program; a cookie beside its token has not been checked
        try:
            if isinstance(has_token, ApiToken) and (refusal := has_token.refusal_of_people(view)) is not None:
                return Response(body=f"{refusal}\n".encode(), status=403, kind=_PLAIN)
            return self._page(view)
        except StoreError as error:
            return error_page(view, 503, "Store unavailable", str(error))

    def _shared(self, view: View) -> Response | None:
        """A shared view, which needs no log-in; `None` for any other address, and where the app's `allow` decides."""
        match = _SHARED.fullmatch(view.request.path)
        if match is None or not self.access.has_form or view.request.method == "POST" or not self.source.is_enabled:
            return None
        try:
            return _shared.as_json(view, match[1]) if match[2] else _shared.page(view, match[1])
        except StoreError:
            return error_page(view, 503, "Store unavailable", "Try again in a moment.", is_shared=True)

    def _bears_token(self, view: View) -> bool | ApiToken | Response:
        """The token that the request bears, if it grants it; or the refusal of one that does not."""
        try:
            token = self.access.bears_token(view.request, view.now)
        except StoreError as error:
            return error_page(view, 503, "Store unavailable", str(error))
        if token is False:
            return Response(status=401, headers=(("WWW-Authenticate", "Bearer"),), kind=_PLAIN)
        if isinstance(token, ApiToken) and (refusal := token.refusal(view.request)) is not None:
            return Response(body=f"{refusal}\n".encode(), status=403, kind=_PLAIN)
        return False if token is None else token

    def _page(self, view: View) -> Response:
        request = view.request
        if not self.source.is_enabled:
            text = "Sojourn is disabled here (enabled=False): nothing is recorded."
            return error_page(view, 503, "Sojourn is disabled", text)
        if request.method == "POST":
            form = _FORMS.get(request.path)
            return form(view) if form is not None else self._not_found(view)
        if (page := _PAGES.get(request.path)) is not None:
            return page(view)
        for pattern, named_page in _NAMED_PAGES:
            if (match := pattern.fullmatch(request.path)) is not None:
                return named_page(view, match[1]) or self._not_found(view)
        return self._not_found(view)

    def _not_found(self, view: View) -> Response:
        return error_page(view, 404, "Page not found", "There is no such page. Its data may have been erased.")

    # --- log-in and log-out --------------------------------------------------------------------------------------

    def _log_in(self, view: View) -> Response:
        request = view.request
        if request.method != "POST":
            return _login.form(view)
        guess = request.form.get("password", "")
        outcome = self.access.check(request, guess, view.now)
        if outcome is True:
            cookies = self._log_in_cookies(request, view.now, may_write=self.access.may_write(guess))
            return redirect(_login.next_url(request), cookies=cookies)
        return _login.form(view, problem=outcome)

    def _denied(self, view: View) -> Response:
        request, access = view.request, self.access
        if request.path.startswith("/live/"):
            return Response(body=b"{}", status=401, kind="application/json")
        if access.has_form and request.method == "POST":
            return error_page(view, 403, "Log in first", "Your log-in has expired. Log in, then send the form again.")
        if access.has_form:
            # The browser leaves a strict cookie out when another site's link leads here; a redirect by our own page
            # brings it along.
            if request.header("sec-fetch-site") == "cross-site":
                return view.html("redirect.html", url_here=f"{request.base}{request.here}")
            next_path = None if request.path == "/" else request.here
            return redirect(request.url("/login", next=next_path))
        if access.allow is not None:
            text = "Your app denied access. Log in to it as a user who may see the report."
            return error_page(view, 403, "Access denied", text)
        text = (
            "Open the link that the terminal shows. Each link works once. When it has been used, a new one is printed."
        )
        return error_page(view, 403, "Access denied", text)

    def _log_out(self, view: View, ticket: Ticket) -> Response:
        if view.request.method != "POST":
            return redirect(view.request.url("/"))
        tickets = self.access.tickets
        try:
            tickets.revoke(ticket, view.now)
        except StoreError:
            return error_page(view, 503, "Still logged in", _STILL_LOGGED_IN)
        path, is_https = _cookie_path(view.request), view.request.facts.is_https
        return redirect(view.request.url("/login"), cookies=(tickets.expired_cookie(path=path, is_https=is_https),))

    def _log_in_cookies(self, request: Request, now: int, *, may_write: bool) -> tuple[str, ...]:
        """A new ticket at each log-in, so that one planted before it is worthless (session fixation)."""
        cookie = self._cookie(request, self.access.tickets.new(now, is_in=True, may_write=may_write))
        if self.access.attempts is None:
            return (cookie,)
        path, is_https = _cookie_path(request), request.facts.is_https
        return cookie, self.access.tickets.browser_cookie(now, path=path, is_https=is_https)

    def _cookie(self, request: Request, ticket: Ticket) -> str:
        return self.access.tickets.cookie(ticket, path=_cookie_path(request), is_https=request.facts.is_https)


def path_below(full: str, mounted: str) -> str:
    """The part of a path below the mount; servers differ in whether `full` includes the mount."""
    mounted = mounted.rstrip("/")
    below = full[len(mounted) :] if mounted and (full == mounted or full.startswith(f"{mounted}/")) else full
    return below or "/"


def _cookie_path(request: Request) -> str:
    return request.base or "/"
