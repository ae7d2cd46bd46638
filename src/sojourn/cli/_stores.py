"""The store of a command. Only an existing one, but where a command is told to create it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from ._choosing import VARIABLE, choice_of, environment
from ._parser import UsageError

if TYPE_CHECKING:
    from sojourn.core.saved_views import NamedQuery
    from sojourn.settings import Settings
    from sojourn.stores import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSource:
    """A store, with the settings that name it if there are any."""

    make: Callable[[], Store]
    settings: Settings | None = None
    url: str | None = None
    """The store's URL, where there are no settings."""

    @property
    def saved_views(self) -> tuple[NamedQuery, ...]:
        """Those of the settings."""
        return () if self.settings is None else self.settings.saved_views

    def settings_or_environment(self) -> Settings:
        """The settings; for a store without any, those of the environment with it. Raises `SettingsError`."""
        return self.settings or environment(store=self.url)

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """Open the store for the block."""
        store = self.make()
        try:
            yield store
        finally:
            store.close()

    def journals(self) -> Path | None:
        """The directory of this host's journals of the store; `None` if that cannot be known."""
        return journals_of(self.settings, self.url)


def options() -> argparse.ArgumentParser:
    """A parent parser with `--store` and `--app`, for every command that uses a store."""
    parent = argparse.ArgumentParser(add_help=False)
    where = parent.add_mutually_exclusive_group()
    where.add_argument(
        "--store",
        metavar="URL",
        help=f"use this store, such as sqlite:///sojourn.db or postgresql://host/db (default: {VARIABLE}, [tool.sojourn] in "
        "pyproject.toml, sojourn.db or instance/sojourn.db in this folder)",
    )
    where.add_argument(
        "--app", metavar="MODULE:APP", help="use the store of this app, such as shop.main:app or shop:create_app"
    )
    return parent


def source_of(arguments: argparse.Namespace, *, destroys: bool = False, creates: bool = False) -> StoreSource:
    """Find the store, and print its name on standard error. Raises `SojournError` if it does not exist.

    `destroys`: the command deletes or rewrites, so the store must be named, not guessed. `creates`: it need not exist.
    """
    from sojourn.stores import open_store

    choice = choice_of(arguments)
    if choice is None:
        msg = (
            f"no store is named: give --store URL or --app MODULE:APP, set {VARIABLE}, or write [tool.sojourn] into "
            "pyproject.toml; there is no sojourn.db and no instance/sojourn.db in this folder"
        )
        raise UsageError(msg)
    url_or_store: Any = choice.url if choice.settings is None else choice.settings.store
    store = _own(open_store(url_or_store) if isinstance(url_or_store, str) else url_or_store)
    if not creates:
        _check_exists(store)
    if destroys and choice.is_guess:
        msg = (
            f"a command that deletes or rewrites wants the store named, and {store.name} was not ({choice.origin}); "
            f"add --store {store.name}, or --app MODULE:APP, or set {VARIABLE}"
        )
        raise UsageError(msg)
    print(f"store: {store.name}{choice.origin and f' ({choice.origin})'}", file=sys.stderr)
    return StoreSource(make=store.recreate, settings=choice.settings, url=choice.url)


def _own(store: Any) -> Store:
    """Return another object for the same store: this one may be an app's own."""
    if not hasattr(store, "recreate"):
        msg = f"the app's store is a {type(store).__qualname__}, which commands cannot open"
        raise SojournError(msg)
    own: Store = store.recreate()
    return own


def _check_exists(store: Store) -> None:
    if not store.exists():
        msg = f"there is no store at {store.name}; use the app's store, and open a page of the app first if it is new"
        raise SojournError(msg)


def journals_of(settings: Settings | None, url: str | None) -> Path | None:
    """The directory of this host's journals of a store; `None` if that cannot be known."""
    from sojourn.errors import SettingsError
    from sojourn.settings import Settings

    if settings is None:
        try:
            settings = Settings(enabled=False, store=url)
        except SettingsError:
            return None
    return settings.journal_folder


def now_of(store: Store) -> int:
    """The store's time, else this host's."""
    from sojourn.core.clock import SystemClock

    store_time = store.time()
    return SystemClock.now() if store_time is None else store_time
