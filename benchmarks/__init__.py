"""Figures, side by side in one run. `python -m benchmarks` runs what `scripts/bench` does."""
