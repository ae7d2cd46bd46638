"""Write a row into the inbox over a connection of the application, in whatever transaction that is in. No input or output.

Steps are a generator: it yields statements, is sent their rows, and so serves blocking and asynchronous drivers alike.
"""

# ruff: noqa: S608 - names come from the settings and the database itself, and are quoted; values are parameters
from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, Final

from sojourn.errors import StoreError, WrongDatabaseError

from .target import TABLE, InboxTarget

Values = Mapping[str, object]
Rows = list[tuple[Any, ...]]
Steps = Generator[tuple[str, Values], Rows, None]

_COLUMNS: Final = "(id, visitor_id, session_key, data) VALUES (:id, :visitor_id, :session_key, :data)"

_POSTGRESQL: Final = f"""
SELECT current_database(), inet_server_addr()::text, inet_server_port(), (
    SELECT pg_catalog.obj_description(c.oid, 'pg_class')
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = :schema AND c.relname = '{TABLE}')
"""


def writing(target: InboxTarget, database: str, values: Values) -> Steps:
    """Check that the connection is to the store's database, and insert.

    Raises `WrongDatabaseError`, and `StoreError` where the store is yet to be created.
    """
    if database != target.database or (target.schema is None and target.path is None):
        raise _wrong(f"a {database} database", target)
    if target.schema is not None:
        yield from _check_server(target)
        schema = target.schema
    else:
        schema = yield from _schema_of_file(target)
    yield f'INSERT INTO "{schema}".{TABLE} {_COLUMNS}', values


def _check_server(target: InboxTarget) -> Steps:
    ((name, address, port, mark),) = yield _POSTGRESQL, {"schema": target.schema}
    if mark != target.mark:
        place = "a local socket" if address is None else f"{address.partition('/')[0]}:{port}"
        raise _wrong(f"the PostgreSQL database {name!r} at {place}", target)


def _schema_of_file(target: InboxTarget) -> Generator[tuple[str, Values], Rows, str]:
    """The name under which the connection has the store's file: `main`, or that of an attached database."""
    files = yield "PRAGMA database_list", {}
    schema = next((str(name).replace('"', '""') for _, name, file in files if _is_same(file, target.path)), None)
    if schema is None:
        main = next((file for _, name, file in files if name == "main"), "")
        raise _wrong(f"the SQLite file {main}" if main else "a SQLite database in memory", target)
    if not (yield f"SELECT 1 FROM \"{schema}\".sqlite_master WHERE type = 'table' AND name = '{TABLE}'", {}):
        msg = (
            f"the store {target.name} is yet to be created, which this transaction must not wait for; "
            "call engine.prepare_store() when the application starts"
        )
        raise StoreError(msg)
    return schema


def _is_same(file: str, path: Path | None) -> bool:
    try:
        return bool(file) and path is not None and Path(file).samefile(path)
    except OSError:
        return False


def _wrong(what: str, target: InboxTarget) -> WrongDatabaseError:
    store = "in memory" if target.schema is None and target.path is None else target.name
    return WrongDatabaseError(
        f"track(connection=...): the connection is to {what}, but the store is {store}; pass a connection to the "
        "store's database, or leave connection out"
    )
