"""Health by release: what changed for visits from the version before. Pure.

Two shares differ only where chance does not explain it: a release of an hour ago is not worse because one of its three visits
met an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt
from typing import Final

from ._columns import Column, Line

_UNLIKELY: Final = 2.0
"""Standard deviations: by chance one difference in twenty is larger."""
_FEWEST: Final = 30
"""Of fewer visits no share is judged."""
_STEADY: Final = 0.0005


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Return versions, the latest first by when they were first seen, each beside the one before it."""
    oldest_first = sorted(lines, key=lambda line: (line.counts.first_at, line.value))
    previous: Line | None = None
    found = []
    for line in oldest_first:
        found.append(replace(line, before=previous))
        previous = line
    return found[::-1]


def change(name: str, label: str, measure: str, of: str, hint: str) -> Column:
    """A column of the change of a share since the version before; more is worse."""

    def value(line: Line) -> float | None:
        before = None if line.before is None else line.before.share(measure, of)
        share = line.share(measure, of)
        return None if share is None or before is None else share - before

    def mark(line: Line) -> str:
        if line.before is None or not _differs(line, line.before, measure, of):
            return ""
        return "bad" if (value(line) or 0) > 0 else "good"

    return Column(name=name, label=label, value=value, text=points, mark=mark, hint=hint)


def points(share: float) -> str:
    """Write a change of a share in percentage points."""
    sign = "+" if share > 0 else "\N{MINUS SIGN}"
    return "no change" if abs(share) < _STEADY else f"{sign}{abs(share) * 100:.1f} pp"


def _differs(line: Line, before: Line, measure: str, of: str) -> bool:
    counts, wholes = (line[measure], before[measure]), (line[of], before[of])
    if min(wholes) < _FEWEST:
        return False
    pooled = sum(counts) / sum(wholes)
    deviation = sqrt(pooled * (1 - pooled) * (1 / wholes[0] + 1 / wholes[1]))
    return deviation > 0 and abs(counts[0] / wholes[0] - counts[1] / wholes[1]) > _UNLIKELY * deviation
