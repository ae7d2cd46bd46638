"""The site of these tests in Quart, with Quart-Auth."""

from __future__ import annotations

from quart import Quart
from quart_auth import AuthUser, QuartAuth, login_user

from sojourn import Engine
from sojourn.quart import Sojourn

TOKEN = "a token that only these tests use"


def make(engine: Engine | None = None) -> Quart:
    app = Quart(__name__)
    app.secret_key = "a key that only these tests use"
    QuartAuth(app, cookie_secure=False)
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)

    @app.get("/")
    async def home() -> str:
        return "<h1>home</h1>"

    @app.get("/items/<int:number>")
    async def item(number: int) -> str:
        return f"<h1>{number}</h1>"

    @app.get("/login")
    async def login() -> str:
        login_user(AuthUser("ada-7"))
        return "<h1>Ada</h1>"

    @app.get("/fails")
    async def fails() -> str:
        raise ZeroDivisionError

    return app
