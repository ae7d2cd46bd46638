"""The site of these tests in BlackSheep."""

from __future__ import annotations

from typing import Any

from blacksheep import Application, Request, Response, Router, html
from guardpost import AuthenticationHandler, Identity

from sojourn import Engine
from sojourn.blacksheep import Sojourn

TOKEN = "a token that only these tests use"


class Authentication(AuthenticationHandler):
    async def authenticate(self, context: Any) -> Identity | None:  # type: ignore[override]
        context.user = Identity({"sub": "ada-7", "name": "ada-7"}, "test") if context.url.path == b"/login" else None
        return None


def make(engine: Engine | None = None) -> Application:
    app = Application(router=Router())
    app.use_authentication().add(Authentication())
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)

    @app.router.get("/")
    async def home() -> Response:
        return html("<h1>home</h1>")

    @app.router.get("/items/{number}")
    async def item(number: int) -> Response:
        return html(f"<h1>{number}</h1>")

    @app.router.get("/login")
    async def login(request: Request) -> Response:
        return html("<h1>Ada</h1>")

    @app.router.get("/fails")
    async def fails() -> Response:
        raise ZeroDivisionError

    return app
