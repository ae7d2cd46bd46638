"""`python -m benchmarks`: what Sojourn costs, side by side with what it stands beside. Figures, never a pass or a fail by time."""

from __future__ import annotations

import argparse
import sys

from . import request_path


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=2000, help="requests of each round")
    chosen = parser.parse_args()
    return 0 if request_path.main(chosen.rounds, chosen.requests) else 1


if __name__ == "__main__":
    sys.exit(main())
