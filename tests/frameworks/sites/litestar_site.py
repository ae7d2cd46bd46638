"""The site of these tests in Litestar."""

from __future__ import annotations

from typing import Any

from litestar import Litestar, MediaType, Request, get
from litestar.connection import ASGIConnection
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult

from sojourn import Engine
from sojourn.litestar import SojournPlugin

TOKEN = "a token that only these tests use"


class Authentication(AbstractAuthenticationMiddleware):
    async def authenticate_request(self, connection: ASGIConnection[Any, Any, Any, Any]) -> AuthenticationResult:
        user = {"id": "ada-7", "name": "ada-7"} if connection.url.path == "/login" else None
        return AuthenticationResult(user=user, auth=None)


@get("/", media_type=MediaType.HTML)
async def home() -> str:
    return "<h1>home</h1>"


@get("/items/{number:int}", media_type=MediaType.HTML)
async def item(number: int) -> str:
    return f"<h1>{number}</h1>"


@get("/login", media_type=MediaType.HTML)
async def login(request: Request[Any, Any, Any]) -> str:
    return f"<h1>{request.user['name']}</h1>"


@get("/fails")
async def fails() -> None:
    raise ZeroDivisionError


def make(engine: Engine | None = None) -> Litestar:
    sojourn = SojournPlugin(engine=engine)
    sojourn.mount_report("/_sojourn", token=TOKEN)
    return Litestar([home, item, login, fails], plugins=[sojourn], middleware=[Authentication], logging_config=None)
