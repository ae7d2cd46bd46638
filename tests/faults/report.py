"""Print the figures for people."""

from __future__ import annotations

from collections.abc import Sequence

from .scene import Row

_HEAD = (
    "fault",
    "responses",
    "sessions",
    "recorded",
    "starts",
    "ends",
    "wrong",
    "lost",
    "duplicated",
    "harmed",
    "seconds",
    "",
)


def table(rows: Sequence[Row]) -> str:
    """Format all faults, one per line, and below them the notes and findings of each."""
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
    """Describe the figures of one fault."""
    if row.skipped:
        return f"skipped: {row.skipped}"
    return (
        f"{'as promised' if row.is_kept else 'NOT AS PROMISED'}: {row.responses} responses, "
        f"{row.sessions_recorded} of {row.sessions_true} sessions, {row.lost} lost, {row.duplicates} duplicated, "
        f"{row.harmed} harmed, {row.wrong} wrong; {row.cut} requests cut off, {row.resent} events sent again; "
        f"{row.seconds:.0f} s"
    )


def _cells(row: Row) -> tuple[str, ...]:
    if row.skipped:
        return (row.fault, *[""] * (len(_HEAD) - 2), f"skipped: {row.skipped}")
    figures = (
        row.responses,
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
