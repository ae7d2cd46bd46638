"""Starlette, FastAPI and Flask as their users use them: helpers work wherever their code runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import flask
import httpx
import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import HTMLResponse as FastHTML
from starlette.applications import Starlette
from starlette.authentication import AuthCredentials, AuthenticationBackend, SimpleUser, UnauthenticatedUser
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from sojourn import Settings, current_session, end_session, identify, track
from sojourn.asgi import SojournMiddleware as AsgiDoor
from sojourn.engine import Engine
from sojourn.flask import Sojourn as FlaskSojourn
from sojourn.starlette import Sojourn as StarletteSojourn
from sojourn.testing import ManualClock, MemoryBackend
from sojourn.wsgi import SojournMiddleware as WsgiDoor
from tests.doors.asgi_calls import call

KEY = "a key that only these tests use"


class Behind:
    """An engine in memory and what it forwarded."""

    def __init__(self, **settings: Any) -> None:
        self.backend = MemoryBackend()
        self.settings = Settings(secret_key=KEY, store="memory:", backends=[self.backend], **settings)
        self.engine = Engine(self.settings, clock=ManualClock())

    def events(self, name: str) -> list[Any]:
        self.engine.flush()
        return self.backend.named(name)

    def tracked(self) -> list[str]:
        self.engine.flush()
        ours = ("session.", "user.", "page_view", "connection.")
        assert len({event.session_id for event in self.backend.events}) <= 1
        return sorted(event.name for event in self.backend.events if not event.name.startswith(ours))


@pytest.fixture
def behind() -> Iterator[Behind]:
    made = Behind()
    yield made
    made.engine.close()


async def ask(app: Any, *paths: str, **kwargs: Any) -> list[httpx.Response]:
    """Open these pages of an ASGI app; an exception in the app becomes a 500 response."""
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://site.test", **kwargs) as client:
        return [await client.get(path) for path in paths]


def open_pages(app: Any, *paths: str, **kwargs: Any) -> list[httpx.Response]:
    return asyncio.run(ask(app, *paths, **kwargs))


def starlette_app(**kwargs: Any) -> Starlette:
    tasks: set[asyncio.Task[None]] = set()

    async def in_async(request: Request) -> Response:
        track("async")
        return HTMLResponse("x")

    def in_threadpool(request: Request) -> Response:
        track("threadpool")
        return HTMLResponse("x")

    async def later() -> None:
        await asyncio.sleep(0)
        track("task")

    async def in_background(request: Request) -> Response:
        task = asyncio.create_task(later())
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return HTMLResponse("x", background=BackgroundTask(track, "background"))

    async def in_stream(request: Request) -> Response:
        async def pieces() -> AsyncIterator[str]:
            for number in range(2):
                track(f"stream {number}")
                yield "x"

        return StreamingResponse(pieces(), media_type="text/html")

    async def fails(request: Request) -> Response:
        track("failing")
        raise RuntimeError

    async def settles(request: Request) -> Response:
        await asyncio.gather(*tasks)
        return Response()

    async def item(request: Request) -> Response:
        return HTMLResponse("x")

    return Starlette(
        routes=[
            Route("/async", in_async),
            Route("/threadpool", in_threadpool),
            Route("/background", in_background),
            Route("/stream", in_stream),
            Route("/fails", fails),
            Route("/settles", settles),
            Mount("/shop", routes=[Route("/items/{number}", item)]),
        ],
        **kwargs,
    )


EVERYWHERE = ["/async", "/threadpool", "/background", "/stream", "/settles"]
ALL = ["async", "background", "stream 0", "stream 1", "task", "threadpool"]


class PassesOn(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next: Any) -> Response:
        response: Response = await call_next(request)
        return response


@pytest.mark.parametrize("how", ["Sojourn", "outermost", "add_middleware", "inside BaseHTTPMiddleware", "around it"])
def test_helpers_work_everywhere_in_starlette(behind: Behind, how: str) -> None:
    app = starlette_app()
    served: Any = app
    if how == "Sojourn":
        assert StarletteSojourn(app, engine=behind.engine).engine is app.state.sojourn.engine
    elif how == "outermost":
        served = AsgiDoor(app, engine=behind.engine)
    elif how == "inside BaseHTTPMiddleware":
        app.add_middleware(AsgiDoor, engine=behind.engine)
        app.add_middleware(PassesOn)
    else:
        if how == "around it":
            app.add_middleware(PassesOn)
        app.add_middleware(AsgiDoor, engine=behind.engine)
    responses = open_pages(served, *EVERYWHERE)
    assert {response.status_code for response in responses} == {200}
    assert behind.tracked() == ALL
    assert len(behind.events("session.start")) == 1


def test_the_response_to_an_unhandled_error_carries_the_cookie_and_the_error_is_recorded(behind: Behind) -> None:
    app = starlette_app()
    StarletteSojourn(app, engine=behind.engine)
    (response,) = open_pages(app, "/fails", headers={"accept": "text/html"})
    assert response.status_code == 500
    assert "sojourn" in response.cookies
    assert behind.tracked() == ["exception", "failing"]


def test_the_middleware_takes_settings_by_keyword() -> None:
    app = starlette_app()
    app.add_middleware(AsgiDoor, settings=Settings(secret_key=KEY, store="memory:"))
    (response,) = open_pages(app, "/async")
    call(app, {"type": "lifespan"}, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])  # closes its engine
    assert "sojourn" in response.cookies


def test_an_app_that_serves_already_is_wrapped_too(behind: Behind) -> None:
    app = starlette_app()
    open_pages(app, "/settles")
    StarletteSojourn(app, engine=behind.engine)
    (response,) = open_pages(app, "/async")
    assert "sojourn" in response.cookies


def test_the_route_template_stands_beside_the_path(behind: Behind) -> None:
    app = starlette_app()
    StarletteSojourn(app, engine=behind.engine)
    open_pages(app, "/shop/items/7")
    (view,) = behind.events("page_view")
    assert view.attributes["url.path"] == "/shop/items/7"
    assert view.attributes["http.route"].endswith("/items/{number}")


class ByHeader(AuthenticationBackend):
    async def authenticate(self, conn: HTTPConnection) -> Any:
        name = conn.headers.get("x-user")
        return (AuthCredentials(), SimpleUser(name)) if name else (AuthCredentials(), UnauthenticatedUser())


def test_the_user_of_starlettes_authentication(behind: Behind) -> None:
    async def login(request: Request) -> Response:
        identify("ada@example.com")
        return HTMLResponse("x")

    async def page(request: Request) -> Response:
        return HTMLResponse("x")

    app = Starlette(
        routes=[Route("/login", login), Route("/", page)],
        middleware=[Middleware(AuthenticationMiddleware, backend=ByHeader())],
    )
    StarletteSojourn(app, engine=behind.engine)

    async def main() -> None:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://site.test") as client:
            await client.get("/login")
            for _ in range(4):
                await client.get("/", headers={"x-user": "42"})
        async with httpx.AsyncClient(transport=transport, base_url="http://site.test") as client:
            await client.get("/")
            await client.get("/", headers={"x-user": "42"})
            await client.get("/")
            await client.get("/", headers={"x-user": "43"})

    asyncio.run(main())
    user_ids = [event.user_id for event in behind.events("user.identify")]
    assert user_ids == ["ada@example.com", "42", None, "43"]
    assert len(behind.events("session.start")) == 3


def test_fastapi_dependencies(behind: Behind) -> None:
    app = FastAPI()
    StarletteSojourn(app, engine=behind.engine)

    async def in_async() -> None:
        track("async dependency")

    def in_threadpool() -> Iterator[None]:
        track("threadpool dependency")
        yield
        track("after the response")

    @app.get("/items/{number}", dependencies=[Depends(in_async), Depends(in_threadpool)], response_class=FastHTML)
    def page(number: int) -> str:
        track("endpoint")
        return "x"

    (response,) = open_pages(app, "/items/7")
    assert response.status_code == 200
    assert behind.tracked() == ["after the response", "async dependency", "endpoint", "threadpool dependency"]
    assert behind.events("page_view")[0].attributes["http.route"] == "/items/{number}"


# --- Flask -----------------------------------------------------------------------------------------------------------


def flask_app() -> flask.Flask:
    app = flask.Flask(__name__)
    app.jinja_env.globals["track"] = track

    @app.before_request
    def before() -> None:
        track("before")

    @app.after_request
    def after(response: flask.Response) -> flask.Response:
        track("after")
        return response

    @app.get("/view")
    def view() -> str:
        track("view")
        return "x"

    @app.get("/template")
    def template() -> str:
        return flask.render_template_string("{{ track('template') or '' }}{{ name }}", name="x")

    @app.get("/stream/<int:number>")
    def stream(number: int) -> flask.Response:
        def pieces() -> Iterator[str]:
            for piece in range(number):
                track(f"stream {piece}")
                yield "x"

        return flask.Response(pieces(), mimetype="text/html")

    @app.get("/fails")
    def fails() -> str:
        raise RuntimeError

    @app.get("/out")
    def out() -> str:
        end_session()
        return str(current_session())

    return app


@pytest.mark.parametrize("how", ["extension", "wsgi_app"])
def test_helpers_work_everywhere_in_flask(behind: Behind, how: str) -> None:
    app = flask_app()
    if how == "extension":
        FlaskSojourn(app, engine=behind.engine)
    else:
        app.wsgi_app = WsgiDoor(app.wsgi_app, engine=behind.engine)  # type: ignore[method-assign]
    client = app.test_client()
    for path in ("/view", "/template", "/stream/2"):
        assert client.get(path).text in {"x", "xx"}
    assert behind.tracked() == sorted(["after", "before"] * 3 + ["view", "template", "stream 0", "stream 1"])
    if how == "extension":
        assert behind.events("page_view")[-1].attributes["http.route"] == "/stream/<int:number>"
        assert app.extensions["sojourn"].engine is behind.engine
    assert client.get("/fails").status_code == 500
    assert client.get("/nowhere").status_code == 404
    assert len(behind.events("session.start")) == 1
    assert client.get("/out").text == "None"
    client.get("/view")
    behind.engine.flush()
    assert len(behind.backend.named("session.start")) == 2


def test_flask_settings_come_from_app_config(tmp_path: Path) -> None:
    extension = FlaskSojourn()
    with pytest.raises(RuntimeError, match="init_app"):
        _ = extension.engine
    apps = []
    for name in ("one", "two"):
        app = flask.Flask(__name__, instance_path=str(tmp_path / name))
        app.config.update(SECRET_KEY=KEY, SOJOURN_COOKIE_NAME=name)
        extension.init_app(app)
        apps.append(app)
    for app, name in zip(apps, ("one", "two"), strict=True):
        settings = app.extensions["sojourn"].engine.settings
        assert settings.cookie_name == name
        assert settings.store_path == tmp_path / name / "sojourn.db"
        with app.app_context():
            assert extension.engine.settings is settings


def test_a_callable_principal_gets_the_frameworks_request() -> None:
    seen: list[Any] = []
    for_starlette = Behind(principal=lambda request: seen.append(request.url.path))
    app = starlette_app()
    StarletteSojourn(app, engine=for_starlette.engine)
    open_pages(app, "/async")
    for_flask = Behind(principal=lambda request: seen.append(request.path))
    flasks = flask_app()
    FlaskSojourn(flasks, engine=for_flask.engine)
    flasks.test_client().get("/view")
    assert seen == ["/async", "/view"]
    for_starlette.engine.close()
    for_flask.engine.close()
