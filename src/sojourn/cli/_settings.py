"""Settings of commands: those of `--app`, else those of the environment."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from . import _choosing

if TYPE_CHECKING:
    from sojourn.settings import Settings


def app_option(parser: Any) -> None:
    """Add `--app`, for commands that can also use the environment."""
    parser.add_argument(
        "--app",
        metavar="MODULE:APP",
        help="use the settings of this app, such as shop.main:app or shop:create_app (default: SOJOURN_* from the environment)",
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings of the app or the project; without either those of the environment. Raises `SojournError`."""
    return _choosing.settings_of_app(arguments.app) or _choosing.environment()


def shown_store(settings: Settings) -> str:
    """The URL of the store, without anything that may be a credential."""
    (row,) = (row for row in settings.fields() if row.name == "store")
    return row.kind.show(settings.store).strip("'")
