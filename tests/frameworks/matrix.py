"""The frameworks, and how the tests use each: its site, its own test client, its own command line."""

from __future__ import annotations

import asyncio
import importlib
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SITES = "tests.frameworks.sites"
HTML = {"Accept": "text/html"}
Client = Callable[[Any, Sequence[str]], list[int]]
"""Opens these paths of an app with the framework's test client, as one browser; returns the statuses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A framework in the tests and in the table of docs/frameworks.md."""

    name: str
    site: str
    hook: str
    route: str
    user: str
    client: Client
    client_name: str
    command: tuple[str, ...]
    """Arguments of `python`; `{port}`, `{site}` and `{folder}` are filled in."""
    command_name: str
    factory: str = "make"
    user_id: str = "ada-7"
    prepare: tuple[str, ...] = ()
    """Arguments of `python` that make what the command needs."""

    def make(self, engine: Any) -> Any:
        return getattr(importlib.import_module(self.module), self.factory)(engine)

    @property
    def module(self) -> str:
        return f"{SITES}.{self.site}_site"

    def arguments(self, port: int, folder: Path) -> list[str]:
        ini = folder / "site.ini"
        ini.write_text(
            f"[app:main]\nuse = call:{self.module}:serve\n[server:main]\nuse = egg:waitress#main\nlisten = 127.0.0.1:{port}\n"
        )
        filled = (
            part.format(port=port, module=self.module, site=f"{self.module}:{self.factory}", ini=ini)
            for part in self.command
        )
        return [sys.executable, *filled]


def _starlette(app: Any, paths: Sequence[str]) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it prefers an HTTP client that is not installed
        from starlette.testclient import TestClient

        with TestClient(app, raise_server_exceptions=False) as client:
            return [client.get(path, headers=HTML).status_code for path in paths]


def _flask(app: Any, paths: Sequence[str]) -> list[int]:
    client = app.test_client()
    return [client.get(path, headers=HTML).status_code for path in paths]


def _litestar(app: Any, paths: Sequence[str]) -> list[int]:
    from litestar.testing import TestClient

    with TestClient(app, raise_server_exceptions=False) as client:
        return [client.get(path, headers=HTML).status_code for path in paths]


def _quart(app: Any, paths: Sequence[str]) -> list[int]:
    async def run() -> list[int]:
        client = app.test_client()
        return [(await client.get(path, headers=HTML)).status_code for path in paths]

    return asyncio.run(run())


def _falcon(app: Any, paths: Sequence[str]) -> list[int]:
    from falcon.testing import TestClient

    client, statuses = TestClient(app), []
    cookies: dict[str, str] = {}
    for path in paths:
        result = client.simulate_get(path, headers=HTML, cookies=cookies)
        cookies.update({name: cookie.value for name, cookie in result.cookies.items()})
        statuses.append(result.status_code)
    return statuses


def _falcon_asgi(app: Any, paths: Sequence[str]) -> list[int]:
    from falcon.testing import ASGIConductor

    async def run() -> list[int]:
        cookies: dict[str, str] = {}
        statuses = []
        async with ASGIConductor(app) as client:
            for path in paths:
                result = await client.simulate_get(path, headers=HTML, cookies=cookies)
                cookies.update({name: cookie.value for name, cookie in result.cookies.items()})
                statuses.append(result.status_code)
        return statuses

    return asyncio.run(run())


def _webtest(app: Any, paths: Sequence[str]) -> list[int]:
    from webtest import TestApp  # type: ignore[import-untyped]

    client, statuses = TestApp(app), []
    for path in paths:
        try:
            statuses.append(client.get(path, headers=HTML, expect_errors=True).status_int)
        except ZeroDivisionError:  # Pyramid leaves it to the server
            statuses.append(500)
    return statuses


def _blacksheep(app: Any, paths: Sequence[str]) -> list[int]:
    from blacksheep.testing import TestClient

    async def run() -> list[int]:
        await app.start()
        client, statuses = TestClient(app), []
        cookies: dict[str, str] = {}
        for path in paths:
            response = await client.get(path, headers=HTML, cookies=cookies)
            cookies.update({cookie.name: cookie.value for cookie in response.cookies.values()})
            statuses.append(response.status)
        await app.stop()
        return statuses

    return asyncio.run(run())


def _sanic(app: Any, paths: Sequence[str]) -> list[int]:
    from sanic_testing.reusable import ReusableClient  # type: ignore[import-untyped]

    client = ReusableClient(app)
    try:
        with client:
            return [client.get(path, headers=HTML)[1].status for path in paths]
    finally:
        client._loop.close()


def _django(app: Any, paths: Sequence[str]) -> list[int]:
    from django.test import Client  # type: ignore[import-untyped]

    with app.active():
        client = Client(raise_request_exception=False)
        return [client.get(path, headers=HTML).status_code for path in paths]


UVICORN = ("-m", "uvicorn", "--factory", "{site}", "--port", "{port}", "--no-access-log")

ROWS = (
    Row(
        name="Starlette",
        site="starlette",
        hook="`Sojourn(app)`",
        route="/items/{number:int}",
        user="`AuthenticationMiddleware`, `request.state.user`",
        client=_starlette,
        client_name="`TestClient`",
        command=UVICORN,
        command_name="`uvicorn`",
    ),
    Row(
        name="FastAPI",
        site="fastapi",
        hook="`Sojourn(app)`",
        route="/items/{number}",
        user="as Starlette",
        client=_starlette,
        client_name="`TestClient`",
        command=UVICORN,
        command_name="`uvicorn`",
    ),
    Row(
        name="Django",
        site="django",
        hook='`MIDDLEWARE = ["sojourn.django.SojournMiddleware", ...]`',
        route="/items/<int:number>",
        user="`request.user`",
        client=_django,
        client_name="`Client`",
        command=("-m", "django", "runserver", "--noreload", "--settings", "{module}", "{port}"),
        command_name="`manage.py runserver`",
        user_id="7",
        prepare=("-m", "django", "migrate", "--run-syncdb", "--settings", "tests.frameworks.sites.django_site"),
    ),
    Row(
        name="Flask",
        site="flask",
        hook="`Sojourn(app)`, `init_app()`",
        route="/items/<int:number>",
        user='Flask-Login, `session["user_id"]`',
        client=_flask,
        client_name="`app.test_client()`",
        command=("-m", "flask", "--app", "{site}", "run", "--port", "{port}"),
        command_name="`flask run`",
    ),
    Row(
        name="Litestar",
        site="litestar",
        hook="`SojournPlugin()`",
        route="/items/{number}",
        user="`request.user`",
        client=_litestar,
        client_name="`TestClient`",
        command=("-m", "litestar", "--app", "{site}", "run", "--port", "{port}"),
        command_name="`litestar run`",
    ),
    Row(
        name="Quart",
        site="quart",
        hook="`Sojourn(app)`, `init_app()`",
        route="/items/<int:number>",
        user='Quart-Auth, `session["user_id"]`',
        client=_quart,
        client_name="`app.test_client()`",
        command=("-m", "quart", "--app", "{site}", "run", "--port", "{port}"),
        command_name="`quart run`",
    ),
    Row(
        name="Falcon (WSGI)",
        site="falcon",
        hook="`Sojourn(app)`",
        route="/items/{number:int}",
        user="`req.context.user`",
        client=_falcon,
        client_name="`TestClient`",
        command=("-m", "gunicorn", "-b", "127.0.0.1:{port}", "{site}()"),
        command_name="`gunicorn`",
    ),
    Row(
        name="Falcon (ASGI)",
        site="falcon",
        factory="make_asgi",
        hook="`Sojourn(app)`",
        route="/items/{number:int}",
        user="`req.context.user`",
        client=_falcon_asgi,
        client_name="`ASGIConductor`",
        command=UVICORN,
        command_name="`uvicorn`",
    ),
    Row(
        name="Pyramid",
        site="pyramid",
        hook='`config.include("sojourn.pyramid")`',
        route="/items/{number}",
        user="the security policy, where the app asks it",
        client=_webtest,
        client_name="WebTest",
        command=("-m", "pyramid.scripts.pserve", "{ini}"),
        command_name="`pserve`",
    ),
    Row(
        name="Bottle",
        site="bottle",
        hook="`Sojourn(app)`",
        route="/items/<number:int>",
        user="`request.user`",
        client=_webtest,
        client_name="WebTest",
        command=("-m", "bottle", "--bind", "127.0.0.1:{port}", "{site}()"),
        command_name="`python -m bottle`",
    ),
    Row(
        name="BlackSheep",
        site="blacksheep",
        hook="`Sojourn(app)`",
        route="/items/{number}",
        user="`request.user`",
        client=_blacksheep,
        client_name="`TestClient`",
        command=UVICORN,
        command_name="`uvicorn`",
    ),
    Row(
        name="Sanic",
        site="sanic",
        hook="`Sojourn(app)`",
        route="/items/<number:int>",
        user="`request.ctx.user`",
        client=_sanic,
        client_name="Sanic-Testing",
        command=("-m", "sanic", "{module}:create", "--factory", "--port", "{port}", "--single-process"),
        command_name="`sanic`",
    ),
)
