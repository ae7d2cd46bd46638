"""`--app`: import an app as its server does, call it if it is a factory, and find the settings of its Sojourn."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any, Final

from sojourn.errors import SojournError

if TYPE_CHECKING:
    from sojourn.settings import Settings

_INNER: Final = (
    "app",
    "_app",
    "application",
    "wrapped",
    "wsgi_app",
    "asgi_app",
    "wsgi",
    "asgi_handler",
    "sojourn",
    "state",
    "ctx",
)
"""Where wrappers keep the app inside them, and apps what stands in front of them."""
_DEEPEST: Final = 12


def settings_of(name: str, *, named_by: str = "--app") -> Settings:
    """The settings of `module:app`, `module:create_app` or `module:create_app("argument")`. Raises `SojournError`."""
    module, _, expression = name.partition(":")
    if not module or not expression:
        msg = f"{named_by}: give module:app, such as shop.main:app or shop:create_app; got {name!r}"
        raise SojournError(msg)
    path, arguments = _parsed(name, expression, named_by)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        with redirect_stdout(sys.stderr):  # standard output is for the command's results
            app: Any = importlib.import_module(module)
            for part in path.split("."):
                app = getattr(app, part)
            if arguments is not None:
                app = app(*arguments[0], **arguments[1])
            elif is_factory(app):
                app = app()
    except SojournError:
        raise
    except Exception as error:
        msg = f"{named_by}: {name} could not be imported: {type(error).__name__}: {error}"
        raise SojournError(msg) from error
    settings = settings_in(app)
    if settings is None:
        msg = f"{named_by}: {name} does not use Sojourn (it is a {type(app).__qualname__})"
        raise SojournError(msg)
    return settings


def _parsed(name: str, expression: str, named_by: str) -> tuple[str, tuple[list[Any], dict[str, Any]] | None]:
    """The dotted path, and the arguments of a call; they are literals, as for Flask and gunicorn."""
    try:
        tree = ast.parse(expression, mode="eval").body
        call = tree if isinstance(tree, ast.Call) else None
        path = ast.unparse(call.func if call is not None else tree)
        if not all(part.isidentifier() for part in path.split(".")):
            raise ValueError
        if call is None:
            return path, None
        positional = [ast.literal_eval(argument) for argument in call.args]
        return path, (positional, {str(word.arg): ast.literal_eval(word.value) for word in call.keywords})
    except (SyntaxError, ValueError):
        msg = f"{named_by}: give module:app or module:create_app(), with strings, numbers or None as arguments; got {name!r}"
        raise SojournError(msg) from None


def is_factory(app: object) -> bool:
    """Whether it is a function that can be called without arguments; an app is called with some."""
    if not inspect.isroutine(app) or inspect.iscoroutinefunction(app):
        return False
    try:
        inspect.signature(app).bind()
    except (TypeError, ValueError):
        return False
    return True


def settings_in(app: object) -> Settings | None:
    """The settings of the Sojourn in front of an app, in it, or in what the app is wrapped in."""
    from sojourn.engine import Engine
    from sojourn.settings import Settings

    level, seen = [app], {id(app)}
    for _ in range(_DEEPEST):
        for each in level:
            engine = each if isinstance(each, Engine) else _read(each, "engine")
            if isinstance(engine, Engine):
                return engine.settings
            if isinstance(each, Settings):
                return each
        level = [inner for each in level for inner in _inside(each) if id(inner) not in seen]
        seen.update(map(id, level))
    return None


def _inside(app: object) -> Iterator[object]:
    for name in _INNER:
        if (inner := _read(app, name)) is not None and not isinstance(inner, str | int):
            yield inner
    for holder in (_read(app, "extensions"), _read(app, "registry")):  # Flask and Quart; Pyramid
        if isinstance(holder, dict) and "sojourn" in holder:
            yield holder["sojourn"]
    plugins = _read(app, "plugins")  # Litestar
    if isinstance(plugins, Iterable):
        yield from plugins
    for entry in _read(app, "user_middleware") or ():  # Starlette's add_middleware
        kwargs = _read(entry, "kwargs")
        if isinstance(kwargs, dict):
            yield from (kwargs[name] for name in ("engine", "settings") if kwargs.get(name) is not None)


def _read(app: object, name: str) -> Any:
    try:
        return getattr(app, name, None)
    except Exception:  # noqa: BLE001 - an attribute of an app may run anything
        return None
