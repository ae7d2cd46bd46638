"""Orders in Django's transactions, in a process of their own: Django's settings are global. Prints how many rows are left."""

from __future__ import annotations

import sys
from typing import Any

import django  # type: ignore[import-untyped]
import psycopg
from django.conf import settings  # type: ignore[import-untyped]

from sojourn.core.records import Entry, Record
from sojourn.pipeline.inbox import Inbox
from sojourn.stores import open_store

url = sys.argv[1]
if url.startswith("sqlite"):
    database: dict[str, Any] = {"ENGINE": "django.db.backends.sqlite3", "NAME": url.removeprefix("sqlite:///")}
else:
    parts = {"dbname": "NAME"}
    database = {parts.get(name, name.upper()): value for name, value in psycopg.conninfo.conninfo_to_dict(url).items()}
    database["ENGINE"] = "django.db.backends.postgresql"
settings.configure(DATABASES={"default": database}, USE_TZ=True)
django.setup()

from django.db import connection, connections, transaction  # type: ignore[import-untyped]  # noqa: E402

NOW = 1_700_000_000_000
record = Record(NOW, "018bcfe5-6800-7000-8000-000000000001", "v", NOW, 0, entries=(Entry("purchase", NOW, {"%": 1}),))
store = open_store(url)
store.open()
inbox = Inbox(lambda: store)


def rows() -> int:
    with store.records.recording() as work:
        return len(work.inbox(after="", limit=10))


class Cancelled(Exception):
    pass


seen: list[int] = []
try:
    with transaction.atomic():
        inbox.write(record, connection)
        raise Cancelled
except Cancelled:
    seen.append(rows())
with transaction.atomic():
    inbox.write(record, connection)
    try:
        with transaction.atomic():  # a savepoint
            inbox.write(record, connections["default"])
            raise Cancelled
    except Cancelled:
        pass
seen.append(rows())
inbox.write(record, connection)  # outside a transaction Django commits each statement
seen.append(rows())
connections.close_all()
store.close()
print(*seen)
