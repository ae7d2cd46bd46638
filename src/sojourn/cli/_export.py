"""`sojourn export`: sessions, events, or one person's data, as JSON or CSV, in bounded memory."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from sojourn.errors import SojournError

from . import _data_subjects, _session_filters, _stores
from ._parser import Commands
from ._progress import Bar
from ._timeline import harmless

if TYPE_CHECKING:
    from sojourn.core.events import Event, Position
    from sojourn.stores import Store
    from sojourn.stores.reporting.model import Filter, SessionLine, Span

_AT_ONCE: Final = 500
_EVENT_COLUMNS: Final = (
    "event_id",
    "position",
    "name",
    "time",
    "session_key",
    "session_id",
    "visitor_id",
    "user_id",
    "attributes",
)


def add_commands(commands: Commands) -> None:
    """Add the command."""
    export = commands.add_parser(
        "export",
        parents=[_stores.options(), _session_filters.options()],
        description="Export sessions (latest first) or events (in log order), one per line, as JSON or as CSV that no "
        "spreadsheet takes for formulas; or all data of a visitor or a user as one JSON document.",
    )
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument("--sessions", action="store_true", help="sessions, without their events")
    what.add_argument(
        "--events", action="store_true", help="events, as CloudEvents; --since and --until filter by their time"
    )
    _data_subjects.add_person(what)
    export.add_argument("--format", choices=["jsonl", "csv"], help="JSON lines (default) or CSV")
    export.add_argument("--output", type=Path, metavar="FILE", help="write to this new file (default: standard output)")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    _check(arguments)
    source = _stores.source_of(arguments)
    if not (arguments.sessions or arguments.events):
        _data_subjects.export_person(arguments, source)
        return 0
    with (
        source.opened() as store,
        _data_subjects.open_output(arguments.output) as out,
        _progress(arguments.output) as progress,
    ):
        now = _stores.now_of(store)
        is_csv = arguments.format == "csv"
        if arguments.events:
            done = _events(store, _session_filters.span_of(arguments, now), out, progress, is_csv=is_csv)
        else:
            done = _sessions(
                store, _session_filters.filter_of(arguments, source, store, now), out, progress, is_csv=is_csv
            )
    print(f"exported: {done:,} {'events' if arguments.events else 'sessions'}", file=sys.stderr)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Raise `SojournError` for options that would have no effect."""
    names = ["active", "path", "reason", "errors", "where", "view"]
    if not (arguments.sessions or arguments.events):
        names += ["format", "since", "until"]
        what = "--user or --visitor, which export everything as one JSON document"
    elif arguments.events:
        what = "--events: use --sessions to filter sessions, or filter events with --since and --until"
    else:
        return
    options = [f"--{name}" for name in names if getattr(arguments, name)]
    if options:
        raise SojournError(f"{', '.join(options)} cannot be used with {what}")


# --- output ---------------------------------------------------------------------------------------------------


def _sessions(store: Store, session_filter: Filter, out: TextIO, progress: Bar, *, is_csv: bool) -> int:
    from sojourn.report._export import COLUMNS, cell, fields
    from sojourn.stores.reporting.model import Filter

    total = store.stats().sessions if session_filter == Filter() else None
    write: Callable[[SessionLine], object]
    if is_csv:
        rows = csv.writer(out, lineterminator="\r\n")
        rows.writerow(COLUMNS)

        def write(line: SessionLine) -> object:
            return rows.writerow([cell(value) for value in fields(line).values()])

    else:

        def write(line: SessionLine) -> object:
            return out.write(harmless(json.dumps(fields(line), ensure_ascii=False)) + "\n")

    done = 0
    for part in store.sessions.export(session_filter):
        for line in part:
            write(line)
        done += len(part)
        progress.show("sessions", done, total)
    return done


def _events(store: Store, span: Span | None, out: TextIO, progress: Bar, *, is_csv: bool) -> int:
    """Export events up to the current head of the log, without those recorded meanwhile."""
    from sojourn.backends import cloudevents

    rows = csv.writer(out, lineterminator="\r\n")
    if is_csv:
        rows.writerow(_EVENT_COLUMNS)
    done, total, head = 0, store.stats().events, store.log.head()
    for number, event in enumerate(_log(store, head), 1):
        if span is None or span.since <= event.time < span.until:
            if is_csv:
                rows.writerow(_cells(event))
            else:
                out.write(harmless(cloudevents.encode(event).decode()) + "\n")
            done += 1
        progress.show("events", min(number, total), total)
    return done


def _log(store: Store, head: Position) -> Iterator[Event]:
    from sojourn.core.events import START

    after = START
    while part := store.log.after(after, limit=_AT_ONCE):
        for event in part:
            if not store.log.has_passed(head, event.position):
                return
            yield event
        after = part[-1].position


def _cells(event: Event) -> list[str | int | float]:
    from sojourn.backends.cloudevents import rfc3339
    from sojourn.report._export import cell

    attributes = json.dumps(dict(event.attributes), ensure_ascii=False)
    values = (
        event.id,
        str(event.position),
        event.name,
        rfc3339(event.time),
        event.session_key,
        event.session_id,
        event.visitor_id,
        event.user_id,
        attributes,
    )
    return [cell(value) for value in values]


def _progress(output: Path | None) -> Bar:
    """On standard error, unless the export itself goes to the terminal."""
    return Bar(sys.stderr if output is not None or not sys.stdout.isatty() else None)
