"""The site of these tests in Bottle."""

from __future__ import annotations

from typing import Any

import bottle  # type: ignore[import-untyped]

from sojourn import Engine
from sojourn.bottle import Sojourn

TOKEN = "a token that only these tests use"


def make(engine: Engine | None = None) -> Any:
    app = bottle.Bottle()
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)

    @app.get("/")  # type: ignore[untyped-decorator]
    def home() -> str:
        return "<h1>home</h1>"

    @app.get("/items/<number:int>")  # type: ignore[untyped-decorator]
    def item(number: int) -> str:
        return f"<h1>{number}</h1>"

    @app.get("/login")  # type: ignore[untyped-decorator]
    def login() -> str:
        bottle.request.user = {"id": "ada-7", "name": "ada-7"}
        return "<h1>Ada</h1>"

    @app.get("/fails")  # type: ignore[untyped-decorator]
    def fails() -> str:
        raise ZeroDivisionError

    return app
