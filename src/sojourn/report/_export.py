"""Streaming export of a filter's sessions as CSV or JSON, in bounded memory however many there are."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from sojourn.backends.cloudevents import rfc3339
from sojourn.stores.dimensions import NAMES
from sojourn.stores.reporting.model import Filter, SessionLine

from . import _filters, _formatting
from ._view import View, bad_request
from ._web import Response

Field = str | int | float | bool | None

_CSV: Final = "text/csv; charset=utf-8"

_FORMULA: Final = re.compile(r"^[\s\x00-\x20\"\u201c\u201d]*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20|%]")
"""Text that a spreadsheet may run as a formula. It skips leading blanks and accepts full-width signs."""

_INNER_FORMULA: Final = re.compile(r"([;\t\u2409\uff1b])(?=[\s\"\u201c\u201d]*[=+\-@\uff1d\uff0b\uff0d\uff20|%])")
"""The same behind what separates cells where a comma does not: a spreadsheet there splits the text, whatever its quotes."""


def as_csv(view: View) -> Response:
    return _attachment(view, _csv, _CSV, "csv")


def as_json(view: View) -> Response:
    return _attachment(view, _json, "application/json", "json")


def fields(line: SessionLine) -> dict[str, Field]:
    """A session by the names of the docs, times as text in UTC."""
    return {
        "session_key": line.key,
        "session_id": line.session_id,
        "visitor_id": line.visitor_id,
        "user_id": line.user_id,
        "user_name": line.user_name,
        "started_at": rfc3339(line.started_at),
        "last_seen_at": rfc3339(line.last_seen_at),
        "duration_ms": line.duration_ms,
        "is_open": line.is_open,
        "end_reason": None if line.end_reason is None else line.end_reason.value,
        "is_manual": line.is_manual,
        "requests": line.requests,
        "page_views": line.page_views,
        "events": line.events,
        "tracked_events": line.tracked_events,
        "errors": line.errors,
        "client_errors": line.client_errors,
        **line.dimensions,
    }


def cell(value: Field, /) -> str | int | float:
    """A cell that every spreadsheet takes as text, whatever a visitor sent."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return value
    shown = _INNER_FORMULA.sub(r"\1'", _formatting.visible(value))
    return f"'{shown}" if _FORMULA.match(value) or _FORMULA.match(shown) else shown


def csv_file(name: str, columns: Iterable[str], rows: Iterable[Iterable[Field]]) -> Response:
    """A CSV file to download, of rows that fit into memory."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell(value) for value in row] for row in rows)
    return _file(name, text.getvalue().encode("utf-8", "replace"), _CSV)


def _lines(view: View, sessions: Filter) -> Iterator[list[SessionLine]]:
    for part in view.store.sessions.export(sessions):
        yield list(part)


def _csv(view: View, sessions: Filter) -> Iterator[bytes]:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for lines in _lines(view, sessions):
        writer.writerows([cell(value) for value in fields(line).values()] for line in lines)
        if text := out.getvalue():
            yield text.encode("utf-8", "replace")
            out.seek(0)
            out.truncate()
    if text := out.getvalue():
        yield text.encode("utf-8", "replace")


def _json(view: View, sessions: Filter) -> Iterator[bytes]:
    encoder = msgspec.json.Encoder()
    separator = b"[\n"
    for lines in _lines(view, sessions):
        for line in lines:
            yield separator + encoder.encode(fields(line))
            separator = b",\n"
    yield b"[]\n" if separator == b"[\n" else b"\n]\n"


def _attachment(view: View, body: Callable[[View, Filter], Iterator[bytes]], kind: str, suffix: str) -> Response:
    which = _filters.parse_filter(view.parameters, view.moments)
    if (error := bad_request(view)) is not None:
        return error
    name = f"sessions-{datetime.fromtimestamp(view.now / 1000, UTC):%Y%m%d-%H%M%S}.{suffix}"
    return _file(name, body(view, which.filter), kind)


def _file(name: str, body: bytes | Iterator[bytes], kind: str) -> Response:
    return Response(body=body, kind=kind, headers=(("Content-Disposition", f'attachment; filename="{name}"'),))


COLUMNS: Final = (
    "session_key",
    "session_id",
    "visitor_id",
    "user_id",
    "user_name",
    "started_at",
    "last_seen_at",
    "duration_ms",
    "is_open",
    "end_reason",
    "is_manual",
    "requests",
    "page_views",
    "events",
    "tracked_events",
    "errors",
    "client_errors",
    *NAMES,
)
