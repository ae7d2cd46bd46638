"""Every kind of connection writes into the inbox, on SQLite and on PostgreSQL, in the transaction that it is in."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from sojourn.core.records import Entry, Record
from sojourn.errors import WrongDatabaseError
from sojourn.pipeline.inbox import Inbox
from sojourn.stores import open_store
from sojourn.stores.protocol import Store
from tests.postgres import Cluster

NOW = 1_700_000_000_000
RECORD = Record(
    NOW, "018bcfe5-6800-7000-8000-000000000001", "v", NOW, 0, entries=(Entry("purchase", NOW, {"%": ":a"}),)
)

Opened = AbstractContextManager[tuple[Any, Callable[[], object], Callable[[], object]]]
"""A connection in a transaction, its commit and its rollback."""
AsyncOpened = AbstractAsyncContextManager[tuple[Any, Callable[[], Awaitable[object]], Callable[[], Awaitable[object]]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    if request.param == "postgresql":
        cluster: Cluster = request.getfixturevalue("postgres")
        url = cluster.fresh_database()
    store = open_store(url)
    store.open()
    request.node.url = url
    yield store
    store.close()


@pytest.fixture
def url(store: Store, request: pytest.FixtureRequest) -> str:
    url: str = request.node.url
    return url


def rows(store: Store) -> int:
    with store.records.recording() as transaction:
        return len(transaction.inbox(after="", limit=10))


def alchemy_url(url: str, *, is_async: bool = False) -> str:
    if url.startswith("sqlite"):
        return url.replace("sqlite", "sqlite+aiosqlite") if is_async else url
    return url.replace("postgresql", "postgresql+psycopg")


# --- what blocks


@contextmanager
def plain(url: str) -> Iterator[tuple[Any, Any, Any]]:
    """sqlite3 or psycopg, with rows as dicts."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
            connection.row_factory = lambda cursor, row: {"columns": row}
            yield connection, connection.commit, connection.rollback
    else:
        with psycopg.connect(url, row_factory=dict_row) as server:
            yield server, server.commit, server.rollback


@contextmanager
def alchemy_connection(url: str) -> Iterator[tuple[Any, Any, Any]]:
    alchemy = pytest.importorskip("sqlalchemy")
    engine = alchemy.create_engine(alchemy_url(url))
    with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    engine.dispose()


@contextmanager
def alchemy_session(url: str) -> Iterator[tuple[Any, Any, Any]]:
    alchemy = pytest.importorskip("sqlalchemy")
    orm = pytest.importorskip("sqlalchemy.orm")
    engine = alchemy.create_engine(alchemy_url(url))
    with orm.Session(engine) as session:
        yield session, session.commit, session.rollback
    engine.dispose()


@contextmanager
def alchemy_registry(url: str) -> Iterator[tuple[Any, Any, Any]]:
    """As Flask-SQLAlchemy's `db.session`."""
    alchemy = pytest.importorskip("sqlalchemy")
    orm = pytest.importorskip("sqlalchemy.orm")
    engine = alchemy.create_engine(alchemy_url(url))
    registry = orm.scoped_session(orm.sessionmaker(engine))
    yield registry, registry.commit, registry.rollback
    registry.remove()
    engine.dispose()


@pytest.mark.parametrize("open_connection", [plain, alchemy_connection, alchemy_session, alchemy_registry])
def test_a_blocking_connection_writes_in_its_transaction(
    store: Store, url: str, open_connection: Callable[[str], Opened]
) -> None:
    inbox = Inbox(lambda: store)
    with open_connection(url) as (connection, commit, rollback):
        inbox.check(connection, is_awaited=False)
        inbox.write(RECORD, connection)
        rollback()
        assert rows(store) == 0
        inbox.write(RECORD, connection)
        commit()
        assert rows(store) == 1
        with pytest.raises(TypeError, match=r"blocks; call track\("):
            inbox.check(connection, is_awaited=True)


def test_a_connection_of_django_writes_in_its_transaction(store: Store, url: str) -> None:
    pytest.importorskip("django")
    script = Path(__file__).with_name("django_orders.py")
    ran = subprocess.run([sys.executable, "-P", script, url], capture_output=True, text=True, timeout=60, check=False)
    if refusal := re.search(r"PostgreSQL \d+ or later is required \(found \S+\)", ran.stderr):
        pytest.skip(f"Django: {refusal.group()}")
    assert (ran.stdout.split(), ran.stderr) == (["0", "1", "2"], "")


# --- what is awaited


@asynccontextmanager
async def plain_async(url: str) -> AsyncIterator[tuple[Any, Any, Any]]:
    if url.startswith("sqlite"):
        aiosqlite = pytest.importorskip("aiosqlite")
        async with aiosqlite.connect(url.removeprefix("sqlite:///")) as connection:
            connection.row_factory = lambda cursor, row: {"columns": row}
            yield connection, connection.commit, connection.rollback
    else:
        server = await psycopg.AsyncConnection.connect(url, row_factory=dict_row)
        async with server:
            yield server, server.commit, server.rollback


@asynccontextmanager
async def alchemy_async_connection(url: str) -> AsyncIterator[tuple[Any, Any, Any]]:
    alchemy = pytest.importorskip("sqlalchemy.ext.asyncio")
    pytest.importorskip("aiosqlite")
    engine = alchemy.create_async_engine(alchemy_url(url, is_async=True))
    async with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    await engine.dispose()


@asynccontextmanager
async def alchemy_async_session(url: str) -> AsyncIterator[tuple[Any, Any, Any]]:
    alchemy = pytest.importorskip("sqlalchemy.ext.asyncio")
    pytest.importorskip("aiosqlite")
    engine = alchemy.create_async_engine(alchemy_url(url, is_async=True))
    async with alchemy.AsyncSession(engine) as session:
        yield session, session.commit, session.rollback
    await engine.dispose()


@pytest.mark.parametrize("open_connection", [plain_async, alchemy_async_connection, alchemy_async_session])
def test_an_asynchronous_connection_writes_in_its_transaction(
    store: Store, url: str, open_connection: Callable[[str], AsyncOpened]
) -> None:
    inbox = Inbox(lambda: store)

    async def main() -> None:
        async with open_connection(url) as (connection, commit, rollback):
            inbox.check(connection, is_awaited=True)
            await inbox.write_async(RECORD, connection)
            await rollback()
            assert rows(store) == 0
            await inbox.write_async(RECORD, connection)
            await commit()
            assert rows(store) == 1
            with pytest.raises(TypeError, match=r"await track_async\("):
                inbox.check(connection, is_awaited=False)

    asyncio.run(main())


# --- which database


def test_another_database_of_the_same_server_is_named(postgres: Cluster) -> None:
    store = open_store(postgres.fresh_database())
    store.open()
    other = postgres.fresh_database()
    name = other.rpartition("/")[2]
    with psycopg.connect(other) as connection, pytest.raises(WrongDatabaseError) as raised:
        Inbox(lambda: store).write(RECORD, connection)
    assert f"PostgreSQL database '{name}' at 127.0.0.1:{postgres.port}" in str(raised.value)
    assert store.name in str(raised.value)
    store.close()


def test_another_store_in_the_same_place_is_told_apart(postgres: Cluster) -> None:
    """Two databases that each have a store, such as one for tests."""
    stores = [open_store(postgres.fresh_database()) for _ in range(2)]
    urls = []
    for store in stores:
        store.open()
        urls.append(store.name)
    with psycopg.connect(postgres.url(urls[1].rpartition("/")[2])) as connection:
        with pytest.raises(WrongDatabaseError):
            Inbox(lambda: stores[0]).write(RECORD, connection)
        Inbox(lambda: stores[1]).write(RECORD, connection)  # and the transaction goes on
    for store in stores:
        store.close()


def test_a_role_that_may_only_insert_is_enough(postgres: Cluster) -> None:
    url = postgres.fresh_database()
    store = open_store(url)
    store.open()
    postgres.role("shop_of_inbox", "secret")
    own = postgres.url(url.rpartition("/")[2], user="shop_of_inbox", password="secret")
    with psycopg.connect(own) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        Inbox(lambda: store).write(RECORD, connection)
    postgres.run("GRANT USAGE ON SCHEMA sojourn TO shop_of_inbox", database=url)
    postgres.run("GRANT INSERT ON sojourn.sojourn_inbox TO shop_of_inbox", database=url)
    with psycopg.connect(own) as connection:
        Inbox(lambda: store).write(RECORD, connection)
    assert rows(store) == 1
    store.close()


def test_another_kind_of_database_is_named(postgres: Cluster, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'shop.db'}")
    said = r"a postgresql database, but the store is sqlite:///.*shop\.db"
    with psycopg.connect(postgres.fresh_database()) as connection, pytest.raises(WrongDatabaseError, match=said):
        Inbox(lambda: store).write(RECORD, connection)
    store.close()
