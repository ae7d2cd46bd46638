"""Principals of the real frameworks: read at the response start, never waking anything (no query, no `Vary`)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import flask
import flask_login  # type: ignore[import-untyped]
import httpx
import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from sojourn import UNKNOWN, Event, Settings, User
from sojourn.engine import Engine
from sojourn.flask import Sojourn as FlaskSojourn
from sojourn.starlette import Sojourn as StarletteSojourn
from sojourn.testing import ManualClock, MemoryBackend

KEY = "a key that only these tests use"


class Watch:
    """An engine and what it forwarded."""

    def __init__(self, **settings: Any) -> None:
        self.backend = MemoryBackend()
        given: dict[str, Any] = {"secret_key": KEY, "store": "memory:", "backends": [self.backend], **settings}
        self.engine = Engine(Settings(**given), clock=ManualClock())

    def users(self) -> list[str | None]:
        """The user of each page view."""
        self.engine.flush()
        return [event.user_id for event in self.events("page_view")]

    def events(self, name: str) -> list[Event]:
        self.engine.flush()
        return [event for event in self.backend.events if event.name == name]


class AccountModel(BaseModel):
    id: int


@pytest.fixture
def watch() -> Iterator[Watch]:
    made = Watch()
    yield made
    made.engine.close()


@pytest.mark.parametrize(
    ("put", "user"),
    [
        pytest.param("ada", "ada", id="text"),
        pytest.param(7, "7", id="a number"),
        pytest.param({"sub": "7", "name": "Ada"}, "7", id="claims"),
        pytest.param(User("7", "Ada"), "7", id="a User"),
        pytest.param(None, None, id="anonymous"),
        pytest.param(SimpleNamespace(id=7, name="Ada"), "7", id="an object"),
        pytest.param(AccountModel(id=7), "7", id="a model of pydantic"),
    ],
)
def test_what_a_fastapi_dependency_found(watch: Watch, put: object, user: str | None) -> None:
    app = FastAPI()

    def who(request: Request) -> object:
        request.state.user = put
        return put

    @app.get("/", response_class=HTMLResponse, dependencies=[Depends(who)])
    def page() -> str:
        return "<p>hello</p>"

    StarletteSojourn(app, engine=watch.engine)
    _open(app)
    assert watch.users() == [user]


def _open(app: Any) -> httpx.Response:
    import asyncio

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://site.example") as client:
            return await client.get("/")

    return asyncio.run(ask())


class Account(flask_login.UserMixin):  # type: ignore[misc]
    def __init__(self, name: str) -> None:
        self.id = name


@pytest.fixture
def shop(watch: Watch) -> tuple[flask.Flask, list[str]]:
    """A Flask app with Flask-Login; the list holds the ids its loader was called with."""
    app = flask.Flask("shop")
    app.secret_key = KEY
    manager = flask_login.LoginManager(app)
    asked: list[str] = []

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load(name: str) -> Account:
        asked.append(name)
        return Account(name)

    @app.get("/login")
    def login() -> str:
        flask_login.login_user(Account("ada"))
        return "in"

    @app.get("/logout")
    def logout() -> str:
        flask_login.logout_user()
        return "out"

    @app.get("/plain")
    def plain() -> str:
        return "plain"

    FlaskSojourn(app, engine=watch.engine)
    return app, asked


def test_flask_login_is_read_without_loading_the_user_and_without_a_vary_of_ours(
    watch: Watch, shop: tuple[flask.Flask, list[str]]
) -> None:
    app, asked = shop
    browser = app.test_client()
    browser.get("/login")
    asked.clear()
    with_sojourn = browser.get("/plain")
    assert asked == []
    door, app.wsgi_app = app.wsgi_app, app.wsgi_app.app  # type: ignore[method-assign, attr-defined]
    without = browser.get("/plain")
    app.wsgi_app = door  # type: ignore[method-assign]
    assert with_sojourn.headers.get_all("Vary") == without.headers.get_all("Vary")
    browser.get("/logout")
    browser.get("/plain")
    assert watch.users() == ["ada", "ada", None, None]
    assert len(watch.events("session.start")) == 1


def test_another_flask_login_user_is_a_user_change(watch: Watch, shop: tuple[flask.Flask, list[str]]) -> None:
    app, _ = shop

    @app.get("/other")
    def other() -> str:
        flask_login.login_user(Account("bob"))
        return "in"

    browser = app.test_client()
    for path in ("/login", "/logout", "/other"):
        browser.get(path)
    first, second = watch.events("session.start")
    (end,) = watch.events("session.end")
    assert (end.user_id, end.attributes["session.end_reason"]) == ("ada", "user_changed") or end.user_id is None
    assert second.previous_id == first.session_id
    assert watch.users() == ["ada", None, "bob"]


@pytest.mark.parametrize(
    ("opens", "user"), [pytest.param(True, "7", id="opened by the app"), pytest.param(False, None, id="left alone")]
)
def test_a_user_id_in_flasks_session_counts_if_the_app_has_opened_it(
    watch: Watch, opens: bool, user: str | None
) -> None:
    app = flask.Flask("shop")
    app.secret_key = KEY

    @app.get("/login")
    def login() -> flask.Response:
        flask.session["user_id"] = 7
        return flask.Response("in", content_type="text/plain")

    @app.get("/")
    def page() -> str:
        return f"hello {flask.session['user_id']}" if opens else "hello"

    FlaskSojourn(app, engine=watch.engine)
    browser = app.test_client()
    if not opens:
        with browser.session_transaction() as session:
            session["user_id"] = 7
    else:
        browser.get("/login")
    response = browser.get("/")
    assert ("Vary" in response.headers) is opens
    assert watch.users() == [user]


@pytest.mark.parametrize(
    ("said", "user"),
    [("ada", "ada"), (7, "7"), (User("7"), "7"), (None, None), (UNKNOWN, None), (ValueError("no"), None)],
    ids=["text", "number", "User", "anonymous", "unknown", "an error"],
)
def test_the_apps_own_callable_gets_flasks_request_inside_its_context(said: object, user: str | None) -> None:
    seen: list[str] = []

    def who(request: Any) -> object:
        seen.append(f"{request.endpoint} {flask.current_app.name}")
        if isinstance(said, Exception):
            raise said
        return said

    watch = Watch(principal=who)
    app = flask.Flask("shop")
    app.add_url_rule("/", "home", lambda: "hello")
    FlaskSojourn(app, engine=watch.engine)
    assert app.test_client().get("/").status_code == 200
    assert seen == ["home shop"]
    assert watch.users() == [user]
    assert watch.engine.guard.counters().get("principal_error", 0) == isinstance(said, Exception)
    watch.engine.close()


DJANGO = """
import sys, os, asyncio
from django.conf import settings
settings.configure(
    SECRET_KEY="k" * 50, DEBUG=False, ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "sojourn.django.SojournMiddleware",
    ],
)
import django
django.setup()
from django.core.management import call_command
call_command("migrate", verbosity=0)
from django.contrib.auth import get_user_model, login
from django.db import connection, reset_queries
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import path

def sign_in(request):
    login(request, get_user_model().objects.get(username="ada"), backend="django.contrib.auth.backends.ModelBackend")
    return HttpResponse("in")

urlpatterns = [
    path("login", sign_in),
    path("plain", lambda request: HttpResponse("plain")),
    path("looks", lambda request: HttpResponse(f"hello {request.user.username}")),
]
ada = get_user_model().objects.create_user("ada")
from django.core.wsgi import get_wsgi_application
from sojourn import Settings
from sojourn.engine import Engine
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.wsgi import SojournMiddleware
import httpx
backend = MemoryBackend()
engine = Engine(Settings(secret_key="k" * 20, store="memory:", backends=[backend]), clock=ManualClock())
client = httpx.Client(transport=httpx.WSGITransport(SojournMiddleware(get_wsgi_application(), engine=engine)), base_url="http://a.example")
client.get("/login")
for page in ("/plain", "/looks"):
    with CaptureQueriesContext(connection) as queries:
        response = client.get(page)
    print(page, len(queries), response.headers.get("vary"))
engine.flush()
print([event.user_id for event in backend.events if event.name == "user.identify"], str(ada.pk))
print([bool(event.user_id) for event in backend.events if event.name == "page_view"])
"""


def test_django_reports_a_loaded_user_and_never_loads_one_for_us(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DJANGO, str(tmp_path / "django.db")], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    plain, looks, identified, seen = done.stdout.strip().splitlines()
    assert plain == "/plain 0 None"
    assert looks.startswith("/looks 2 ")  # Django's own: the session and the user
    assert identified == "['1'] 1"
    assert seen == "[True, True, True]"
