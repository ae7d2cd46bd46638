"""`sojourn export`: a person, all sessions, or all events, as JSON or CSV. As much as there is, in bounded memory."""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from sojourn.errors import SojournError

from . import _data_subjects, _session_filters, _stores
from ._drain import Bar
from ._sessions import now_of
from ._timeline import harmless

if TYPE_CHECKING:
    from sojourn.core.events import Event
    from sojourn.stores import Store
    from sojourn.stores.reporting.model import Filter, SessionLine, Span

_AT_ONCE: Final = 500
_REDRAW_S: Final = 0.1
_EVENT_COLUMNS: Final = (
    "event_id",
    "seq",
    "name",
    "time",
    "session_key",
    "session_id",
    "visitor_id",
    "user_id",
    "attributes",
)


def add_commands(commands: Any) -> None:
    """Add it to the subparsers of the command line."""
    export = commands.add_parser(
        "export",
        parents=[_stores.options(), _session_filters.options()],
        help="write sessions or events as JSON lines or CSV, or all about one person as JSON",
        description="Write sessions (latest first), or events in the order of the log, a line each: JSON, or CSV whose "
        "cells no spreadsheet takes for formulas. Or all about a visitor or a user, as one JSON document.",
    )
    what = export.add_mutually_exclusive_group(required=True)
    what.add_argument("--sessions", action="store_true", help="sessions, without their events")
    what.add_argument(
        "--events", action="store_true", help="events, as CloudEvents; --since and --until are about them"
    )
    _data_subjects.add_person(what)
    export.add_argument("--format", choices=["jsonl", "csv"], help="JSON lines (without it), or CSV")
    export.add_argument("--output", type=Path, metavar="FILE", help="write a new file, not to standard output")
    export.set_defaults(command=_export)


def _export(arguments: argparse.Namespace) -> int:
    _check(arguments)
    place = _stores.place_of(arguments)
    if not (arguments.sessions or arguments.events):
        _data_subjects.export_person(arguments, place)
        return 0
    with (
        place.opened() as store,
        _data_subjects.open_output(arguments.output) as out,
        _progress(arguments.output) as progress,
    ):
        now = now_of(store)
        is_csv = arguments.format == "csv"
        if arguments.events:
            done = _events(store, _session_filters.span_of(arguments, now), out, progress, is_csv=is_csv)
        else:
            done = _sessions(store, _session_filters.filter_of(arguments, place, now), out, progress, is_csv=is_csv)
    print(f"written: {done:,} {'events' if arguments.events else 'sessions'}", file=sys.stderr)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that would silently do nothing."""
    names = ["active", "path", "reason", "errors"]
    if not (arguments.sessions or arguments.events):
        names += ["format", "since", "until"]
        what = "one person: that is one JSON document of all there is"
    elif arguments.events:
        what = "--events: choose sessions with --sessions, or look through the events with --since and --until"
    else:
        return
    given = [f"--{name}" for name in names if getattr(arguments, name)]
    if given:
        raise SojournError(f"{', '.join(given)} cannot be used with {what}")


# --- what is written ---------------------------------------------------------------------------------------------------


def _sessions(store: Store, wanted: Filter, out: TextIO, progress: Progress, *, is_csv: bool) -> int:
    from sojourn.report._export import COLUMNS, cell, fields
    from sojourn.stores.reporting.model import Filter

    total = store.stats().sessions if wanted == Filter() else None
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
    for part in store.sessions.export(wanted):
        for line in part:
            write(line)
        done += len(part)
        progress.show(done, total, "sessions")
    return done


def _events(store: Store, span: Span | None, out: TextIO, progress: Progress, *, is_csv: bool) -> int:
    """Events up to where the log is now; what is recorded meanwhile is not among them."""
    from sojourn.backends import cloudevents

    rows = csv.writer(out, lineterminator="\r\n")
    if is_csv:
        rows.writerow(_EVENT_COLUMNS)
    done, head = 0, store.log.head()
    for event in _log(store, head):
        if span is None or span.since <= event.time < span.until:
            if is_csv:
                rows.writerow(_cells(event))
            else:
                out.write(harmless(cloudevents.encode(event).decode()) + "\n")
            done += 1
        progress.show(event.seq, head, "places of the log")
    return done


def _log(store: Store, head: int) -> Iterator[Event]:
    after = 0
    while part := store.log.after(after, limit=_AT_ONCE):
        for event in part:
            if event.seq > head:
                return
            yield event
        after = part[-1].seq


def _cells(event: Event) -> list[str | int]:
    from sojourn.backends.cloudevents import rfc3339
    from sojourn.report._export import cell

    attributes = json.dumps(dict(event.attributes), ensure_ascii=False)
    values = (
        event.id,
        event.seq,
        event.name,
        rfc3339(event.time),
        event.session_key,
        event.session_id,
        event.visitor_id,
        event.user_id,
        attributes,
    )
    return [cell(value) for value in values]


# --- how far it is -----------------------------------------------------------------------------------------------------


class Progress:
    """A bar on standard error where a person sees it and it disturbs nothing; else nothing at all."""

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self._bar = None if stream is None else Bar(stream)
        self._began = self._drawn_at = time.monotonic()

    def show(self, done: int, total: int | None, what: str) -> None:
        """Of an unknown `total` only how many there are so far."""
        if self._bar is None or self._stream is None:
            return
        now = time.monotonic()
        if now - self._drawn_at < _REDRAW_S:
            return
        self._drawn_at = now
        if total is None:
            self._stream.write(f"\r\x1b[K{done:,} {what}")
            self._stream.flush()
        else:
            self._bar.show(min(done, total), total, now - self._began, [])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._bar is not None:
            self._bar.clear()


def _progress(output: Path | None) -> Progress:
    is_seen = sys.stderr.isatty() and (output is not None or not sys.stdout.isatty())
    return Progress(sys.stderr if is_seen else None)
