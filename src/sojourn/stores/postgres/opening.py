"""Opens a PostgreSQL store, and creates its schema and tables if needed, however many processes start at once.

The tables are in a schema of their own, so that an app's own `sessions` or `events` in the same database are never
touched. Every transaction sets the schema and its time limits with `SET LOCAL`. Unlike options of the connection, that
works behind a pooler too; unlike `SET`, it ends with the transaction.
"""

# ruff: noqa: S608 - every part is written here or comes from the tables; values are always parameters
from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from hashlib import blake2b
from itertools import chain
from typing import Any, Final, NamedTuple

import psycopg

from sojourn.errors import StoreError
from sojourn.stores.ddl import create_statements
from sojourn.stores.inbox.target import TABLE as INBOX_TABLE
from sojourn.stores.inbox.target import mark_of
from sojourn.stores.reporting.rollup_triggers import POSTGRES_TRIGGERS
from sojourn.stores.reshaping import SHAPE, UnfitError, additions, shape_of
from sojourn.stores.schema import SCHEMA_VERSION, STORE_KEY_BYTES, TABLES
from sojourn.stores.views import POSTGRESQL as EXPRESSIONS
from sojourn.stores.views import SHARED_PREFIX, create_views, drop_views

from .address import Address
from .dialect import POSTGRESQL
from .errors import LOCK_PATIENCE_S, STATEMENT_PATIENCE_S, explained, unreachable

_OLDEST_SERVER: Final = 13
_SUSPENDED_FOR_S: Final = 15
"""How long a process may be suspended in a transaction, holding locks, before the server rolls it back."""
_CREATING_PATIENCE_S: Final = 60
_UNRELEASED_TABLES: Final = frozenset({"dead_letters", "meta", "withheld"})
"""Some of the tables from before the first release. No release reads them."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose finalizer does nothing in a forked child: the parent still uses it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._owner = os.getpid()

    def __del__(self, _pid: Callable[[], int] = os.getpid) -> None:
        if getattr(self, "_owner", None) == _pid():
            super().__del__()


class Opened(NamedTuple):
    """A connection, and the store's own key."""

    connection: Connection
    store_key: bytes


def begin(
    schema: str,
    *,
    writes: bool = True,
    lock_patience_s: int = LOCK_PATIENCE_S,
    patience_s: int = STATEMENT_PATIENCE_S,
) -> str:
    """Return the beginning of every transaction; it travels with the first statements.

    One that `writes` fails at once on a server that takes no writes, a standby for example; another reads there.
    """
    return f"""
BEGIN ISOLATION LEVEL READ COMMITTED READ {"WRITE" if writes else "ONLY"};
SET LOCAL search_path = "{schema}", pg_temp;
SET LOCAL lock_timeout = '{lock_patience_s}s';
SET LOCAL statement_timeout = '{patience_s}s';
SET LOCAL idle_in_transaction_session_timeout = '{_SUSPENDED_FOR_S}s';
SET LOCAL jit = off"""


def lock_number(schema: str, purpose: str) -> int:
    """Return the number of an advisory lock; numbers are shared by everything that uses the database."""
    digest = blake2b(f"sojourn:{schema}:{purpose}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def connect(address: Address) -> Opened:
    """Connect to a store; create or migrate it if needed. Raises `StoreError` with the fix."""
    connection = _connect(address)
    try:
        return Opened(connection, _key_of(connection, address) or _make(connection, address))
    except psycopg.Error as error:
        connection.close()
        raise _refused(address, error) from None
    except BaseException:
        connection.close()
        raise


def exists(address: Address) -> bool:
    """Whether there is a store at this address. Creates and changes nothing. Raises `StoreError` with the fix."""
    connection = _connect(address)
    try:
        return _version(connection, address) is not None
    except psycopg.Error as error:
        raise _refused(address, error) from None
    finally:
        connection.close()


def _connect(address: Address) -> Connection:
    try:
        # The client inserts values, and nothing is prepared. So several statements are one round trip, which counts most
        # beside a busy thread, and a pooler may give each transaction another connection.
        return Connection.connect(
            address.conninfo, autocommit=True, prepare_threshold=None, cursor_factory=psycopg.ClientCursor
        )
    except psycopg.Error as error:
        raise unreachable(address.name, error) from None


def _refused(address: Address, error: psycopg.Error) -> Exception:
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return StoreError(
            f"the role of the store {address.name} may not make or use the schema {address.schema}; as an owner of "
            f'the database, run: CREATE SCHEMA {address.schema} AUTHORIZATION "the role"'
        )
    return explained(address.name, error, is_lost=True)


def _key_of(connection: Connection, address: Address) -> bytes | None:
    """Return the store's key; `None` if the store must be created or migrated first."""
    version = _version(connection, address)
    if version is None or version < SCHEMA_VERSION:
        return None
    if version > SCHEMA_VERSION:
        msg = (
            f"{address.name} was written by a newer Sojourn (schema {version}, this one reads {SCHEMA_VERSION}); "
            "upgrade this installation: pip install --upgrade sojourn"
        )
        raise StoreError(msg)
    look = f"SELECT name, value FROM \"{address.schema}\".sojourn_meta WHERE name IN ('store_key', '{SHAPE}')"
    facts = dict(connection.execute(look.encode()).fetchall())
    key = facts.get("store_key")
    if not isinstance(key, bytes):
        raise _foreign(address)
    return key if facts.get(SHAPE) == _SHAPE else None


def _version(connection: Connection, address: Address) -> int | None:
    """Return the version of the existing schema. Raises `StoreError` for tables of another application."""
    names = [*(table.name for table in TABLES), *_UNRELEASED_TABLES]
    look = """
SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), ARRAY(
    SELECT relname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = ANY(%(names)s))
"""
    number, encoding, tables = connection.execute(look, {"schema": address.schema, "names": names}).fetchall()[0]
    if number // 10_000 < _OLDEST_SERVER:
        msg = f"{address.name} is PostgreSQL {number // 10_000}; the store needs {_OLDEST_SERVER} or newer"
        raise StoreError(msg)
    if encoding != "UTF8":
        msg = f"{address.name} keeps its texts as {encoding}; make a database with ENCODING 'UTF8' for the store"
        raise StoreError(msg)
    if "sojourn_meta" not in tables:
        if _UNRELEASED_TABLES.issubset(tables):
            raise _unreleased(address)
        if not _UNRELEASED_TABLES.issuperset(tables):
            raise _foreign(address)
        return None
    try:
        version = connection.execute(
            f"SELECT value FROM \"{address.schema}\".sojourn_meta WHERE name = 'schema_version'"
        )
        row = version.fetchone()
    except (psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedTable):
        raise _foreign(address) from None
    if row is None or not isinstance(row[0], bytes) or not row[0].isdigit():
        raise _foreign(address)
    return int(row[0])


def _unreleased(address: Address) -> StoreError:
    return StoreError(
        f"the schema {address.schema} of {address.name} was written by a Sojourn from before its first release, and "
        f"cannot be read by any other; run DROP SCHEMA {address.schema} CASCADE, or choose another with ?schema=name"
    )


def _foreign(address: Address) -> StoreError:
    return StoreError(
        f"the schema {address.schema} of {address.name} has tables of another application that are called sojourn_*; "
        "choose another with ?schema=name in the store's URL, or another database"
    )


def _make(connection: Connection, address: Address) -> bytes:
    """Make or migrate, one process at a time; who waited finds it done."""
    prologue = begin(address.schema, lock_patience_s=_CREATING_PATIENCE_S, patience_s=0)
    connection.execute(f"{prologue}; SELECT pg_advisory_xact_lock({lock_number(address.schema, 'opening')})".encode())
    try:
        version = _version(connection, address)
        if version is None:
            _create(connection, address)
        elif version < SCHEMA_VERSION:
            _migrate(connection, version)
        elif _key_of(connection, address) is None:
            _reshape(connection, address)
        connection.execute(
            "INSERT INTO sojourn_meta (name, value) VALUES ('schema_version', %(version)s), (%(name)s, %(shape)s)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            {"version": str(SCHEMA_VERSION).encode(), "name": SHAPE, "shape": _SHAPE},
        )
        connection.execute("COMMIT")
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise
    key = _key_of(connection, address)
    if key is None:
        raise _foreign(address)
    return key


def _create(connection: Connection, address: Address) -> None:
    there = connection.execute("SELECT to_regnamespace(%(schema)s) IS NOT NULL", {"schema": address.schema}).fetchone()
    if there != (True,):
        connection.execute(f'CREATE SCHEMA "{address.schema}"'.encode())
    look = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_class WHERE relnamespace = to_regnamespace(%(schema)s))"
    is_shared = connection.execute(look, {"schema": address.schema}).fetchone() == (True,)
    prefix = SHARED_PREFIX if is_shared else ""
    for statement in chain(CREATE, POSTGRES_TRIGGERS, create_views(EXPRESSIONS, prefix)):
        connection.execute(statement.encode())
    store_key = secrets.token_bytes(STORE_KEY_BYTES)
    _mark_inbox(connection, store_key)
    connection.execute(
        "INSERT INTO sojourn_meta (name, value)"
        " VALUES ('schema_version', '0'), ('store_key', %(key)s), ('view_prefix', %(prefix)s)",
        {"key": store_key, "prefix": prefix.encode()},
    )


def _mark_inbox(connection: Connection, store_key: bytes) -> None:
    connection.execute(f"COMMENT ON TABLE {INBOX_TABLE} IS '{mark_of(store_key)}'".encode())


def _migrate(connection: Connection, version: int) -> None:
    (prefix,) = connection.execute("SELECT value FROM sojourn_meta WHERE name = 'view_prefix'").fetchall()[0]
    steps = chain.from_iterable(STEPS[step] for step in range(version, SCHEMA_VERSION))
    for statement in chain(drop_views(prefix.decode()), steps, create_views(EXPRESSIONS, prefix.decode())):
        connection.execute(statement.encode())


def _reshape(connection: Connection, address: Address) -> None:
    """Add what an earlier version had not, or refuse it."""
    here = {"schema": address.schema}
    columns: dict[str, set[str]] = {}
    look = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = %(schema)s"
    for table, column in connection.execute(look, here).fetchall():
        columns.setdefault(table, set()).add(column)
    found = connection.execute("SELECT indexname::text FROM pg_indexes WHERE schemaname = %(schema)s", here).fetchall()
    facts = dict(connection.execute("SELECT name, value FROM sojourn_meta").fetchall())
    prefix = facts["view_prefix"].decode()
    try:
        added = tuple(additions(POSTGRESQL, POSTGRES_TRIGGERS, columns=columns, indices={index for (index,) in found}))
    except UnfitError as unfit:
        msg = (
            f"the schema {address.schema} of {address.name} was written by another Sojourn from before the first release, "
            f"whose tables this one cannot use ({unfit}); open it with that one, run DROP SCHEMA {address.schema} CASCADE, "
            "or choose another with ?schema=name"
        )
        raise StoreError(msg) from None
    for statement in chain(drop_views(prefix), added, create_views(EXPRESSIONS, prefix)):
        connection.execute(statement.encode())
    _mark_inbox(connection, facts["store_key"])


_SHAPE: Final = shape_of(POSTGRESQL, POSTGRES_TRIGGERS)

CREATE: Final = create_statements(POSTGRESQL)

STEPS: Final[Mapping[int, tuple[str, ...]]] = {}
"""By version n, the statements that lead from there to n + 1. A released step never changes."""
