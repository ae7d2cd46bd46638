"""The site of these tests in Sanic."""

from __future__ import annotations

import itertools
from typing import Any

from sanic import HTTPResponse, Request, Sanic
from sanic.response import html

from sojourn import Engine
from sojourn.sanic import Sojourn

TOKEN = "a token that only these tests use"
_names = itertools.count()


def make(engine: Engine | None = None) -> Any:
    app: Any = Sanic(f"site-{next(_names)}", configure_logging=False)
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)

    @app.get("/")  # type: ignore[untyped-decorator]
    async def home(_request: Request) -> HTTPResponse:
        return html("<h1>home</h1>")

    @app.get("/items/<number:int>")  # type: ignore[untyped-decorator]
    async def item(_request: Request, number: int) -> HTTPResponse:
        return html(f"<h1>{number}</h1>")

    @app.get("/login")  # type: ignore[untyped-decorator]
    async def login(request: Request) -> HTTPResponse:
        request.ctx.user = {"id": "ada-7", "name": "ada-7"}
        return html("<h1>Ada</h1>")

    @app.get("/fails")  # type: ignore[untyped-decorator]
    async def fails(_request: Request) -> HTTPResponse:
        raise ZeroDivisionError

    return app


def create(_arguments: Any) -> Any:
    """The factory of the command line."""
    return make()
