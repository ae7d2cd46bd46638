"""Many seeds, or every call failing once: `scripts/simulate`."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from .calls import every_call, failing
from .play import RARE, Outcome, actions_of, fleet_of, played, shrunk

DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Totals:
    runs: int
    simulated_days: float
    requests: int
    reached: Counter[str]
    broken: list[tuple[object, list[str]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 if every promise was kept and, of many seeds, every rare branch was reached."""
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=300, metavar="N", help="how many (default: 300)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (default: 0)")
    parser.add_argument("--seed", type=int, metavar="SEED", help="play one seed, and print the shortest run that fails")
    parser.add_argument(
        "--calls", action="store_true", help="let each call of files and store fail once, instead of seeds"
    )
    chosen = parser.parse_args(arguments)
    logging.disable(logging.CRITICAL)
    if chosen.seed is not None:
        return _one(chosen.seed)
    if chosen.calls:
        totals = _all(failing, every_call(), "calls")
    else:
        totals = _all(_seed, range(chosen.first, chosen.first + chosen.seeds), "seeds")
    print(f"{totals.runs} runs, {totals.requests:,} requests, {totals.simulated_days:,.0f} days")
    for name, count in sorted(totals.reached.items()):
        print(f"  {count:8,}  {name}")
    for what, complaints in totals.broken:
        print(f"BROKEN {what}: {'; '.join(complaints[:3])}")
    missing = [] if chosen.calls or chosen.seeds < 200 else sorted(RARE - totals.reached.keys())
    for name in missing:
        print(f"NEVER REACHED: {name}")
    return 1 if totals.broken or missing else 0


def _seed(seed: object) -> Outcome:
    assert isinstance(seed, int)
    logging.disable(logging.CRITICAL)
    return played(seed, fleet_of(seed), actions_of(seed))


def _one(seed: int) -> int:
    fleet, actions = fleet_of(seed), actions_of(seed)
    outcome = played(seed, fleet, actions)
    for complaint in outcome.complaints:
        print(complaint)
    if not outcome.complaints:
        print("every promise is kept")
        return 0
    print(f"\n{fleet}\n" + "\n".join(f"    {action}," for action in shrunk(seed, fleet, actions)))
    return 1


def _all(play: Callable[[object], Outcome], what: Iterable[object], unit: str) -> Totals:
    items = list(what)
    reached: Counter[str] = Counter()
    broken: list[tuple[object, list[str]]] = []
    simulated = requests = 0
    began = time.monotonic()
    with ProcessPoolExecutor() as pool:
        for number, (item, outcome) in enumerate(zip(items, pool.map(play, items, chunksize=4), strict=True), 1):
            reached += outcome.reached
            simulated += outcome.simulated_ms
            requests += outcome.requests
            if outcome.complaints:
                broken.append((item, outcome.complaints))
            if sys.stderr.isatty() or number % 50 == 0:
                end = "\r" if sys.stderr.isatty() else "\n"
                took = time.monotonic() - began
                print(f"{number} of {len(items)} {unit}, {len(broken)} broken, {took:.0f} s ", end=end, file=sys.stderr)
    return Totals(runs=len(items), simulated_days=simulated / DAY_MS, requests=requests, reached=reached, broken=broken)


if __name__ == "__main__":
    sys.exit(main())
