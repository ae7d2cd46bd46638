"""Sojourn for Starlette and FastAPI: the ASGI middleware, outermost, to see responses to unhandled errors too."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.routing import Mount

from .asgi import ASGIApp, SojournMiddleware
from .extension import engine_of
from .settings import Settings
from .tracking.frameworks import USER_KEY, Framework
from .tracking.principal import UNKNOWN, Principal, of_object, to_principal
from .tracking.visit import active_visit
from .tracking.wrong_doors import check_is

if TYPE_CHECKING:
    from .engine import Engine

__all__ = ["Sojourn", "SojournMiddleware", "identified"]


class Sojourn:
    """Put Sojourn in front of a Starlette or FastAPI app; go on serving `app`.

    `settings=None` reads `SOJOURN_*` from the environment. The engine is at `app.state.sojourn.engine`.
    """

    def __init__(self, app: Starlette, settings: Settings | None = None, *, engine: Engine | None = None) -> None:
        check_is(app, Starlette, __name__)
        self.engine = engine_of(settings, engine)
        self._app = app
        app.state.sojourn = self
        build = app.build_middleware_stack
        if app.middleware_stack is not None:  # already serving: wrap what is there
            app.middleware_stack = self._wrap(app.middleware_stack)

        def build_with_sojourn() -> ASGIApp:
            return self._wrap(build())

        app.build_middleware_stack = build_with_sojourn  # type: ignore[method-assign]

    def mount_report(
        self,
        path: str = "/_sojourn",
        *,
        password: str | None = None,
        token: str | None = None,
        allow: Callable[[Any], Any] | None = None,
    ) -> None:
        """Serve the report at `path`, before the app's own routes. Pass one of `password`, `token` and `allow`.

        `allow`, sync or async, gets the `Request` and returns whether its user may see the report. Raises `SettingsError`
        without any of the three.
        """
        from .report import report  # loads templates: only where the report is used

        page = report(self.engine, password=password, token=token, allow=allow)
        self._app.router.routes.insert(0, Mount(path.rstrip("/"), app=page, name="sojourn_report"))

    def _wrap(self, app: ASGIApp) -> SojournMiddleware:
        return SojournMiddleware(app, engine=self.engine, framework=_Starlette())


class _Starlette(Framework):
    """Its scope holds the route and the user; see `AsgiFacts`."""

    def request(self, scope: Any) -> HTTPConnection:
        return Request(scope) if scope["type"] == "http" else HTTPConnection(scope)


def identified(dependency: Callable[..., Any], user: Callable[[Any], object] | None = None) -> Callable[..., Any]:
    """Make a FastAPI dependency that returns what `dependency` returns, and makes it the user of the session.

    Use it where you use yours: `Depends(identified(get_current_user))`. The user's `id`, `user_id` or `sub` counts; `user`
    turns the result into a `sojourn.User`, an id, `None` (not logged in) or `UNKNOWN`, where there is none of them.
    """
    from fastapi import Depends  # not installed with every Starlette

    async def name_user(connection: HTTPConnection, account: Any = Depends(dependency)) -> Any:  # noqa: B008 - FastAPI's
        visit = active_visit.get()
        if visit is not None:
            principal = visit.guard.guarded(UNKNOWN, _principal_of, account, user)
            if principal is UNKNOWN and user is None:
                kind = type(account).__name__
                text = f"identified(): a {kind} has no id, user_id or sub; pass user=, which returns its id"
                visit.guard.warn_once(f"identified {kind}", text)
            connection.scope[USER_KEY] = principal
        return account

    return name_user


def _principal_of(account: Any, user: Callable[[Any], object] | None) -> Principal:
    return of_object(account) if user is None or account is None else to_principal(user(account))
