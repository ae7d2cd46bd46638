"""A shop that writes orders and their events in one transaction, in a process of its own. Reads orders from its input.

Arguments: the store's URL, the folder of its journals. Each line is a command; `ok` is printed when it is done.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from wsgiref.util import setup_testing_defaults

import psycopg

from sojourn import Settings, track
from sojourn.wsgi import SojournMiddleware

url, journals, deliver = sys.argv[1:4]
number = ""


def buy(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    if number:
        db.execute(f"INSERT INTO orders VALUES ({int(number)})")
        track("purchase", {"number": int(number)}, connection=db)
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"<p>Thank you!</p>"]


door = SojournMiddleware(
    buy,
    Settings(
        secret_key="a key that only these tests use",
        store=url,
        journal_dir=Path(journals),
        deliver=deliver,
        record_within=timedelta(seconds=1),
    ),
)
door.engine.prepare_store()
is_server = url.startswith("postgresql")
db: Any = psycopg.connect(url) if is_server else sqlite3.connect(url.removeprefix("sqlite:///"))
cookie = ""


def request() -> None:
    environ: dict[str, Any] = {"HTTP_ACCEPT": "text/html", "HTTP_COOKIE": cookie}
    setup_testing_defaults(environ)

    def start(_status: str, headers: list[tuple[str, str]]) -> Any:
        global cookie  # noqa: PLW0603
        for name, value in headers:
            if name.lower() == "set-cookie":
                cookie = value.partition(";")[0]

    for _ in door(environ, start):
        pass


for line in sys.stdin:
    command, _, number = line.strip().partition(" ")
    match command:
        case "buy" | "look":
            request()
        case "commit":
            db.commit()
        case "commit-and-die":
            db.commit()
            os.kill(os.getpid(), 9)
        case "rollback":
            db.rollback()
    print("ok", flush=True)
db.close()
door.engine.close()
