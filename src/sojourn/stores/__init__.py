"""Where sessions and the event log live. What needs a database library is imported when a store is made, not before."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from sojourn.errors import StoreError
from sojourn.settings._places import MEMORY, SQLITE, absolute, store_path

from .protocol import Store

if TYPE_CHECKING:
    from .postgres.store import PostgreSQLStore
    from .sqlite.store import SQLiteStore

__all__ = ["PostgreSQLStore", "SQLiteStore", "Store", "open_store"]

_HOMES: Final = {"PostgreSQLStore": ".postgres.store", "SQLiteStore": ".sqlite.store"}
_POSTGRESQL: Final = ("postgresql://", "postgres://", "postgresql+")


def open_store(url: str) -> Store:
    """The store that a URL names, opened at its first use. Raises `StoreError` for what is no such URL."""
    path = store_path(url)
    if url == MEMORY or (path is not None and not url.endswith("/")):
        from .sqlite.store import SQLiteStore

        return SQLiteStore(None if path is None else absolute(path))
    if url.startswith(_POSTGRESQL):
        return _postgres(url)
    scheme = url.partition(":")[0][:20]
    msg = (
        f'no store is named by a URL of "{scheme}:"; use "{SQLITE}path/to/file.db", '
        f'"postgresql://user:password@host/database" or "{MEMORY}"'
    )
    raise StoreError(msg)


def _postgres(url: str) -> PostgreSQLStore:
    try:
        import psycopg  # noqa: F401 - the driver, and the library it drives: either may be missing
    except ImportError:
        msg = 'a store in PostgreSQL needs psycopg; install it: pip install "sojourn[postgres]"'
        raise StoreError(msg) from None
    from .postgres.store import PostgreSQLStore

    return PostgreSQLStore(url)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
