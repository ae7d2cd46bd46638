"""Which store a command is about: `--store URL`, or `--app module:app`. Finds one that is there, and makes none."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

if TYPE_CHECKING:
    from sojourn.engine import Engine
    from sojourn.settings import Settings
    from sojourn.stores import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A store that is there, and, where it was found through an app, that app's settings."""

    make: Callable[[], Store]
    settings: Settings | None = None

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """The store, for the block."""
        store = self.make()
        try:
            yield store
        finally:
            store.close()


def options() -> argparse.ArgumentParser:
    """A parent of the parser of every command that uses a store."""
    parent = argparse.ArgumentParser(add_help=False)
    where = parent.add_mutually_exclusive_group(required=True)
    where.add_argument("--store", metavar="URL", help="the store, such as sqlite:///sojourn.db or postgresql://host/db")
    where.add_argument("--app", metavar="MODULE:APP", help="the app whose store it is, such as shop.main:app")
    return parent


def place_of(arguments: argparse.Namespace) -> Place:
    """The place that the arguments name; says it on standard error. Raises `SojournError` if nothing is there."""
    from sojourn.stores import open_store

    settings = None if arguments.app is None else settings_of_app(arguments.app)
    named = arguments.store if settings is None else settings.store
    store = _existing(open_store(named) if isinstance(named, str) else named)
    print(f"store: {store.name}", file=sys.stderr)
    return Place(make=store.recreate, settings=settings)


def _existing(store: Any) -> Store:
    """Return another object for the same store: this one may be an app's own. Raises `SojournError` if it is missing."""
    if not hasattr(store, "recreate"):
        msg = f"the app keeps its sessions in a {type(store).__qualname__}, which this command cannot open"
        raise SojournError(msg)
    own: Store = store.recreate()
    if not own.exists():
        msg = (
            f"there is no store at {own.name}; name the one that the app uses, and open a page of the app if it is new"
        )
        raise SojournError(msg)
    return own


def settings_of_app(name: str) -> Settings:
    """The settings of an app named `module:app`, found as a server finds it: from the current folder."""
    module, _, path = name.partition(":")
    if not module or not path:
        msg = f"--app: give module:app, such as shop.main:app; got {name!r}"
        raise SojournError(msg)
    sys.path.insert(0, os.getcwd())
    try:
        with redirect_stdout(sys.stderr):  # standard output is the command's own
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
        msg = f"--app: {name} has no Sojourn in front of it (it is a {type(app).__qualname__})"
        raise SojournError(msg)
    return engine.settings


def _engine_of(app: Any) -> Engine | None:
    """The engine of a Starlette or FastAPI app, of a Flask app, or of a middleware around any other."""
    from sojourn.engine import Engine

    extensions = getattr(app, "extensions", None)
    holders = (
        getattr(getattr(app, "state", None), "sojourn", None),
        extensions.get("sojourn") if isinstance(extensions, dict) else None,
        app,
    )
    found = (getattr(holder, "engine", None) for holder in holders)
    return next((engine for engine in found if isinstance(engine, Engine)), None)
