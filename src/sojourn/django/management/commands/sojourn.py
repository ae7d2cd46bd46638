"""`manage.py sojourn ...`: the command `sojourn`, with the store and the settings of this project."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError  # type: ignore[import-untyped]

from sojourn.cli import main
from sojourn.django._project import read_settings
from sojourn.errors import SettingsError

_DJANGOS_OWN = ("--settings", "--pythonpath")


class Command(BaseCommand):  # type: ignore[misc]
    """Sojourn's command, which parses its own arguments."""

    help = "Show, export and erase what Sojourn recorded; serve its report; run its worker."
    requires_system_checks: Sequence[str] = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """Pass the arguments on, without those that `manage.py` itself has read."""
        sys.exit(self._main(_without_djangos_own(argv[2:]), prog=f"{argv[0].rsplit('/', 1)[-1]} {argv[1]}"))

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Take any arguments, for `call_command("sojourn", "status", "--json")`."""
        parser.add_argument("arguments", nargs=argparse.REMAINDER)

    def handle(self, *_args: Any, arguments: list[str], **_options: Any) -> None:
        """Run the command. Raises `CommandError` if it fails."""
        code = self._main(arguments)
        if code:
            msg = f"sojourn {' '.join(arguments)}: exit code {code}"
            raise CommandError(msg, returncode=code)

    @staticmethod
    def _main(arguments: list[str], prog: str = "sojourn") -> int:
        if arguments[:1] == ["secret"]:  # helps where the settings lack a key
            return main(arguments, prog=prog)
        try:
            settings = read_settings()
        except SettingsError as error:
            sys.stderr.write(f"sojourn: {error}\n")
            return 2
        return main(arguments, settings=settings, prog=prog)


def _without_djangos_own(arguments: list[str]) -> list[str]:
    own: list[str] = []
    places = iter(arguments)
    for argument in places:
        if argument in _DJANGOS_OWN:
            next(places, None)
        elif not argument.startswith(tuple(f"{name}=" for name in _DJANGOS_OWN)):
            own.append(argument)
    return own
