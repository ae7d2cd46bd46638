"""The figures as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from .scene import Row

_HEAD = (
    "fault",
    "answered",
    "sessions",
    "recorded",
    "starts",
    "ends",
    "wrong",
    "lost",
    "twice",
    "harmed",
    "seconds",
    "",
)


def table(rows: Sequence[Row]) -> str:
    """All faults, one a line; below them what is to be said of each."""
    cells = [_HEAD, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    lines = [
        "  ".join(
            cell.ljust(width) if column in (0, len(_HEAD) - 1) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, *(f"{row.fault}: {text}" for row in rows for text in (*row.notes, *row.complaints))])


def line(row: Row) -> str:
    """One fault in words."""
    if row.skipped:
        return f"skipped: {row.skipped}"
    return (
        f"{'as promised' if row.is_kept else 'NOT AS PROMISED'}: {row.answered} answered, "
        f"{row.sessions_recorded} of {row.sessions_true} sessions, {row.lost} lost, {row.duplicates} twice, "
        f"{row.harmed} harmed, {row.wrong} wrong; {row.cut} requests cut off, {row.resent} events sent again; "
        f"{row.seconds:.0f} s"
    )


def _cells(row: Row) -> tuple[str, ...]:
    if row.skipped:
        return (row.fault, *[""] * (len(_HEAD) - 2), f"skipped: {row.skipped}")
    figures = (
        row.answered,
        row.sessions_true,
        row.sessions_recorded,
        row.starts,
        row.ends,
        row.wrong,
        row.lost,
        row.duplicates,
        row.harmed,
    )
    return (row.fault, *map(str, figures), f"{row.seconds:.0f}", "" if row.is_kept else "NOT AS PROMISED")
