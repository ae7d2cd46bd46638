"""The wrong door for an app, and names that are guessed: each error names the right one, when the app is made."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import flask
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

import sojourn
from sojourn import Settings
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.blacksheep import Sojourn as BlackSheepSojourn
from sojourn.bottle import Sojourn as BottleSojourn
from sojourn.engine import Engine
from sojourn.falcon import Sojourn as FalconSojourn
from sojourn.flask import Sojourn as FlaskSojourn
from sojourn.litestar import SojournPlugin
from sojourn.quart import Sojourn as QuartSojourn
from sojourn.sanic import Sojourn as SanicSojourn
from sojourn.starlette import Sojourn as StarletteSojourn
from sojourn.testing import ManualClock
from sojourn.tracking.wrong_doors import INTEGRATIONS
from sojourn.wsgi import SojournMiddleware as WsgiDoor

INTEGRATED: list[Callable[..., Any]] = [QuartSojourn, FalconSojourn, BottleSojourn, BlackSheepSojourn, SanicSojourn]


@pytest.fixture
def engine() -> Engine:
    return Engine(Settings(enabled=False), clock=ManualClock())


def wsgi_app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    raise NotImplementedError


async def asgi_app(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


async def with_more(more: Any, scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


def any_app(*arguments: Any) -> Any:
    raise NotImplementedError


class Shop(FastAPI):
    """A subclass of a user's."""


@pytest.mark.parametrize(
    ("door", "make", "right"),
    [
        pytest.param(WsgiDoor, lambda: asgi_app, "from sojourn.asgi import SojournMiddleware", id="asgi in wsgi"),
        pytest.param(WsgiDoor, Shop, "from sojourn.starlette import Sojourn`", id="FastAPI in wsgi"),
        pytest.param(AsgiDoor, lambda: wsgi_app, "from sojourn.wsgi import SojournMiddleware", id="wsgi in asgi"),
        pytest.param(AsgiDoor, lambda: flask.Flask("x"), "from sojourn.flask import Sojourn`", id="Flask in asgi"),
        pytest.param(FlaskSojourn, FastAPI, "from sojourn.starlette import Sojourn`", id="FastAPI in flask"),
        pytest.param(StarletteSojourn, lambda: flask.Flask("x"), "sojourn.flask", id="Flask in starlette"),
        pytest.param(StarletteSojourn, lambda: asgi_app, "sojourn.asgi", id="an ASGI app in starlette"),
        pytest.param(FlaskSojourn, lambda: wsgi_app, "sojourn.wsgi", id="a WSGI app in flask"),
        pytest.param(FlaskSojourn, lambda: "shop:app", "needs a flask app", id="a name"),
        *(
            pytest.param(
                door,
                make,
                f"{door.__module__} is not for .* use `from {right} import Sojourn",
                id=f"{right} in {door.__module__}",
            )
            for door in INTEGRATED
            for make, right in ((FastAPI, "sojourn.starlette"), (lambda: flask.Flask("x"), "sojourn.flask"))
        ),
        *(
            pytest.param(door, lambda: None, "needs a .* app, not None", id=f"None in {door.__module__}")
            for door in INTEGRATED
            if door is not BottleSojourn and door is not QuartSojourn
        ),
    ],
)
def test_the_wrong_door_names_the_right_one(
    engine: Engine, door: Callable[..., Any], make: Callable[[], Any], right: str
) -> None:
    with pytest.raises(TypeError, match=right):
        door(make(), engine=engine)


@pytest.mark.parametrize(
    ("door", "make"),
    [
        pytest.param(AsgiDoor, lambda: asgi_app, id="asgi"),
        pytest.param(AsgiDoor, lambda: any_app, id="any arguments as asgi"),
        pytest.param(WsgiDoor, lambda: any_app, id="any arguments as wsgi"),
        pytest.param(AsgiDoor, Starlette, id="Starlette"),
        pytest.param(AsgiDoor, lambda: partial(with_more, 1), id="a partial"),
        pytest.param(WsgiDoor, lambda: wsgi_app, id="wsgi"),
        pytest.param(WsgiDoor, lambda: flask.Flask("x"), id="Flask"),
        pytest.param(StarletteSojourn, Shop, id="a subclass of FastAPI"),
    ],
)
def test_the_right_door_and_what_is_not_certain_pass(
    engine: Engine, door: Callable[..., Any], make: Callable[[], Any]
) -> None:
    door(make(), engine=engine)


@pytest.mark.parametrize("module", sorted({*INTEGRATIONS.values()}))
def test_each_module_that_is_named_is_there(module: str) -> None:
    assert importlib.util.find_spec(module) is not None


@pytest.mark.parametrize("name", ["Sojourn", "SojournMiddleware"])
def test_a_door_guessed_at_the_top_names_the_modules(name: str) -> None:
    with pytest.raises(ImportError, match=r"sojourn\.flask"):
        getattr(sojourn, name)


def test_the_module_guessed_for_fastapi_names_the_right_one() -> None:
    with pytest.raises(ImportError, match=r"from sojourn\.starlette import Sojourn"):
        importlib.import_module("sojourn.fastapi")


@pytest.mark.parametrize(
    ("keyword", "right"),
    [("idle_timout", "idle_timeout"), ("secretkey", "secret_key"), ("backend", "backends"), ("ttl", "")],
)
def test_a_misspelt_keyword_names_the_nearest_setting(keyword: str, right: str) -> None:
    with pytest.raises(TypeError, match=f"{keyword} is not a setting; the nearest is {right}"):
        Settings(**{keyword: "x"})


@pytest.mark.parametrize(
    ("module", "name", "right"),
    [
        ("sojourn.litestar", "Sojourn", r"from sojourn\.litestar import SojournPlugin"),
        ("sojourn.django", "Sojourn", r"sojourn\.django\.SojournMiddleware"),
        ("sojourn.django", "SojournPlugin", r"sojourn\.django\.SojournMiddleware"),
    ],
)
def test_a_class_guessed_in_a_module_names_what_is_there(module: str, name: str, right: str) -> None:
    with pytest.raises(ImportError, match=right):
        getattr(importlib.import_module(module), name)
    with pytest.raises(AttributeError, match="other"):
        importlib.import_module(module).other  # noqa: B018


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: StarletteSojourn(Starlette(), {"idle_timeout": "30m"}), id="a dict"),  # type: ignore[arg-type]
        pytest.param(lambda: FlaskSojourn(flask.Flask("x"), {"idle_timeout": "30m"}), id="a dict in Flask"),  # type: ignore[arg-type]
        pytest.param(lambda: AsgiDoor(asgi_app, Settings), id="the class"),  # type: ignore[arg-type]
        pytest.param(lambda: WsgiDoor(wsgi_app, ""), id="text"),  # type: ignore[arg-type]
        pytest.param(lambda: SojournPlugin(Starlette()), id="an app"),  # type: ignore[arg-type]
    ],
)
def test_settings_that_are_none_are_refused(make: Callable[[], object]) -> None:
    with pytest.raises(
        TypeError, match=r"settings must be a sojourn\.Settings\(\.\.\.\), not (dict|type|str|Starlette)"
    ):
        make()
