"""Where sessions and the event log live. What needs a database library is imported when a store is made, not before."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sojourn.errors import StoreError

from .protocol import Store

if TYPE_CHECKING:
    from .sqlite import SQLiteStore

__all__ = ["SQLiteStore", "Store", "open_store"]

_HOMES: Final = {"SQLiteStore": ".sqlite"}
_SQLITE: Final = "sqlite:///"
_MEMORY: Final = "memory:"


def open_store(url: str) -> SQLiteStore:
    """The store that a URL names, opened at its first use. Raises `StoreError` for what is no such URL."""
    from .sqlite import SQLiteStore

    if url == _MEMORY:
        return SQLiteStore(None)
    if url.startswith(_SQLITE) and not url.endswith("/"):
        return SQLiteStore(Path(url.removeprefix(_SQLITE)).absolute())
    if url.startswith(("postgresql", "postgres:")):
        # Not the URL: it may hold a password.
        msg = 'a store in PostgreSQL comes in a later release; use "sqlite:///path/to/file.db" until then'
        raise StoreError(msg)
    scheme = url.partition(":")[0][:20]
    msg = f'no store is named by a URL of "{scheme}:"; use "{_SQLITE}path/to/file.db" or "{_MEMORY}"'
    raise StoreError(msg)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
