"""The store of a command: `--store URL`, or that of `--app module:app`. Only an existing one; commands create none."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

if TYPE_CHECKING:
    from sojourn.engine import Engine
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
    where.add_argument("--app", metavar="MODULE:APP", help="use the store of this app, such as shop.main:app")
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
    """Import `module:app` from the current folder, as a server does, and return its settings. Raises `SojournError`.

    Without a name: the settings of the project that runs the command, if one does.
    """
    if name is None:
        return project.get()
    module, _, path = name.partition(":")
    if not module or not path:
        msg = f"--app: give module:app, such as shop.main:app; got {name!r}"
        raise SojournError(msg)
    sys.path.insert(0, os.getcwd())
    try:
        with redirect_stdout(sys.stderr):  # standard output is for the command's results
            app: Any = importlib.import_module(module)
        for part in path.split("."):
            app = getattr(app, part)
    except SojournError:
        raise
    except Exception as error:
        msg = f"--app: {name} could not be imported: {type(error).__name__}: {error}"
        raise SojournError(msg) from error
    engine = _engine_of(app)
    if engine is None:
        msg = f"--app: {name} does not use Sojourn (it is a {type(app).__qualname__})"
        raise SojournError(msg)
    return engine.settings


def _engine_of(app: Any) -> Engine | None:
    """The engine of a Starlette, FastAPI or Flask app, or of a middleware around any other app."""
    from sojourn.engine import Engine

    extensions = getattr(app, "extensions", None)
    holders = (
        getattr(getattr(app, "state", None), "sojourn", None),
        extensions.get("sojourn") if isinstance(extensions, dict) else None,
        app,
    )
    engines = (getattr(holder, "engine", None) for holder in holders)
    return next((engine for engine in engines if isinstance(engine, Engine)), None)
