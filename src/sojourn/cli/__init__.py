"""The command `sojourn`: parses the arguments and runs one command."""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import math
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sojourn.errors import SojournError

from . import (
    _check,
    _data_subjects,
    _digest,
    _doctor,
    _export,
    _fake,
    _generate,
    _init,
    _mcp,
    _outbox,
    _report,
    _sessions,
    _stats,
    _status,
    _stores,
    _streams,
    _tokens,
    _worker,
)

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

    from sojourn.settings import Settings

_SHORTEST_DEMO_S = 5
_INTERRUPTED = 130  # as shells report Ctrl-C


def main(argv: Sequence[str] | None = None, *, settings: Settings | None = None, prog: str = "sojourn") -> int:
    """Run one command; return its exit code: 0 success, 1 failure, 2 wrong arguments.

    `settings`: those of the project that runs it, which then needs neither `--store` nor `--app`.
    """
    token = _stores.project.set(settings)
    try:
        return _streams.guarded(functools.partial(_run, argv, prog))
    finally:
        _stores.project.reset(token)


def _run(argv: Sequence[str] | None, prog: str) -> int:
    parser = _parser(prog)
    arguments = parser.parse_args(argv)
    command: Callable[[argparse.Namespace], int] | None = arguments.command
    if command is None:
        parser.print_help()
        return 0
    try:
        return command(arguments)
    except SojournError as error:
        print(f"sojourn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


class _Parser(argparse.ArgumentParser):
    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Print help or version. The base class would say nothing where that cannot be written."""
        if message:
            (file or sys.stderr).write(message)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=prog, description="Session analytics for Python web apps, from inside the app.")
    parser.add_argument("--version", action="version", version=f"sojourn {importlib.metadata.version('sojourn')}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="")

    demo = commands.add_parser(
        "demo",
        help="run an example app with simulated visitors, and its report",
        description="Start an example app, simulate visitors over real HTTP, print their events as they are forwarded, and "
        "check that all figures add up. Writes into a new folder in your state directory.",
    )
    demo.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help=f"stop after N seconds, at least {_SHORTEST_DEMO_S} (default: run until Ctrl-C)",
    )
    _generate.add_options(demo)
    demo.set_defaults(command=_demo)

    secret = commands.add_parser(
        "secret",
        help="print a new SOJOURN_SECRET_KEY",
        description="Print a line with a new secret key, for the environment of your app.",
    )
    secret.set_defaults(command=_secret)

    _report.add_commands(commands)
    _status.add_commands(commands)
    _doctor.add_commands(commands)
    _init.add_commands(commands)
    _tokens.add_commands(commands)
    _worker.add_commands(commands)
    _outbox.add_commands(commands)
    _stats.add_commands(commands)
    _mcp.add_commands(commands)
    _sessions.add_commands(commands)
    _export.add_commands(commands)
    _digest.add_commands(commands)
    _data_subjects.add_commands(commands)
    _check.add_commands(commands)
    _fake.add_commands(commands)
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < _SHORTEST_DEMO_S:
        msg = (
            f"give a number of seconds, at least {_SHORTEST_DEMO_S}: sessions must reach the idle timeout; got {text!r}"
        )
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.generate is not None:
        return _generate.run(arguments.generate, arguments.days, arguments.store)
    if arguments.store is not None:
        raise SojournError("demo: --store needs --generate; without it the demo creates a new folder for each run")
    from sojourn.demo import run

    return 0 if run(arguments.seconds, say=functools.partial(print, flush=True)) else 1


def _secret(_arguments: argparse.Namespace) -> int:
    from sojourn.settings._secrets import new_key

    print(f"SOJOURN_SECRET_KEY={new_key()}")
    return 0
