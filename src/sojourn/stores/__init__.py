"""Where sessions and the event log live. What needs a database library is imported when a store is made, not before."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sojourn.errors import StoreError

from .protocol import Store

if TYPE_CHECKING:
    from .postgres.store import PostgreSQLStore
    from .sqlite.store import SQLiteStore

__all__ = ["PostgreSQLStore", "SQLiteStore", "Store", "open_store"]

_HOMES: Final = {"PostgreSQLStore": ".postgres.store", "SQLiteStore": ".sqlite.store"}
_SQLITE: Final = "sqlite:///"
_MEMORY: Final = "memory:"
_POSTGRESQL: Final = ("postgresql://", "postgres://", "postgresql+")


def open_store(url: str) -> Store:
    """The store that a URL names, opened at its first use. Raises `StoreError` for what is no such URL."""
    if url == _MEMORY or (url.startswith(_SQLITE) and not url.endswith("/")):
        from .sqlite.store import SQLiteStore

        return SQLiteStore(None if url == _MEMORY else Path(url.removeprefix(_SQLITE)).absolute())
    if url.startswith(_POSTGRESQL):
        return _postgres(url)
    scheme = url.partition(":")[0][:20]
    msg = (
        f'no store is named by a URL of "{scheme}:"; use "{_SQLITE}path/to/file.db", '
        f'"postgresql://user:password@host/database" or "{_MEMORY}"'
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
