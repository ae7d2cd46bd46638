"""`--app` finds the settings of an app: made by a factory, wrapped, and of every framework."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix

from sojourn import Engine, Settings
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.cli import _apps
from sojourn.errors import SojournError
from sojourn.flask import Sojourn as FlaskSojourn
from sojourn.testing import ManualClock
from tests.frameworks.matrix import ROWS, Row

KEY = "a key that only these tests use"
MODULE = "an_app_that_commands_look_for"
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
]


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(Settings(secret_key=KEY, store="memory:"), clock=ManualClock()) as engine:
        yield engine


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    made = ModuleType(MODULE)
    monkeypatch.setitem(sys.modules, MODULE, made)
    return made


def door(engine: Engine) -> AsgiDoor:
    return AsgiDoor(Starlette(), engine=engine)


@pytest.mark.parametrize(
    "expression",
    ["app", "create_app", "create_app()", "configured('test')", "configured(name='test')", "shop.app", "Shop.create"],
)
def test_app_may_be_made_by_a_factory(module: ModuleType, engine: Engine, expression: str) -> None:
    def configured(name: str) -> Any:
        assert name == "test"
        return door(engine)

    class Shop:
        @staticmethod
        def create() -> Any:
            return door(engine)

    vars(module).update(
        app=door(engine),
        create_app=lambda config=None: door(engine),
        configured=configured,
        shop=SimpleNamespace(app=door(engine)),
        Shop=Shop,
    )
    assert _apps.settings_of(f"{MODULE}:{expression}") is engine.settings


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shop", "give module:app"),
        (f"{MODULE}:", "give module:app"),
        (f"{MODULE}:create_app(1", "module:create_app"),
        (f"{MODULE}:create_app(os.environ)", "strings, numbers or None"),
        (f"{MODULE}:[0]", "module:create_app"),
        (f"{MODULE}:missing", "AttributeError"),
        ("no_such_module_of_ours:app", "ModuleNotFoundError"),
        (f"{MODULE}:needs", "does not use Sojourn"),
        (f"{MODULE}:needs()", "TypeError"),
        (f"{MODULE}:fails", "could not be imported: RuntimeError"),
        (f"{MODULE}:plain", "does not use Sojourn"),
    ],
)
def test_bad_app_says_what_is_wrong(module: ModuleType, name: str, message: str) -> None:
    def fails() -> None:
        raise RuntimeError

    vars(module).update(
        needs=lambda environ, start_response: [], fails=fails, plain=Starlette(), create_app=lambda: None
    )
    with pytest.raises(SojournError, match=message):
        _apps.settings_of(name)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_framework_is_found(row: Row, engine: Engine) -> None:
    assert _apps.settings_in(row.make(engine)) is engine.settings


def test_wrapped_apps_are_found(engine: Engine) -> None:
    assert _apps.settings_in(GZipMiddleware(CORSMiddleware(door(engine)))) is engine.settings
    inner = Starlette()
    inner.add_middleware(AsgiDoor, engine=engine)
    assert _apps.settings_in(GZipMiddleware(inner)) is engine.settings
    inner = Starlette()
    inner.add_middleware(AsgiDoor, settings=engine.settings)
    assert _apps.settings_in(inner) is engine.settings
    import flask

    site = flask.Flask("shop")
    FlaskSojourn(site, engine=engine)
    assert _apps.settings_in(ProxyFix(site)) is engine.settings


def test_circle_of_wrappers_ends() -> None:
    one, two = SimpleNamespace(), SimpleNamespace()
    one.app, two.app = two, one
    assert _apps.settings_in(one) is None
