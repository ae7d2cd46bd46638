"""S5 with the real Flask-Login: what it knows without a query, and what only a query would find."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import flask
import flask_login  # type: ignore[import-untyped]
import pytest

from sojourn import Settings
from sojourn.engine import Engine
from sojourn.flask import Sojourn
from sojourn.testing import ManualClock, MemoryBackend

KEY = "a key that only these tests use"


class Account(flask_login.UserMixin):  # type: ignore[misc]
    """A user of the app."""

    def __init__(self, name: str) -> None:
        self.id = name


class Shop:
    """A Flask app with users; `loads` counts how often Flask-Login had to ask the app for one."""

    def __init__(self, *, tokens: bool) -> None:
        self.app = flask.Flask("shop")
        self.app.secret_key = KEY
        self.loads = 0
        self.backend = MemoryBackend()
        self.engine = Engine(Settings(secret_key=KEY, store="memory:", backends=[self.backend]), clock=ManualClock())
        manager = flask_login.LoginManager(self.app)
        manager.user_loader(self._loaded)
        if tokens:
            manager.request_loader(self._by_token)
        Sojourn(self.app, engine=self.engine)
        for path, view in (
            ("/in", self._log_in),
            ("/out", self._log_out),
            ("/plain", lambda: "plain"),
            ("/looks", lambda: str(flask_login.current_user.is_authenticated)),
            ("/fails", self._fail),
        ):
            self.app.add_url_rule(path, path, view)
        self.app.register_error_handler(KeyError, lambda _: ("handled", 409))

    def user_ids(self) -> list[str | None]:
        self.engine.flush()
        return [event.user_id for event in self.backend.named("user.identify")]

    def _loaded(self, name: str) -> Account:
        self.loads += 1
        return Account(name)

    def _by_token(self, request: flask.Request) -> Account | None:
        name = request.headers.get("x-token")
        return Account(name) if name else None

    def _log_in(self) -> str:
        flask_login.login_user(Account("ada"), remember="remember" in flask.request.args)
        return "in"

    def _log_out(self) -> str:
        flask_login.logout_user()
        return "out"

    def _fail(self) -> str:
        raise RuntimeError("of the view")


@pytest.fixture(params=[False, True], ids=["session only", "tokens too"])
def shop(request: pytest.FixtureRequest) -> Iterator[Shop]:
    made = Shop(tokens=request.param)
    yield made
    made.engine.close()


def test_the_stored_id_is_read_and_no_user_is_loaded(shop: Shop) -> None:
    browser = shop.app.test_client()
    for path in ("/in", "/plain", "/plain"):
        browser.get(path)
    assert (shop.user_ids(), shop.loads) == (["ada"], 0)


def test_a_token_counts_where_the_app_looked_at_it_and_elsewhere_nothing_is_known() -> None:
    shop = Shop(tokens=True)
    browser = shop.app.test_client()
    browser.get("/plain")
    browser.get("/looks", headers={"x-token": "ada"})
    for _ in range(3):
        browser.get("/plain")
    assert shop.user_ids() == ["ada"]
    browser.get("/looks")
    assert shop.user_ids() == ["ada", None]  # it looked, and there was no token
    assert len(shop.backend.named("session.start")) == 1
    shop.engine.close()


def test_a_remembered_user_is_unknown_until_the_app_loads_it(shop: Shop) -> None:
    browser = shop.app.test_client()
    browser.get("/in?remember=1")
    browser.delete_cookie("session")  # the browser was closed
    browser.get("/plain")
    assert shop.user_ids() == ["ada"]
    browser.get("/looks")
    assert shop.user_ids() == ["ada"]
    assert len(shop.backend.named("session.start")) == 1


def test_logging_out_untags(shop: Shop) -> None:
    browser = shop.app.test_client()
    for path in ("/in", "/out", "/looks"):
        browser.get(path)
    assert shop.user_ids() == ["ada", None]


@pytest.mark.parametrize("is_first", [True, False], ids=["on the first page", "in mid-session"])
def test_an_error_that_flask_handles_is_recorded_once(shop: Shop, *, is_first: bool) -> None:
    browser = shop.app.test_client()
    if not is_first:
        browser.get("/plain")
    assert browser.get("/fails").status_code == 500
    shop.engine.flush()
    (error,) = shop.backend.named("exception")
    assert error.attributes["exception.type"] == "RuntimeError"
    assert error.attributes["exception.escaped"] is True
    assert shop.engine.guard.counters() == {}


def test_an_error_that_flask_reraises_is_recorded_once_and_unchanged(shop: Shop) -> None:
    browser = shop.app.test_client()
    browser.get("/plain")
    shop.app.testing = True  # errors propagate to the server
    with pytest.raises(RuntimeError, match="of the view"):
        browser.get("/fails")
    shop.engine.flush()
    assert len(shop.backend.named("exception")) == 1


def test_an_error_that_the_app_handles_is_not_recorded(shop: Shop) -> None:
    def view() -> Any:
        raise KeyError("expected")

    shop.app.add_url_rule("/expected", "expected", view)
    assert shop.app.test_client().get("/expected").status_code == 409
    shop.engine.flush()
    assert shop.backend.named("exception") == []
