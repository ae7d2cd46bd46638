"""The report: one request in, one answer out. Guards first, then a table of pages. Knows no framework and no server."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sojourn.errors import StoreError

from . import _assets, _delivery, _export, _login, _overview, _profile, _session, _sessions
from ._access import Access, is_own_form
from ._tickets import Ticket
from ._view import Source, View, error_page
from ._web import MAX_BODY, Request, Response, redirect

Page = Callable[[View], Response]
NamedPage = Callable[[View, str], Response]

_PAGES: Final[Mapping[str, Page]] = {
    "/": _overview.overview,
    "/sessions": _sessions.sessions,
    "/sessions.csv": _export.as_csv,
    "/sessions.json": _export.as_json,
    "/users": _profile.user,
    "/visitors": _profile.visitor,
    "/delivery": _delivery.delivery,
    "/live/online": _overview.online,
    "/live/sessions": _sessions.changes,
    "/live/delivery": _delivery.live,
}
_NAMED: Final[tuple[tuple[re.Pattern[str], NamedPage], ...]] = (
    (re.compile(r"/sessions/([A-Za-z0-9-]{1,100})"), _session.session),
    (re.compile(r"/live/sessions/([A-Za-z0-9-]{1,100})"), _session.changes),
    (re.compile(r"/events/([A-Za-z0-9_-]{1,100})"), _session.of_event),
)
_FORMS: Final[Mapping[str, Page]] = {
    "/delivery/try": _delivery.try_now,
    "/delivery/retry": _delivery.retry,
    "/delivery/skip": _delivery.skip,
}
_METHODS: Final = ("GET", "HEAD", "POST")


class Report:
    """All of it, for both adapters. `handle` may block: it reads the store."""

    def __init__(self, source: Source, access: Access) -> None:
        self.source = source
        self.access = access

    def needs_verdict(self, path: str) -> bool:
        """Whether the app's own `allow` is to be asked before `handle` is called with this path."""
        return self.access.allow is not None and not path.startswith("/assets/")

    def handle(self, request: Request) -> Response:
        response = self._handled(request)
        if request.method == "HEAD" and not isinstance(response.body, bytes):
            close = getattr(response.body, "close", None)
            if close is not None:
                close()
            return Response(kind=response.kind, cache=response.cache, headers=response.headers)
        return response

    def _handled(self, request: Request) -> Response:
        now, access = self.source.now(), self.access
        if not access.may_be_asked_by(request.header("host")):
            return Response(
                body=b"This report is not served at this host name.\n", status=421, kind="text/plain; charset=utf-8"
            )
        if request.method not in _METHODS:
            return Response(status=405, headers=(("Allow", ", ".join(_METHODS)),), kind="text/plain; charset=utf-8")
        if request.path.startswith("/assets/"):
            found = _assets.asset(request.path) if request.method != "POST" else None
            return found or Response(body=b"no such file\n", status=404, kind="text/plain; charset=utf-8")
        held = access.ticket(request, now)
        ticket = held or access.tickets.new(now, is_in=False)
        view = View(
            request=request,
            source=self.source,
            now=now,
            form_token=access.tickets.form_token(ticket),
            can_leave=access.allow is None and ticket.is_in,
        )
        response = self._opened(view, held, ticket)
        # A log-in or log-out sets its own; else whoever has none gets one, for the forms of this page.
        if held is None and not response.cookies and response.status < 400 and request.method != "HEAD":
            return replace(response, cookies=(self._line(request, ticket),))
        return response

    def _opened(self, view: View, held: Ticket | None, ticket: Ticket) -> Response:
        request, access = view.request, self.access
        if len(request.body) > MAX_BODY:
            return error_page(view, 413, "Form too large", "This form is larger than any form of the report.")
        bearer = access.bears_token(request)
        if bearer is False:
            return Response(status=401, headers=(("WWW-Authenticate", "Bearer"),), kind="text/plain; charset=utf-8")
        if bearer is None:
            if request.method == "GET" and "key" in request.query and access.exchange(request):
                return redirect(request.url(access.landing), cookies=(self._fresh(request, view.now),))
            if request.method == "POST" and not is_own_form(request, access.tickets, held):
                text = (
                    "The form did not come from a page of this report, or the page was too old. Go back, reload the page and "
                    "send the form again."
                )
                return error_page(view, 403, "Form rejected", text)
            if request.method == "POST" and request.path == "/theme":
                return _login.theme(view)
            if request.path == "/login" and access.has_form and not access.is_in(request, held):
                return self._login(view)
            if not access.is_in(request, held):
                return self._closed(view)
            if request.path in {"/login", "/logout"}:
                return self._leave(view, ticket) if request.path == "/logout" else redirect(request.url("/"))
        try:
            return self._page(view)
        except StoreError as error:
            return error_page(view, 503, "Store unavailable", str(error))

    def _page(self, view: View) -> Response:
        request = view.request
        if not self.source.is_enabled:
            return error_page(
                view, 503, "Sojourn is disabled", "Sojourn is disabled here (enabled=False): nothing is recorded."
            )
        if request.method == "POST":
            form = _FORMS.get(request.path)
            return form(view) if form is not None else self._missing(view)
        if (found := _PAGES.get(request.path)) is not None:
            return found(view)
        for pattern, named in _NAMED:
            if (match := pattern.fullmatch(request.path)) is not None:
                return named(view, match[1])
        return self._missing(view)

    def _missing(self, view: View) -> Response:
        return error_page(
            view, 404, "Page not found", "There is no such page. If it existed, its data may have been erased."
        )

    # --- coming and going ----------------------------------------------------------------------------------------

    def _login(self, view: View) -> Response:
        request = view.request
        if request.method != "POST":
            return _login.form(view)
        answer = self.access.opens(request, request.form.get("password", ""))
        if answer is True:
            return redirect(_login.way_on(request), cookies=(self._fresh(request, view.now),))
        return _login.form(view, problem=answer)

    def _closed(self, view: View) -> Response:
        request, access = view.request, self.access
        if request.path.startswith("/live/"):
            return Response(body=b"{}", status=401, kind="application/json")
        if access.has_form and request.method == "POST":
            return error_page(view, 403, "Log in first", "Your log-in has expired. Log in, then send the form again.")
        if access.has_form:
            # A strict cookie does not come along from another site's link; from a page of ours it does.
            if request.header("sec-fetch-site") == "cross-site":
                return view.html("redirect.html", here=f"{request.base}{request.here}")
            onward = None if request.path == "/" else request.here
            return redirect(request.url("/login", next=onward))
        if access.allow is not None:
            return error_page(
                view, 403, "Access denied", "Your app denied access. Log in to it as a user who may see the report."
            )
        text = (
            "Open the link that the terminal shows. Each link works once. When it has been used, a new one is printed."
        )
        return error_page(view, 403, "Closed", text)

    def _leave(self, view: View, ticket: Ticket) -> Response:
        if view.request.method != "POST":
            return redirect(view.request.url("/"))
        self.access.tickets.leave(ticket)
        path, is_https = _cookie_path(view.request), view.request.facts.is_https
        gone = self.access.tickets.removal(path=path, is_https=is_https)
        return redirect(view.request.url("/login"), cookies=(gone,))

    def _fresh(self, request: Request, now: int) -> str:
        """A new ticket at each log-in: one that somebody planted before is worth nothing."""
        return self._line(request, self.access.tickets.new(now, is_in=True))

    def _line(self, request: Request, ticket: Ticket) -> str:
        return self.access.tickets.line(ticket, path=_cookie_path(request), is_https=request.facts.is_https)


def path_below(full: str, mounted: str) -> str:
    """What of a request's path lies below the mount; servers differ in whether `full` still has the mount in it."""
    mounted = mounted.rstrip("/")
    below = full[len(mounted) :] if mounted and (full == mounted or full.startswith(f"{mounted}/")) else full
    return below or "/"


def _cookie_path(request: Request) -> str:
    return request.base or "/"
