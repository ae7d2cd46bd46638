"""The site of these tests in Pyramid, with a security policy."""

from __future__ import annotations

from typing import Any

from pyramid.authentication import AuthTktCookieHelper  # type: ignore[import-untyped]
from pyramid.config import Configurator  # type: ignore[import-untyped]
from pyramid.response import Response  # type: ignore[import-untyped]
from pyramid.security import remember  # type: ignore[import-untyped]

from sojourn import Engine

TOKEN = "a token that only these tests use"


class Policy:
    def __init__(self) -> None:
        self.helper = AuthTktCookieHelper("a key that only these tests use", hashalg="sha512")

    def identity(self, request: Any) -> Any:
        return self.helper.identify(request)

    def authenticated_userid(self, request: Any) -> Any:
        identity = self.identity(request)
        return None if identity is None else identity["userid"]

    def permits(self, request: Any, context: Any, permission: str) -> bool:
        return self.authenticated_userid(request) is not None

    def remember(self, request: Any, userid: Any, **kwargs: Any) -> Any:
        return self.helper.remember(request, userid, **kwargs)

    def forget(self, request: Any, **kwargs: Any) -> Any:
        return self.helper.forget(request, **kwargs)


def home(request: Any) -> Any:
    return Response("<h1>home</h1>")


def login(request: Any) -> Any:
    return Response("<h1>Ada</h1>", headers=remember(request, "ada-7"))


def fails(request: Any) -> Any:
    raise ZeroDivisionError


def make(engine: Engine | None = None) -> Any:
    settings: dict[str, Any] = {"sojourn.engine": engine} if engine is not None else {}
    with Configurator(settings=settings) as config:
        config.set_security_policy(Policy())
        config.include("sojourn.pyramid")
        config.registry["sojourn"].mount_report("/_sojourn", token=TOKEN)
        for name, pattern, view in (
            ("home", "/", home),
            ("item", "/items/{number}", home),
            ("login", "/login", login),
            ("fails", "/fails", fails),
        ):
            config.add_route(name, pattern)
            config.add_view(view, route_name=name)
        return config.make_wsgi_app()


def serve(_settings: Any, **_local: Any) -> Any:
    """The app factory of `pserve`."""
    return make()
