"""The command `sojourn`: reads the arguments and hands over. Knows no rule and no store."""

from __future__ import annotations

import argparse
import functools
import importlib.metadata
import math
import os
import sys
from collections.abc import Callable, Sequence

from sojourn.errors import SojournError

from . import _check, _data_subjects, _export, _fake, _generate, _outbox, _report, _sessions, _status, _worker

_SHORTEST_DEMO_S = 5
_INTERRUPTED = 130  # what shells make of Ctrl-C


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 well, 1 failed, 2 wrong arguments."""
    parser = _parser()
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
    except BrokenPipeError:  # `sojourn demo | head`: nobody reads any more, and the interpreter must not try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sojourn", description="Session analytics that a Python web application carries itself."
    )
    parser.add_argument("--version", action="version", version=f"sojourn {importlib.metadata.version('sojourn')}")
    parser.set_defaults(command=None)
    commands = parser.add_subparsers(title="commands", metavar="")

    demo = commands.add_parser(
        "demo",
        help="play visitors against an example app and watch their sessions in a browser",
        description="Start an example app, send it visitors over real HTTP, print their events as they are forwarded, "
        "and check that everything adds up. Writes into a new folder of your state directory.",
    )
    demo.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help=f"end after N seconds, {_SHORTEST_DEMO_S} at least (without it: at Ctrl-C)",
    )
    _generate.add_options(demo)
    demo.set_defaults(command=_demo)

    secret = commands.add_parser(
        "secret",
        help="print a fresh key for SOJOURN_SECRET_KEY",
        description="Print a line with a fresh key, for the environment of your app.",
    )
    secret.set_defaults(command=_secret)

    _report.add_commands(commands)
    _status.add_commands(commands)
    _worker.add_commands(commands)
    _outbox.add_commands(commands)
    _sessions.add_commands(commands)
    _export.add_commands(commands)
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
        msg = f"give a number of seconds, {_SHORTEST_DEMO_S} at least: a visit has to fall silent first; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.generate is not None:
        return _generate.run(arguments.generate, arguments.days, arguments.store)
    if arguments.store is not None:
        raise SojournError("demo: --store is for --generate; without that the demo makes a new folder for each run")
    from sojourn.demo import run

    return 0 if run(arguments.seconds, say=functools.partial(print, flush=True)) else 1


def _secret(_arguments: argparse.Namespace) -> int:
    from sojourn.settings._secrets import new_key

    print(f"SOJOURN_SECRET_KEY={new_key()}")
    return 0
