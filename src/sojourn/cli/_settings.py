"""Settings of commands: those of `--app`, else those of the environment. No command needs a secret key."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _stores

if TYPE_CHECKING:
    from sojourn.settings import Settings


def app_option(parser: Any) -> None:
    """Add `--app`, for commands that can also use the environment."""
    parser.add_argument(
        "--app",
        metavar="MODULE:APP",
        help="use the settings of this app, such as shop.main:app or shop:create_app (default: SOJOURN_* from the environment)",
    )


def settings_of(arguments: argparse.Namespace, *, store: str | None = None) -> Settings:
    """The settings of the app or the project; without either those of the environment, with this store.

    Raises `SojournError`.
    """
    from sojourn.settings import Settings
    from sojourn.settings._secrets import new_key

    if store is None and (settings := _stores.settings_of_app(arguments.app)) is not None:
        return settings
    environ = dict(os.environ)
    if not environ.get("SOJOURN_SECRET_KEY", "").strip():
        environ["SOJOURN_SECRET_KEY"] = new_key()  # never used: commands make and read no cookie
    if store is not None:
        environ["SOJOURN_STORE"] = store
    return Settings.from_env(environ)


def shown_store(settings: Settings) -> str:
    """The URL of the store, without anything that may be a credential."""
    (row,) = (row for row in settings.fields() if row.name == "store")
    return row.kind.show(settings.store).strip("'")


def journals_of(settings: Settings | None, store: str | None) -> Path | None:
    """The directory of this host's journals of the store; `None` if that cannot be known."""
    from sojourn.errors import SettingsError
    from sojourn.settings import Settings

    if settings is None:
        try:
            settings = Settings(enabled=False, store=store)
        except SettingsError:
            return None
    return settings.journal_folder
