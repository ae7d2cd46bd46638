"""`sojourn settings`: every setting with its value and where that came from. Secrets are not shown."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sojourn.errors import SettingsError

from . import _choosing, _stores
from ._output import printable
from ._parser import Commands, UsageError, nearest
from ._tables import Screen, cut, wide_option

if TYPE_CHECKING:
    from sojourn.settings import Settings
    from sojourn.settings._table import Setting

_LONGEST: Final = 500
_WIDEST_ORIGIN: Final = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One setting."""

    name: str
    value: str
    origin: str
    """`default`, `environment`, `configuration` (of the app's framework), `code`, or what named the store."""
    note: str = ""


def add_commands(commands: Commands) -> None:
    """Add the command."""
    settings = commands.add_parser(
        "settings",
        parents=[_stores.options()],
        description="Show each setting, its value and where that came from: the default, the environment, the configuration of "
        "the app's framework, or code. Without an app, the settings are those of the environment. Secrets are not shown.",
    )
    settings.add_argument("names", nargs="*", metavar="NAME", help="only these settings, such as idle_timeout")
    settings.add_argument("--changed", action="store_true", help="only those that are not left at their default")
    settings.add_argument("--json", action="store_true", help="print one JSON document")
    wide_option(settings)
    settings.set_defaults(command=_settings)


def _settings(arguments: argparse.Namespace) -> int:
    choice = _choosing.choice_of(arguments) or _choosing.Choice()
    rows = list(_rows(choice.settings_or_environment(), is_of_app=choice.is_of_app))
    if choice.url is not None:  # the environment did not name it
        origin = choice.origin or "--store"
        rows = [Shown(name=row.name, value=row.value, origin=origin) if row.name == "store" else row for row in rows]
    shown = _chosen(rows, arguments.names)
    if arguments.changed:
        shown = [row for row in shown if row.origin != "default"]
    if arguments.json:
        documents = {row.name: {"value": row.value, "from": row.origin, "note": row.note or None} for row in shown}
        print(json.dumps(documents, indent=2))
        return 0
    if not shown:
        print("all settings are left at their defaults")
        return 0
    print("\n".join(_lines(shown, Screen.of(arguments))))
    return 0


def _lines(rows: list[Shown], screen: Screen) -> Iterator[str]:
    """The value comes last: some are long, and all are to be seen whole."""
    heads = Shown(name="setting", origin="from", value="value")
    name = max(len(row.name) for row in [heads, *rows])
    origin = min(_WIDEST_ORIGIN, max(len(row.origin) for row in [heads, *rows]))
    indent = " " * (name + origin + 6)
    for row in [heads, *rows]:
        start = f"  {row.name:<{name}}  {cut(row.origin, origin):<{origin}}  "
        yield from screen.lines(row.value, indent=indent, first=start)
        notes = [row.note, row.origin if len(row.origin) > origin else ""]
        yield from (screen.paint(line, "odd") for note in notes if note for line in screen.lines(note, indent=indent))


def _chosen(rows: list[Shown], names: list[str]) -> list[Shown]:
    by_name = {row.name: row for row in rows}
    wanted = [name.lower().removeprefix("sojourn_") for name in names]
    for name in wanted:
        if name not in by_name:
            msg = f"settings: there is no setting {name!r}{nearest(name, by_name)}"
            raise UsageError(msg)
    return [by_name[name] for name in wanted] or rows


def _rows(settings: Settings, *, is_of_app: bool) -> Iterator[Shown]:
    from sojourn.settings import Settings

    defaults = Settings(enabled=False, base_dir=settings.base_dir)
    for row in settings.fields():
        variable = os.environ.get(row.env_name, "").strip()
        value = _value(row, settings)
        if row.name == "secret_key" and not is_of_app and not variable:
            value, origin = "None", "default"  # ours, made for this command
        elif settings.origins is not None:
            origin = settings.origins.get(row.name, "default")
        else:
            is_default = getattr(settings, row.name) == (
                row.default if row.name == "enabled" else getattr(defaults, row.name)
            )
            origin = "default" if is_default else "code"
        is_unused = variable and origin != "environment" and not (origin == "code" and _says(row, variable, settings))
        note = f"{row.env_name} of the environment is not used" if is_unused else ""
        yield Shown(name=row.name, value=value, origin=origin, note=note)


def _says(row: Setting, variable: str, settings: Settings) -> bool:
    """Whether the environment says the same: then code may have read it."""
    try:
        return bool(row.parse(row.kind.from_text(variable)) == getattr(settings, row.name))
    except SettingsError:
        return False


def _value(row: Setting, settings: Settings) -> str:
    from sojourn.settings._table import plain

    value = getattr(settings, row.name)
    if row.is_hidden:
        return row.show(value) if value else "None"
    if row.kind.show is plain and isinstance(value, tuple):  # lists whole, not their first six
        return printable(", ".join(map(str, value)) or "None", _LONGEST)
    text = row.kind.show(value)
    return printable(text[1:-1] if isinstance(value, str) and text[:1] in "'\"" else text, _LONGEST)
