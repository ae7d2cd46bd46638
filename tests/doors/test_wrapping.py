"""Both doors stand in for the app that they wrap: called as it is called, and with its attributes."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.wsgi import SojournMiddleware as WsgiDoor
from tests.doors.browser import Browser, Site

DOORS = {"asgi": AsgiDoor, "wsgi": WsgiDoor}


class App:
    """An app with attributes of its own, a special method among them."""

    engine = "the app's own engine"

    def __init__(self) -> None:
        self.state = {"ready": True}
        self._private = "kept"

    def __len__(self) -> int:
        return 3

    def __getstate__(self) -> dict[str, Any]:
        return {"state": "pickled"}

    def __call__(self, *_: Any) -> Any:
        raise NotImplementedError


@pytest.fixture(params=["asgi", "wsgi"])
def protocol(request: pytest.FixtureRequest) -> str:
    """Those that wrap an app."""
    return str(request.param)


@pytest.fixture
def door(site: Site) -> Any:
    return DOORS[site.protocol](App(), engine=site.engine)


def test_unknown_attributes_are_the_apps(door: Any) -> None:
    assert door.state == {"ready": True}
    assert door._private == "kept"
    door.state["ready"] = False
    assert door.app.state == {"ready": False}


def test_own_attributes_come_before_the_apps(door: Any, site: Site) -> None:
    assert door.engine is site.engine


def test_attributes_that_neither_has_are_an_attribute_error(door: Any) -> None:
    assert not hasattr(door, "nothing")
    with pytest.raises(AttributeError, match="'App' object has no attribute 'nothing'"):
        _ = door.nothing


def test_special_methods_are_never_the_apps(door: Any) -> None:
    assert not hasattr(door, "__len__")
    assert door


def test_a_door_without_init_has_no_attributes(site: Site) -> None:
    cls: Any = DOORS[site.protocol]
    bare = cls.__new__(cls)
    assert not hasattr(bare, "app")
    assert not hasattr(bare, "state")


def test_a_copy_serves_its_own_app(site: Site) -> None:
    original, served = site.door, []
    twin = copy.copy(original)
    app = original.app

    def counted(*arguments: Any) -> Any:
        served.append(arguments)
        return app(*arguments)

    twin.app = counted
    site.door = twin
    assert Browser(site).navigate().status == 200
    assert len(served) == 1
    assert copy.copy(twin).app is counted
    if site.protocol == "asgi":
        assert twin.__call__.__self__ is twin


@pytest.mark.filterwarnings(
    "ignore:Pickle, copy, and deepcopy support:DeprecationWarning"
)  # of itertools, 3.12 and 3.13
def test_pickling_fails_with_pythons_own_words(door: Any) -> None:
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(door)


def test_signatures_are_the_protocols(door: Any, site: Site) -> None:
    names = list(inspect.signature(door).parameters)
    assert names[:2] == (["scope", "receive"] if site.protocol == "asgi" else ["environ", "start_response"])
