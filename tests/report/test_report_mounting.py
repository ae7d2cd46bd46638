"""`mount_report()` of the Starlette, FastAPI and Flask extensions, behind the app's middleware and log-in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import fastapi
import flask
import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from sojourn import Settings
from sojourn.errors import SettingsError
from sojourn.flask import Sojourn as FlaskSojourn
from sojourn.report import report
from sojourn.starlette import Sojourn
from tests.report.harness import NAVIGATE, PASSWORD

SETTINGS: dict[str, Any] = {"secret_key": "a key that only these tests use", "store": "memory:"}


async def anything(request: Request) -> PlainTextResponse:
    request.session["admin"] = request.query_params.get("admin") == "yes"
    return PlainTextResponse("the app")


def get(app: Any, *paths: str) -> list[httpx.Response]:
    """Request these paths in order, as one browser."""

    async def work() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app.example", headers=NAVIGATE) as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(work())


@pytest.mark.parametrize("make", [Starlette, fastapi.FastAPI])
def test_report_takes_precedence_over_a_catch_all_route(make: Any) -> None:
    app = make(
        routes=[Route("/{rest:path}", anything)], middleware=[Middleware(SessionMiddleware, secret_key="x" * 16)]
    )
    sojourn = Sojourn(app, Settings(**SETTINGS))
    sojourn.mount_report(password=PASSWORD)
    report_page, login, other = get(app, "/_sojourn/", "/_sojourn/login", "/other")
    assert report_page.headers["location"] == "/_sojourn/login"
    assert 'action="/_sojourn/login"' in login.text
    assert other.text == "the app"
    sojourn.engine.flush()
    assert sojourn.engine.stats().store.sessions == 1  # of the other page only
    sojourn.engine.close()


def test_allow_sees_the_session_of_the_apps_middleware() -> None:
    app = Starlette(
        routes=[Route("/{rest:path}", anything)], middleware=[Middleware(SessionMiddleware, secret_key="x" * 16)]
    )
    sojourn = Sojourn(app, Settings(**SETTINGS))
    sojourn.mount_report("/staff/visits/", allow=lambda request: request.session.get("admin") is True)
    before, _, after = get(app, "/staff/visits/", "/?admin=yes", "/staff/visits/sessions")
    assert (before.status_code, after.status_code) == (403, 200)
    assert 'href="/staff/visits/delivery"' in after.text
    sojourn.engine.close()


def test_links_follow_the_root_path_and_nested_mounts() -> None:
    from sojourn.engine import Engine

    engine = Engine(Settings(**SETTINGS))
    inner = Starlette(routes=[Mount("/_sojourn", report(engine, allow=lambda _request: True))])
    outer = Starlette(routes=[Mount("/deep", inner)])

    async def rooted(scope: Any, receive: Any, send: Any) -> None:
        await outer({**scope, "root_path": "/under", "path": f"/under{scope['path']}"}, receive, send)

    (page,) = get(rooted, "/deep/_sojourn/sessions")
    assert 'href="/under/deep/_sojourn/delivery"' in page.text
    engine.close()


def test_mounting_without_access_rules_is_an_error() -> None:
    sojourn = Sojourn(Starlette(), Settings(**SETTINGS))
    with pytest.raises(SettingsError, match="say who may look"):
        sojourn.mount_report()


# --- Flask


@pytest.fixture
def site() -> Iterator[tuple[flask.Flask, FlaskSojourn]]:
    app = flask.Flask(__name__)
    app.secret_key = "a key that only these tests use"
    sojourn = FlaskSojourn(app, Settings(**SETTINGS))

    @app.route("/", defaults={"rest": ""})
    @app.route("/<path:rest>")
    def page(rest: str) -> str:
        flask.session["admin"] = flask.request.args.get("admin") == "yes"
        return f"the app at {rest}"

    yield app, sojourn
    sojourn.engine.close()


def test_flask_report_leaves_the_apps_other_paths_alone(site: tuple[flask.Flask, FlaskSojourn]) -> None:
    app, sojourn = site
    sojourn.mount_report(password=PASSWORD)
    client = app.test_client()
    assert client.get("/_sojourn/", headers=NAVIGATE).headers["location"] == "/_sojourn/login"
    assert client.get("/_sojourn", headers=NAVIGATE).headers["location"] == "/_sojourn/login"
    assert client.get("/_sojournal", headers=NAVIGATE).text == "the app at _sojournal"
    sojourn.engine.flush()
    assert sojourn.engine.stats().store.sessions == 1


def test_flask_allow_has_a_request_context(site: tuple[flask.Flask, FlaskSojourn]) -> None:
    app, sojourn = site
    seen: list[str] = []

    def allow(request: flask.Request) -> bool:
        seen.append(f"{request.script_root} {request.path}")
        return flask.session.get("admin") is True

    sojourn.mount_report("/staff/visits", allow=allow)
    client = app.test_client()
    assert client.get("/staff/visits/", headers=NAVIGATE).status_code == 403
    client.get("/?admin=yes", headers=NAVIGATE)
    page = client.get("/staff/visits/sessions", headers=NAVIGATE)
    assert (page.status_code, 'href="/staff/visits/delivery"' in page.text) == (200, True)
    assert seen == ["/staff/visits /", "/staff/visits /sessions"]


def test_flask_mount_errors_name_the_fix(site: tuple[flask.Flask, FlaskSojourn]) -> None:
    async def later(_request: object) -> bool:
        return True

    _app, sojourn = site
    with pytest.raises(SettingsError, match="Flask cannot await it"):
        sojourn.mount_report(allow=later)
    with pytest.raises(RuntimeError, match="init_app"):
        sojourn.mount_report(app=flask.Flask("another"), password=PASSWORD)
