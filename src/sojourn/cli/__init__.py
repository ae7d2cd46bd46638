"""The command `sojourn`: parses the arguments and runs one command."""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from sojourn.errors import SojournError

from . import (
    _agent_ranges,
    _agents,
    _backup,
    _check,
    _choosing,
    _completion,
    _data_subjects,
    _demo,
    _digest,
    _doctor,
    _export,
    _fake,
    _import,
    _init,
    _mcp,
    _outbox,
    _report,
    _secret,
    _sessions,
    _share,
    _show_settings,
    _stats,
    _status,
    _streams,
    _tokens,
    _worker,
)
from ._parser import WRONG_ARGUMENTS, Parser, UsageError

if TYPE_CHECKING:
    from sojourn.settings import Settings

_COMMANDS = {
    "get started": (_demo, _init, _secret, _doctor, _show_settings, _completion),
    "look at sessions": (_report, _stats, _sessions, _agents, _agent_ranges, _digest),
    "record and deliver": (_worker, _status, _outbox, _check, _fake),
    "keep and delete data": (_import, _export, _data_subjects, _backup),
    "let others read": (_tokens, _share, _mcp),
}
"""The modules that add a command, by the titles of the help. A new command is its file and its place here."""
_INTERRUPTED = 130  # as shells report Ctrl-C


def main(argv: Sequence[str] | None = None, *, settings: Settings | None = None, prog: str = "sojourn") -> int:
    """Run one command; return its exit code: 0 success, 1 failure, 2 wrong arguments.

    `settings`: those of the project that runs it, which then needs neither `--store` nor `--app`.
    """
    token = _choosing.project.set(settings)
    try:
        return _streams.guarded(functools.partial(_run, argv, prog))
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
    """The parser with all commands."""
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
    for title, modules in _COMMANDS.items():
        commands = made.commands(title)
        for module in modules:
            module.add_commands(commands)
    return made
