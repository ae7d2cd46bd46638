"""Settings for commands that do the app's own work: those of `--app`, else of the environment. No command needs a key."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import _stores

if TYPE_CHECKING:
    from sojourn.settings import Settings


def app_option(parser: Any) -> None:
    """`--app`, where the environment does as well."""
    parser.add_argument(
        "--app",
        metavar="MODULE:APP",
        help="the app whose settings they are, such as shop.main:app (without it: SOJOURN_* of the environment)",
    )


def settings_of(arguments: argparse.Namespace, *, store: str | None = None) -> Settings:
    """The app's settings; without an app those of the environment, with this store. Raises `SojournError`."""
    from sojourn.settings import Settings
    from sojourn.settings._secrets import new_key

    if arguments.app is not None:
        return _stores.settings_of_app(arguments.app)
    environ = dict(os.environ)
    if not environ.get("SOJOURN_SECRET_KEY", "").strip():
        environ["SOJOURN_SECRET_KEY"] = new_key()  # it will sign nothing: no cookie is made or read here
    if store is not None:
        environ["SOJOURN_STORE"] = store
    return Settings.from_env(environ)


def shown_store(settings: Settings) -> str:
    """The store by its URL, without what may be a credential."""
    (row,) = (row for row in settings.fields() if row.name == "store")
    return row.kind.show(settings.store).strip("'")


def journals_of(settings: Settings | None, store: str | None) -> Path | None:
    """Where the journals of this machine lie that belong to the store; `None` where that cannot be known."""
    from sojourn.errors import SettingsError
    from sojourn.settings import Settings

    if settings is None:
        try:
            settings = Settings(enabled=False, store=store)
        except SettingsError:
            return None
    return settings.journal_folder
