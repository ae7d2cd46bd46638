"""What a command works with: `--store`, `--app`, the environment, `[tool.sojourn]`, or a store in this folder.

What was not named for this very call, by an option or the environment, is a guess. A command that destroys takes none.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from contextlib import chdir
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sojourn.core.shared_places import is_anothers

from . import _apps
from ._parser import UsageError, nearest

if TYPE_CHECKING:
    from sojourn.settings import Settings

VARIABLE: Final = "SOJOURN_STORE"
_PYPROJECT: Final = "pyproject.toml"
_KEYS: Final = ("store", "app")
_NEAR: Final = ("sojourn.db", "instance/sojourn.db")
"""Where an app keeps its store unless told otherwise; the second is Flask's place."""

project: ContextVar[Settings | None] = ContextVar("project", default=None)
"""The settings of the project whose own command runs ours, as `manage.py sojourn` does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The settings that have the store, or a store without settings."""

    settings: Settings | None = None
    url: str | None = None
    origin: str = ""
    """What named it, unless the user did in this call."""
    is_guess: bool = False

    @property
    def is_of_app(self) -> bool:
        """Whether the settings are an app's or a project's, not those of the environment."""
        return self.settings is not None and self.origin != VARIABLE

    def settings_or_environment(self) -> Settings:
        """The settings; for a store without any, those of the environment with it. Raises `SettingsError`."""
        return self.settings or environment(store=self.url)


def choice_of(arguments: argparse.Namespace) -> Choice | None:
    """What the options, else the environment, else this folder and those above name. Raises `SojournError`."""
    if arguments.store is not None:
        return Choice(url=arguments.store)
    if (settings := settings_of_app(arguments.app)) is not None:
        return Choice(settings=settings)
    if os.environ.get(VARIABLE, "").strip():
        return Choice(settings=environment(), origin=VARIABLE)
    folder = _here()
    return None if folder is None else _in_pyproject(folder) or _near(folder)


def settings_of_app(name: str | None) -> Settings | None:
    """The settings of `--app`; without it those of the project that runs the command, if one does. Raises `SojournError`."""
    return project.get() if name is None else _apps.settings_of(name)


def app_in_pyproject() -> Settings | None:
    """The settings of the app that `[tool.sojourn]` names, for commands that need no store. Raises `SojournError`."""
    folder = _here()
    choice = None if folder is None else _in_pyproject(folder)
    return None if choice is None else choice.settings


def _here() -> Path | None:
    try:
        return Path.cwd()
    except OSError:  # it was deleted
        return None


def environment(*, store: str | None = None) -> Settings:
    """The settings of the environment, with this store. No command needs a secret key. Raises `SettingsError`."""
    from sojourn.settings import Settings
    from sojourn.settings._secrets import new_key

    environ = dict(os.environ)
    if not environ.get("SOJOURN_SECRET_KEY", "").strip():
        environ["SOJOURN_SECRET_KEY"] = new_key()  # never used: commands make and read no cookie
    if store is not None:
        environ[VARIABLE] = store
    return Settings.from_env(environ)


# --- pyproject.toml ---------------------------------------------------------------------------------------------------


def _in_pyproject(folder: Path) -> Choice | None:
    """The nearest file upwards that has the table, as for other tools: one of a part of a project may be without."""
    for each in (folder, *folder.parents):
        file = each / _PYPROJECT
        if (table := _table(file)) is not None:
            return _chosen(file, table)
    return None


def _table(file: Path) -> Mapping[str, Any] | None:
    if is_anothers(file):  # in /tmp, say: an app that it names would be run
        return None
    try:
        text = file.read_bytes()
    except OSError:
        return None
    if b"sojourn" not in text:
        return None
    import tomllib

    try:
        tool = tomllib.loads(text.decode()).get("tool")
    except ValueError as error:
        msg = f"{file} is no TOML ({error}); correct it, or name the store: --store URL"
        raise UsageError(msg) from None
    table = tool.get("sojourn") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        msg = f'{file}: write a table [tool.sojourn] with store = "..." or app = "..."'
        raise UsageError(msg)
    return table


def _chosen(file: Path, table: Mapping[str, Any]) -> Choice:
    from sojourn.settings._places import SQLITE, absolute, has_password, store_path

    where = f"[tool.sojourn] in {file}"
    for key in table:
        if key not in _KEYS:
            hint = (
                nearest(key, _KEYS)
                or "; it takes store or app. Settings belong to the app, which does not read this file"
            )
            msg = f"{where}: {key!r} is unknown{hint}"
            raise UsageError(msg)
    if len(table) != 1:
        msg = f'{where}: write either store = "sqlite:///path/to/file.db" or app = "module:app"'
        raise UsageError(msg)
    ((key, value),) = table.items()
    if not isinstance(value, str) or not value.strip():
        msg = f"{where}: {key} must be text"
        raise UsageError(msg)
    if key == "app":
        with chdir(file.parent):  # what the app names relatively is meant from there
            return Choice(settings=_apps.settings_of(value, named_by=f"{where}: app"), origin=where, is_guess=True)
    path = store_path(value)
    if path is None and has_password(value):
        msg = (
            f"{where}: store has a password, and this file is shared with everybody who has the code; leave it out and let "
            f"PostgreSQL find it in ~/.pgpass or PGPASSWORD, or set {VARIABLE} in the environment instead"
        )
        raise UsageError(msg)
    return Choice(url=value if path is None else SQLITE + str(absolute(path, file.parent)), origin=where, is_guess=True)


# --- this folder ------------------------------------------------------------------------------------------------------


def _near(folder: Path) -> Choice | None:
    from sojourn.settings._places import SQLITE, absolute

    files = [file for name in _NEAR if (file := folder / name).is_file() and not is_anothers(file)]
    if not files:
        return None
    others = "".join(f"; there is {file.relative_to(folder)}, too" for file in files[1:])
    return Choice(url=SQLITE + str(absolute(files[0])), origin=f"found in this folder{others}", is_guess=True)
