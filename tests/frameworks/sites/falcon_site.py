"""The site of these tests in Falcon, WSGI and ASGI."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi

from sojourn import Engine
from sojourn.falcon import Sojourn

TOKEN = "a token that only these tests use"


class Page:
    def __init__(self, text: str) -> None:
        self.text = text

    def on_get(self, request: Any, response: Any, **_parameters: Any) -> None:
        if self.text == "login":
            request.context.user = {"id": "ada-7", "name": "ada-7"}
        if self.text == "fails":
            raise ZeroDivisionError
        response.content_type = falcon.MEDIA_HTML
        response.text = f"<h1>{self.text}</h1>"


class AsyncPage(Page):
    async def on_get(self, request: Any, response: Any, **parameters: Any) -> None:  # type: ignore[override]
        super().on_get(request, response, **parameters)


def make(engine: Engine | None = None, kind: Any = falcon.App) -> Any:
    app = kind()
    page = AsyncPage if kind is falcon.asgi.App else Page
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)
    app.add_route("/", page("home"))
    app.add_route("/items/{number:int}", page("item"))
    app.add_route("/login", page("login"))
    app.add_route("/fails", page("fails"))
    return app


def make_asgi(engine: Engine | None = None) -> Any:
    return make(engine, falcon.asgi.App)
