"""What Sojourn costs, side by side with what it stands beside. Figures, never a pass or a fail by time."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import drain, fleet, report, request_path, rollup_cost, saturation, startup, steady, vendors
from benchmarks.timing import Spread, table

PARTS = ("request", "startup", "saturation", "recorder", "fleet", "vendors")
LONG = ("steady", "report")
"""Only when they are asked for."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="part",
        help=f"any of {', '.join(PARTS + LONG)}; without one, all but {' and '.join(LONG)}",
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=2000, help="requests of each round, in process")
    parser.add_argument("--seconds", type=float, default=5, help="of load on each variant of `saturation` in a round")
    parser.add_argument("--minutes", type=float, default=10, help="of load on each variant of `steady`")
    parser.add_argument("--sdks", metavar="PYTHON", help="a Python with sentry-sdk, posthog, starlette and uvicorn")
    parser.add_argument("--store", metavar="URL", default=report.KEPT, help="of `report`; made if it is not there")
    parser.add_argument("--sessions", type=int, default=1_000_000, help="of the store that `report` makes")
    parser.add_argument("--json", metavar="FILE", type=Path, help="also write the figures to a file")
    chosen = parser.parse_args()
    if unknown := set(chosen.parts) - {*PARTS, *LONG}:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS + LONG)}")
    parts = chosen.parts or PARTS
    figures: dict[str, Any] = {"machine": _machine()}
    if "request" in parts:
        for door in request_path.DOORS:
            figures[door] = request_path.measure_door(door, rounds=chosen.rounds, requests=chosen.requests)
            print(_request_table(door, figures[door]), end="\n\n", flush=True)
    if "startup" in parts:
        figures["startup"] = startup.measure_startup(chosen.rounds)
        print(_startup_table(figures["startup"]), end="\n\n", flush=True)
    if "saturation" in parts:
        rounds = max(1, chosen.rounds // 4)
        figures["saturation"] = saturation.measure_saturation(rounds=rounds, seconds=chosen.seconds, sdks=chosen.sdks)
        print(_saturation_table(figures["saturation"]), end="\n\n", flush=True)
    if "steady" in parts:
        figures["steady"] = steady.measure_steady(minutes=chosen.minutes)
        print(_steady_table(figures["steady"]), end="\n\n", flush=True)
    if "recorder" in parts:
        drain.main()
        rollup_cost.main()
    if "report" in parts:
        report.main(["--store", chosen.store, "--sessions", str(chosen.sessions)])
    if "fleet" in parts:
        figures["fleet"] = fleet.measure_fleet()
        print(flush=True)
    if "vendors" in parts:
        vendors.main()
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


def _machine() -> dict[str, Any]:
    return {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform(terse=True)}


def _request_table(door: str, figures: dict[str, Any]) -> str:
    rows = [
        (f"{door}, median (quartiles)", "us a request", f"of {figures['reference']}", "reach"),
        ("bare", _spread(figures["bare_us"]), "", ""),
        (f"{figures['reference']}, over bare", _spread(figures["reference_us"]), "1", ""),
    ]
    for label, name in (("request path", "request_path"), ("all CPU counted", "all_cpu")):
        ratio = figures[f"{name}_ratio"]
        rows.append(
            (f"Sojourn, {label}, over bare", _spread(figures[f"{name}_us"]), _spread(ratio, 2), f"<= {ratio['reach']}")
        )
    return table(rows)


def _startup_table(figures: dict[str, Any]) -> str:
    rows = [
        ("A process, median (quartiles)", "over Starlette alone", "reach"),
        (
            "import of sojourn.starlette, ms of CPU",
            _spread(figures["import_ms"]),
            f"<= {figures['import_ms']['reach']:g}",
        ),
    ]
    if figures["memory_mib"] is not None:
        rows.append(("memory of its own, MiB", _spread(figures["memory_mib"]), ""))
    return table(rows)


def _saturation_table(figures: dict[str, Any]) -> str:
    rows: list[tuple[str, ...]] = [
        ("uvicorn on one core, of bare", "requests/s", "throughput", "p99 at 1", "p99 at 32", "backlog")
    ]
    for name, each in figures.items():
        backlog = "" if each["backlog"] is None else f"{each['backlog']:,}"
        shares = (_spread(each[part], 2) for part in ("rate_of_bare", "p99_of_bare_at_1", "p99_of_bare_at_32"))
        rows.append((name, f"{each['requests_per_second']['median']:,.0f}", *shares, backlog))
    return table(rows)


def _steady_table(figures: dict[str, Any]) -> str:
    """The first and the second half of the windows: a steady state has the same in both."""
    rows: list[tuple[str, ...]] = [("32 connections without a rest", "throughput of bare", "p99 of bare", "waiting")]
    for name, each in figures.items():
        half = (len(each["waiting"]) + 1) // 2
        for label, part in (("first half", slice(half)), ("second half", slice(half, None))):
            shares = (_spread(asdict(Spread.of(each[key][part])), 2) for key in ("rate_of_bare", "p99_of_bare"))
            rows.append((f"{name}, {label}", *shares, f"{min(each['waiting'][part]):,}-{max(each['waiting'][part]):,}"))
    return table(rows)


def _spread(figures: dict[str, float], digits: int = 1) -> str:
    return f"{figures['median']:.{digits}f} ({figures['low']:.{digits}f}-{figures['high']:.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
