"""The site of these tests in Starlette."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from sojourn import Engine
from sojourn.starlette import Sojourn

TOKEN = "a token that only these tests use"


async def page(_request: Request) -> HTMLResponse:
    return HTMLResponse("<h1>home</h1>")


async def login(request: Request) -> HTMLResponse:
    request.state.user = {"id": "ada-7", "name": "ada-7"}
    return HTMLResponse("<h1>Ada</h1>")


async def fails(_request: Request) -> HTMLResponse:
    raise ZeroDivisionError


def make(engine: Engine | None = None) -> Starlette:
    routes = [Route("/", page), Route("/items/{number:int}", page), Route("/login", login), Route("/fails", fails)]
    app = Starlette(routes=routes)
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)
    return app
