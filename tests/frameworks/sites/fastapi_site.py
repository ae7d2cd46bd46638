"""The site of these tests in FastAPI."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse

from sojourn import Engine
from sojourn.starlette import Sojourn

TOKEN = "a token that only these tests use"


def make(engine: Engine | None = None) -> FastAPI:
    app = FastAPI(default_response_class=HTMLResponse)
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)

    @app.get("/")
    def home() -> str:
        return "<h1>home</h1>"

    @app.get("/items/{number}")
    def item(number: int) -> str:
        return f"<h1>{number}</h1>"

    @app.get("/login")
    async def login(request: Request) -> str:
        request.state.user = {"id": "ada-7", "name": "ada-7"}
        return "<h1>Ada</h1>"

    @app.get("/fails")
    def fails() -> str:
        raise ZeroDivisionError

    return app
