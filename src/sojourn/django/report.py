"""The report inside a Django project: a view that decides for itself who may look."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from asgiref.sync import async_to_sync, sync_to_async
from django.conf import settings as project  # type: ignore[import-untyped]
from django.contrib.auth.views import redirect_to_login  # type: ignore[import-untyped]
from django.core.exceptions import ImproperlyConfigured  # type: ignore[import-untyped]
from django.http import HttpResponse, StreamingHttpResponse  # type: ignore[import-untyped]
from django.shortcuts import resolve_url  # type: ignore[import-untyped]
from django.urls import NoReverseMatch, re_path, reverse  # type: ignore[import-untyped]

from sojourn.report import report_wsgi
from sojourn.report._access import is_async, verdict_of
from sojourn.report._app import Report
from sojourn.report._exclusion import exclude
from sojourn.report._web import Request, Response, base_of
from sojourn.tracking.forwarded import Proxies
from sojourn.tracking.visit import VISIT_KEY

from ._cookies import add_lines
from ._facts import facts_of, place_of
from ._project import get_engine

if TYPE_CHECKING:
    from sojourn.engine import Engine

_NO_AUTH: Final = (
    "Sojourn's report asks for a staff user, and this request has none: add django.contrib.auth and its middleware, or "
    'say who may look: mount_report("/_sojourn", password="...")'
)


def mount_report(
    path: str = "/_sojourn",
    *,
    password: str | None = None,
    token: str | None = None,
    allow: Callable[[Any], Any] | None = None,
) -> Any:
    """The URL pattern of the report at `path`, for `urlpatterns`. Without a `password`, `token` or `allow`: staff users.

    `allow`, sync or async, gets Django's request and returns whether its user may see the report.
    """
    below = re.escape(path.strip("/"))
    return re_path(rf"^{below}(?:/(?P<path>.*))?$", report_view(password, token, allow), name="sojourn_report")


def report_view(
    password: str | None = None, token: str | None = None, allow: Callable[[Any], Any] | None = None
) -> Callable[..., Any]:
    """The report as a view, whose URL captures the rest of the path as `path`."""
    page = _Page(password, token, allow)

    def sojourn_report(request: Any, path: str | None = None) -> Any:
        return page.respond(request, path or "")

    sojourn_report.csrf_exempt = True  # type: ignore[attr-defined]  # its forms have tokens of their own
    sojourn_report.login_required = False  # type: ignore[attr-defined]  # nor does `LoginRequiredMiddleware` decide
    return sojourn_report


class _Page:
    """The report of the project's engine, which a test may replace."""

    def __init__(self, password: str | None, token: str | None, allow: Callable[[Any], Any] | None) -> None:
        self._is_for_staff = password is None and token is None and allow is None
        check: Callable[..., Any] | None = is_staff if self._is_for_staff else allow
        if check is not None and is_async(check):
            check = async_to_sync(check)
        self._access: dict[str, Any] = {"password": password, "token": token, "allow": check}
        self._engine: Engine | None = None
        self._core: Report
        self._proxies: Proxies

    def respond(self, request: Any, path: str) -> Any:
        engine = get_engine()
        if engine is not self._engine:
            self._core = report_wsgi(engine, **self._access).core
            self._proxies = Proxies(engine.settings.trusted_proxies)
            self._engine = engine
        exclude((place_of(request) or {}).get(VISIT_KEY))
        body = request.body if request.method == "POST" else b""
        below = f"/{path}"
        is_allowed = self._verdict(request) if self._core.needs_verdict(below) else None
        if is_allowed is False and self._is_for_staff and not below.startswith("/live/"):
            login_url = _login_url(request)
            if login_url is not None:
                return redirect_to_login(request.get_full_path(), login_url)
        mounted = request.path[: len(request.path) - len(path)]
        asked = Request(
            facts=facts_of(request, self._proxies), base=base_of(mounted), path=below, body=body, is_allowed=is_allowed
        )
        return _to_django(self._core.handle(asked), request)

    def _verdict(self, request: Any) -> bool:
        allow = self._access["allow"]
        return verdict_of(allow(request))


def is_staff(request: Any) -> bool:
    """Whether an active staff user is logged in, as `staff_member_required` asks. Raises `ImproperlyConfigured`."""
    user = getattr(request, "user", None)
    if user is None:
        raise ImproperlyConfigured(_NO_AUTH)
    return bool(user.is_active and user.is_staff)


def _login_url(request: Any) -> str | None:
    """Where to log in: at the admin, else at `LOGIN_URL`. `None` for a user who is logged in, and whom only the admin
    may ask to be another.
    """
    try:
        return str(reverse("admin:login"))
    except NoReverseMatch:
        return None if request.user.is_authenticated else str(resolve_url(project.LOGIN_URL))


def _to_django(response: Response, request: Any) -> Any:
    body = response.body
    if isinstance(body, bytes):
        sent = HttpResponse(b"" if request.method == "HEAD" else body, status=response.status)
    else:
        pieces = _in_threads(body) if hasattr(request, "scope") else body
        sent = StreamingHttpResponse(pieces, status=response.status)
    for name, value in response.header_list():
        if name == "Set-Cookie":
            add_lines(sent, [value])
        else:
            sent.headers[name] = value
    return sent


async def _in_threads(body: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Under ASGI Django would make the whole of a sync body before it sends a byte."""

    def following() -> bytes | None:
        return next(body, None)

    while (piece := await sync_to_async(following, thread_sensitive=False)()) is not None:
        yield piece
