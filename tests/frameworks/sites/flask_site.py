"""The site of these tests in Flask."""

from __future__ import annotations

from flask import Flask, session

from sojourn import Engine
from sojourn.flask import Sojourn

TOKEN = "a token that only these tests use"


def make(engine: Engine | None = None) -> Flask:
    app = Flask(__name__)
    app.secret_key = "a key that only these tests use"
    Sojourn(app, engine=engine).mount_report("/_sojourn", token=TOKEN)

    @app.get("/")
    def home() -> str:
        return "<h1>home</h1>"

    @app.get("/items/<int:number>")
    def item(number: int) -> str:
        return f"<h1>{number}</h1>"

    @app.get("/login")
    def login() -> str:
        session["user_id"] = "ada-7"
        return "<h1>Ada</h1>"

    @app.get("/fails")
    def fails() -> str:
        raise ZeroDivisionError

    return app
