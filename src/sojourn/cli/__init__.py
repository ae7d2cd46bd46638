"""The command `sojourn`: parses the arguments and runs one command."""

from __future__ import annotations

import argparse
import functools
import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from sojourn.errors import SojournError

from . import _streams
from ._commands import COMMANDS
from ._parser import WRONG_ARGUMENTS, Commands, Parser, UsageError

if TYPE_CHECKING:
    from sojourn.settings import Settings

_INTERRUPTED = 130  # as shells report Ctrl-C


def main(argv: Sequence[str] | None = None, *, settings: Settings | None = None, prog: str = "sojourn") -> int:
    """Run one command; return its exit code: 0 success, 1 failure, 2 wrong arguments.

    `settings`: those of the project that runs it, which then needs neither `--store` nor `--app`.
    """
    run = functools.partial(_run, argv, prog)
    if settings is None:
        return _streams.guarded(run)
    from . import _choosing

    token = _choosing.project.set(settings)
    try:
        return _streams.guarded(run)
    finally:
        _choosing.project.reset(token)


def _run(argv: Sequence[str] | None, prog: str) -> int:
    arguments = parser(prog).parse(argv)
    try:
        code: int = arguments.command(arguments)
    except UsageError as error:
        print(f"sojourn: {error}", file=sys.stderr)
        return WRONG_ARGUMENTS
    except SojournError as error:
        print(f"sojourn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


class _Version(argparse.Action):
    """Looks the version up only where it is asked for: other commands, and each completed word, need no metadata."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        import importlib.metadata

        print(f"sojourn {importlib.metadata.version('sojourn')}")
        parser.exit()


def parser(prog: str) -> Parser:
    """The parser with all commands. The module of each is imported when its options are needed."""
    made = Parser(
        prog=prog,
        description="Session analytics for Python web apps, from inside the app.",
        epilog=f"`{prog} COMMAND --help` shows the options of a command.",
    )
    made.add_argument(
        "--version",
        action=_Version,
        nargs=0,
        dest=argparse.SUPPRESS,
        default=argparse.SUPPRESS,
        help="show program's version number and exit",
    )
    for title, entries in COMMANDS.items():
        commands = made.commands(title)
        for name, (module, line) in entries.items():
            commands.announce(name, help=line, add=functools.partial(_add, module, commands))
    return made


def _add(module: str, commands: Commands) -> None:
    importlib.import_module(f"{__name__}.{module}").add_commands(commands)
