"""The store of a command: `--store URL`, or that of `--app module:app`. Only an existing one; commands create none."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from . import _apps

if TYPE_CHECKING:
    from sojourn.settings import Settings
    from sojourn.stores import Store


project: ContextVar[Settings | None] = ContextVar("project", default=None)
"""The settings of the project whose own command runs ours, as `manage.py sojourn` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSource:
    """An existing store, and with `--app` the app's settings."""

    make: Callable[[], Store]
    settings: Settings | None = None

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Open the store for the block."""
        store = self.make()
        try:
            yield store
        finally:
            store.close()


def options() -> argparse.ArgumentParser:
    """A parent parser with `--store` and `--app`, for every command that uses a store."""
    parent = argparse.ArgumentParser(add_help=False)
    where = parent.add_mutually_exclusive_group(required=project.get() is None)
    where.add_argument(
        "--store", metavar="URL", help="use this store, such as sqlite:///sojourn.db or postgresql://host/db"
    )
    where.add_argument(
        "--app", metavar="MODULE:APP", help="use the store of this app, such as shop.main:app or shop:create_app"
    )
    return parent


def source_of(arguments: argparse.Namespace) -> StoreSource:
    """Find the store and print its name on standard error. Raises `SojournError` if it does not exist."""
    from sojourn.stores import open_store

    settings = None if arguments.store is not None else settings_of_app(arguments.app)
    url_or_store = arguments.store if settings is None else settings.store
    store = _existing(open_store(url_or_store) if isinstance(url_or_store, str) else url_or_store)
    print(f"store: {store.name}", file=sys.stderr)
    return StoreSource(make=store.recreate, settings=settings)


def _existing(store: Any) -> Store:
    """Return another object for the same store: this one may be an app's own. Raises `SojournError` if it is missing."""
    if not hasattr(store, "recreate"):
        msg = f"the app's store is a {type(store).__qualname__}, which commands cannot open"
        raise SojournError(msg)
    own: Store = store.recreate()
    if not own.exists():
        msg = f"there is no store at {own.name}; use the app's store, and open a page of the app first if it is new"
        raise SojournError(msg)
    return own


def settings_of_app(name: str | None) -> Settings | None:
    """The settings of `--app`; without it those of the project that runs the command, if one does. Raises `SojournError`."""
    return project.get() if name is None else _apps.settings_of(name)
