"""What Sojourn reads of Django's request and response. Loads nothing: no user, no session, no `Vary`."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.utils.functional import LazyObject, empty  # type: ignore[import-untyped]

from sojourn.asgi import AsgiFacts
from sojourn.tracking.facts import RequestFacts
from sojourn.tracking.forwarded import Proxies
from sojourn.tracking.principal import UNKNOWN, Principal, User
from sojourn.wsgi import WsgiFacts


class _OfWsgi(WsgiFacts):
    """The facts of a `WSGIRequest`."""

    __slots__ = ("_request",)

    def __init__(self, request: Any, proxies: Proxies) -> None:
        super().__init__(request.environ, proxies)
        self._request = request
        self.is_https = self.is_https or request.is_secure()

    def route(self) -> str | None:
        return route_of(self._request)

    def framework_request(self) -> Any:
        return self._request

    def principal(self) -> Principal:
        principal = loaded_user(self._request)
        return super().principal() if principal is UNKNOWN else principal


class _OfAsgi(AsgiFacts):
    """The facts of an `ASGIRequest`."""

    __slots__ = ("_django",)

    def __init__(self, request: Any, proxies: Proxies) -> None:
        super().__init__(request.scope, proxies)
        self._django = request
        self.is_https = self.is_https or request.is_secure()

    def route(self) -> str | None:
        return route_of(self._django)

    def framework_request(self) -> Any:
        return self._django

    def principal(self) -> Principal:
        principal = loaded_user(self._django)
        return super().principal() if principal is UNKNOWN else principal


def facts_of(request: Any, proxies: Proxies) -> RequestFacts:
    """The facts of a request that came by WSGI or ASGI. `SECURE_PROXY_SSL_HEADER` counts for its scheme."""
    return _OfAsgi(request, proxies) if hasattr(request, "scope") else _OfWsgi(request, proxies)


def place_of(request: Any) -> dict[str, Any] | None:
    """The scope or the environ that a request was made of; `None` for one that no server made."""
    place: dict[str, Any] | None = getattr(request, "scope", None)
    return getattr(request, "environ", None) if place is None else place


def mounted_path(request: Any) -> tuple[str, str]:
    """The path as the server gave it, and where the project is mounted."""
    if hasattr(request, "scope"):
        return request.scope.get("path", ""), request.scope.get("root_path", "")
    return request.environ.get("PATH_INFO", ""), request.environ.get("SCRIPT_NAME", "")


def loaded_user(request: Any) -> Principal:
    """The user that Django has loaded. Reading `request.user` would query, and set `Vary: Cookie`."""
    attributes = vars(request)
    user = attributes.get("user")
    if user is None or issubclass(type(user), LazyObject):  # by its real type: a lazy object claims its user's class
        loaded = empty if user is None else vars(user).get("_wrapped", empty)
        user = loaded if loaded is not empty else attributes.get("_cached_user", attributes.get("_acached_user"))
    if user is None:
        return UNKNOWN
    if not getattr(user, "is_authenticated", False):
        return None
    key = getattr(user, "pk", None)
    if key is None:
        return UNKNOWN
    get_username = getattr(user, "get_username", None)
    name = str(get_username()) if callable(get_username) else None
    return User(key if isinstance(key, str | int | UUID) else str(key), name)


def route_of(request: Any) -> str | None:
    """The matched route as a template: `/articles/<int:year>/`. `None` where no route has matched."""
    match = getattr(request, "resolver_match", None)
    route = None if match is None else match.route
    return _template(route) if isinstance(route, str) else None


@lru_cache(1024)
def _template(route: str) -> str:
    """A route as Django writes paths. A pattern of `re_path()` becomes a path with its groups' names."""
    if "(" in route or "^" in route or "$" in route or "\\" in route:
        from django.contrib.admindocs import utils  # type: ignore[import-untyped]  # what Django's own documentation shows

        for step in (
            utils.remove_non_capturing_groups,
            utils.replace_named_groups,
            utils.replace_unnamed_groups,
            utils.replace_metacharacters,
        ):
            route = step(route)
    return f"/{route.lstrip('/')}"


class DjangoResponse:
    """The facts of an `HttpResponse` (see `facts.ResponseFacts`)."""

    __slots__ = ("_response", "status")

    def __init__(self, response: Any) -> None:
        self._response = response
        self.status: int = response.status_code

    def header(self, name: str) -> str:
        value = self._response.headers.get(name)
        return "" if value is None else str(value)

    def names(self) -> Iterable[str]:
        return [name.lower() for name in self._response.headers]
