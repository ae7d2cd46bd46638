"""Find out what a SQLite database holds; create the tables of a store in it, or migrate them to today's schema.

The database may be an application's own: our tables are `sojourn_*`, and the version of the schema is in `sojourn_meta`.
`application_id` and `user_version` belong to the application. Only a file that Sojourn created gets an `application_id`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Mapping
from itertools import chain
from typing import Final, NamedTuple

from sojourn.errors import StoreError
from sojourn.stores.reporting.rollup_triggers import SQLITE_TRIGGERS
from sojourn.stores.reshaping import SHAPE, UnfitError, additions, shape_of
from sojourn.stores.schema import SCHEMA_VERSION, STORE_KEY_BYTES, TABLES
from sojourn.stores.views import SHARED_PREFIX, SQLITE, create_views, drop_views

from .dialect import SQLITE as DIALECT
from .statements import CREATE
from .waiting import begin, patiently

APPLICATION_ID: Final = 0x534A524E
"""\"SJRN\": names the kind of file to tools such as `file`."""

_UNRELEASED_ID: Final = 0x536F6A6E
"""Of files that were written before the first release. Their tables have other names, and no release reads them."""

_TABLES: Final = frozenset(table.name for table in TABLES)

STEPS: Final[Mapping[int, tuple[str, ...]]] = {}
"""By version n, the statements that lead from there to n + 1. A released step never changes."""


_SHAPE: Final = shape_of(DIALECT, SQLITE_TRIGGERS)


class Contents(NamedTuple):
    """What a database contains. `version`: of our tables; `None` if there are none yet."""

    version: int | None
    is_empty: bool
    """Nothing else is in it either, so the whole file is ours."""
    has_shape: bool = False
    """Its tables are those of today, not of another version before the release."""


def inspect(connection: sqlite3.Connection, name: str) -> Contents:
    """Look without changing anything. Raises `StoreError` for a database in which a store cannot be opened."""
    # One statement, one moment: another process may be creating the tables.
    look = (
        "SELECT (SELECT application_id FROM pragma_application_id), (SELECT user_version FROM pragma_user_version),"
        " (SELECT group_concat(lower(name), char(10)) FROM sqlite_master)"
    )
    application_id, user_version, names = patiently(lambda: connection.execute(look).fetchone())
    tables = _TABLES.intersection((names or "").split("\n"))
    if "sojourn_meta" in tables:
        version, shape = _version(connection, name)
        if version > SCHEMA_VERSION:
            msg = (
                f"{name} was written by a newer Sojourn (schema {version}, this one reads {SCHEMA_VERSION}); "
                "upgrade this installation: pip install --upgrade sojourn"
            )
            raise StoreError(msg)
        return Contents(version, is_empty=False, has_shape=shape == _SHAPE)
    if application_id == _UNRELEASED_ID:
        msg = (
            f"{name} was written by a Sojourn from before its first release, and cannot be read by any other; "
            "delete it with its -wal, -shm and .d companions, or choose another file for the store"
        )
        raise StoreError(msg)
    if tables:
        raise _foreign(name)
    return Contents(None, is_empty=not (application_id or user_version or names))


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Create the tables or migrate them to today's schema. One process does it; others wait."""
    contents = inspect(connection, name)
    if contents.version == SCHEMA_VERSION and contents.has_shape:
        return
    begin(connection)
    try:
        contents = inspect(connection, name)
        if contents.version is None:
            _create(connection, is_ours=contents.is_empty)
        elif contents.version < SCHEMA_VERSION:
            _migrate(connection, contents.version)
        elif not contents.has_shape:
            _reshape(connection, name)
        connection.executemany(
            "INSERT OR REPLACE INTO sojourn_meta (name, value) VALUES (?, ?)",
            [("schema_version", str(SCHEMA_VERSION).encode()), (SHAPE, _SHAPE)],
        )
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection, name: str) -> tuple[int, bytes | None]:
    """Return the version of the tables, and their shape."""
    look = "SELECT value, (SELECT value FROM sojourn_meta WHERE name = 'shape') FROM sojourn_meta WHERE name = 'schema_version'"
    try:
        row = patiently(lambda: connection.execute(look).fetchone())
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            raise
        raise _foreign(name) from None
    if row is None or not isinstance(row[0], bytes) or not row[0].isdigit():
        raise _foreign(name)
    return int(row[0]), row[1]


def _foreign(name: str) -> StoreError:
    return StoreError(
        f"{name} has tables of another application that are called sojourn_*; choose another file for the store"
    )


def _create(connection: sqlite3.Connection, *, is_ours: bool) -> None:
    if is_ours:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    prefix = "" if is_ours else SHARED_PREFIX
    for statement in chain(CREATE, SQLITE_TRIGGERS, create_views(SQLITE, prefix)):
        connection.execute(statement)
    connection.executemany(
        "INSERT INTO sojourn_meta (name, value) VALUES (?, ?)",
        [
            ("schema_version", b"0"),
            ("store_key", secrets.token_bytes(STORE_KEY_BYTES)),
            ("view_prefix", prefix.encode()),
        ],
    )


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    (prefix,) = connection.execute("SELECT value FROM sojourn_meta WHERE name = 'view_prefix'").fetchone()
    steps = chain.from_iterable(STEPS[step] for step in range(version, SCHEMA_VERSION))
    for statement in chain(drop_views(prefix.decode()), steps, create_views(SQLITE, prefix.decode())):
        connection.execute(statement)


def _reshape(connection: sqlite3.Connection, name: str) -> None:
    """Add what an earlier version had not, or refuse it."""
    look = "SELECT m.name, c.name FROM sqlite_master AS m, pragma_table_info(m.name) AS c WHERE m.type = 'table'"
    columns: dict[str, set[str]] = {}
    for table, column in connection.execute(look).fetchall():
        columns.setdefault(table, set()).add(column)
    indices = {index for (index,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    (prefix,) = connection.execute("SELECT value FROM sojourn_meta WHERE name = 'view_prefix'").fetchone()
    try:
        added = tuple(additions(DIALECT, SQLITE_TRIGGERS, columns=columns, indices=indices))
    except UnfitError as unfit:
        msg = (
            f"{name} was written by another Sojourn from before the first release, whose tables this one cannot use "
            f"({unfit}); open it with that one, or delete it with its -wal, -shm and .d companions"
        )
        raise StoreError(msg) from None
    for statement in chain(drop_views(prefix.decode()), added, create_views(SQLITE, prefix.decode())):
        connection.execute(statement)
