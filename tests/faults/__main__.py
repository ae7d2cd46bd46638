"""The fault suite: break real servers, stores and backends, and account for every event."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from . import catalogue, report
from .scene import Fault, Row, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen faults. Return 0 if every figure is as promised, 1 if one is not, 2 for wrong arguments."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    if chosen.list:
        for fault in catalogue.FAULTS:
            reason = fault.missing()
            print(f"{fault.name:24} {fault.about}{f'  (cannot run here: {reason})' if reason else ''}")
        return 0
    rows = _played(_chosen(parser, chosen.only), chosen)
    if chosen.json:
        print(json.dumps([dataclasses.asdict(row) for row in rows], indent=2))
    else:
        print(report.table(rows))
    return 0 if all(row.is_kept for row in rows) else 1


def _played(faults: Sequence[Fault], chosen: argparse.Namespace) -> list[Row]:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", file=sys.stderr, flush=True)

    def say_within(text: str) -> None:
        say(f"    {text}")

    rows = []
    for number, fault in enumerate(faults, 1):
        say(f"{number}/{len(faults)} {fault.name}: {fault.about}")
        row = run(fault, say_within, seconds=chosen.seconds, is_full=chosen.full)
        say_within(report.line(row))
        for complaint in row.complaints:
            say(f"      {complaint}")
        rows.append(row)
    return rows


def _chosen(parser: argparse.ArgumentParser, names: Sequence[str] | None) -> Sequence[Fault]:
    if not names:
        return catalogue.FAULTS
    faults = {fault.name: fault for fault in catalogue.FAULTS}
    for name in names:
        if name not in faults:
            parser.error(f"--only: no fault is called {name!r}; --list shows their names")
    return [faults[name] for name in names]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("--only", action="append", metavar="NAME", help="run only this fault (may be repeated)")
    parser.add_argument("--list", action="store_true", help="list the faults")
    parser.add_argument(
        "--seconds", type=_seconds, metavar="N", help="how long each fault lasts, instead of its default"
    )
    parser.add_argument("--full", action="store_true", help="an outage of 1,000,000 events instead of 100,000")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    return parser


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not seconds > 0 or math.isinf(seconds):
        msg = f"give a number of seconds above 0; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _leave(number: int, _frame: FrameType | None) -> None:
    """End as with Ctrl-C, so that everything that was started is stopped."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    sys.exit(main())
