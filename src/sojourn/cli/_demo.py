"""`sojourn demo`: an example app with simulated visitors and its report, or a store full of synthetic sessions."""

from __future__ import annotations

import argparse
import functools
import math

from sojourn.errors import SojournError

from . import _generate
from ._parser import Commands

_SHORTEST_S = 5


def add_commands(commands: Commands) -> None:
    """Add the command."""
    demo = commands.add_parser(
        "demo",
        description="Start an example app, simulate visitors over real HTTP, print their events as they are forwarded, and "
        "check that all figures add up. Writes into a new folder in your state directory.",
    )
    demo.add_argument(
        "--seconds",
        type=_seconds,
        metavar="N",
        help=f"stop after N seconds, at least {_SHORTEST_S} (default: run until Ctrl-C)",
    )
    _generate.add_options(demo)
    demo.set_defaults(command=_demo)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < _SHORTEST_S:
        msg = f"give a number of seconds, at least {_SHORTEST_S}: sessions must reach the idle timeout; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _demo(arguments: argparse.Namespace) -> int:
    if arguments.generate is not None:
        return _generate.run(arguments.generate, arguments.days, arguments.store)
    if arguments.store is not None:
        raise SojournError("demo: --store needs --generate; without it the demo creates a new folder for each run")
    from sojourn.demo import run

    return 0 if run(arguments.seconds, say=functools.partial(print, flush=True)) else 1
