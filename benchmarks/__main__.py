"""What Sojourn costs, side by side with what it stands beside. Figures, never a pass or a fail by time."""

from __future__ import annotations

import argparse
import sys

from benchmarks import drain, request_path, vendors


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--requests", type=int, default=2000, help="requests of each round")
    chosen = parser.parse_args()
    is_whole = request_path.main(chosen.rounds, chosen.requests)
    drain.main()
    vendors.main()
    return 0 if is_whole else 1


if __name__ == "__main__":
    sys.exit(main())
