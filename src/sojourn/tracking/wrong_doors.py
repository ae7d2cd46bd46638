"""Apps that are handed to the wrong door: noticed when the door is made, with an error that names the right one.

Only what is certain is refused: how many arguments an app takes, and which framework made it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Final, NoReturn

INTEGRATIONS: Final = {
    "blacksheep": "sojourn.blacksheep",
    "bottle": "sojourn.bottle",
    "django": "sojourn.django",
    "falcon": "sojourn.falcon",
    "fastapi": "sojourn.starlette",
    "flask": "sojourn.flask",
    "litestar": "sojourn.litestar",
    "pyramid": "sojourn.pyramid",
    "quart": "sojourn.quart",
    "sanic": "sojourn.sanic",
    "starlette": "sojourn.starlette",
}
"""The module for the apps of a framework, by the framework's package."""
_NAMES: Final = {
    None: "SojournMiddleware",
    "sojourn.django": "SojournMiddleware",
    "sojourn.litestar": "SojournPlugin",
}
"""What to import from it, where that is not `Sojourn`."""
_GUESSES: Final = frozenset({"Sojourn", "SojournMiddleware", "SojournPlugin"})
_ASGI_ARGUMENTS: Final = 3
_WSGI_ARGUMENTS: Final = 2


def check_asgi(app: object) -> None:
    """Raise `TypeError` for what cannot be an ASGI app."""
    _check_not_django_middleware(app)
    if _arguments(app) == _WSGI_ARGUMENTS:
        msg = f"{_shown(app)} is a WSGI app: use `from {_integration(app) or 'sojourn.wsgi'} import {_name(app)}`"
        raise TypeError(msg)


def check_wsgi(app: object) -> None:
    """Raise `TypeError` for what cannot be a WSGI app."""
    _check_not_django_middleware(app)
    if _arguments(app) == _ASGI_ARGUMENTS:
        msg = f"{_shown(app)} is an ASGI app: use `from {_integration(app) or 'sojourn.asgi'} import {_name(app)}`"
        raise TypeError(msg)


def check_is(app: object, kind: type | tuple[type, ...], module: str) -> None:
    """Raise `TypeError` for an app of another framework than this module is for."""
    if isinstance(app, kind):
        return
    other = _integration(app)
    if other is not None and other != module:
        msg = f"{module} is not for {_shown(app)}: use `from {other} import {_name(app)}`"
    else:
        door = "sojourn.wsgi" if _arguments(app) == _WSGI_ARGUMENTS else "sojourn.asgi"
        msg = (
            f"{module} needs a {module.rpartition('.')[2]} app, not {_shown(app)}; around any other app use "
            f"`from {door} import SojournMiddleware`"
        )
    raise TypeError(msg)


def guessed(module: str, right: str) -> Callable[[str], NoReturn]:
    """A `__getattr__` for a module that offers another name than most, which `right` says."""

    def __getattr__(name: str) -> NoReturn:  # noqa: N807 - as modules have it
        if name in _GUESSES:
            raise ImportError(f"{module} has no {name}: {right}", name=module)
        msg = f"module {module!r} has no attribute {name!r}"
        raise AttributeError(msg)

    return __getattr__


def _check_not_django_middleware(app: object) -> None:
    """Django hands `get_response` to the classes in `MIDDLEWARE`."""
    if type(app).__module__ == "asgiref.sync":  # where Django adapts it to a class without `async_capable`
        app = getattr(app, "awaitable", getattr(app, "func", app))
    if getattr(app, "__globals__", {}).get("__name__") == "django.core.handlers.exception":
        msg = (
            "this class goes around a whole project, not into Django's MIDDLEWARE: put "
            '"sojourn.django.SojournMiddleware" there, as the first entry'
        )
        raise TypeError(msg)


def _arguments(app: object) -> int | None:
    """How many arguments a call needs; `None` where that is not certain."""
    if not callable(app):
        return None
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return sum(parameter.kind in positional and parameter.default is parameter.empty for parameter in parameters)


def _integration(app: object) -> str | None:
    """The module for this app's framework, also where the app's class is a subclass of the user's."""
    roots = (base.__module__.partition(".")[0] for base in type(app).__mro__)
    return next((INTEGRATIONS[root] for root in roots if root in INTEGRATIONS), None)


def _name(app: object) -> str:
    return _NAMES.get(_integration(app), "Sojourn")


def _shown(app: object) -> str:
    kind = type(app)
    return f"this {kind.__module__.partition('.')[0]} {kind.__qualname__}" if _integration(app) else repr(app)
