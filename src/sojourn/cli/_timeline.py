"""`sojourn sessions show`: one session as a page, or as JSON in the form that the export of a person uses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, TextIO

from sojourn.errors import SojournError

from ._output import Paint, cell, printable, span

if TYPE_CHECKING:
    from sojourn.core.events import Event
    from sojourn.stores import Store
    from sojourn.stores.reporting.model import SessionDetail

_AT_ONCE: Final = 500
_MINUTE_MS: Final = 60_000
_STACK: Final = "exception.stacktrace"
_LABEL: Final = 12


def show(store: Store, name: str, *, limit: int, paint: Paint) -> Iterator[str]:
    """Yield the lines of a session and its timeline. Raises `SojournError` if there is none."""
    from sojourn.core.events import START

    detail = _detail(store, name)
    yield from (f"{label:<{_LABEL}}{text}" for label, text in _about(detail) if text)
    yield ""
    shown, total, following = 0, 0, START
    while shown < limit:
        part = store.log.timeline(detail.row.key, after=following, limit=min(_AT_ONCE, limit - shown))
        for event in part.events:
            yield from _lines(event, detail.row.started_at, paint)
        shown, total = shown + len(part.events), part.total
        if part.following is None:
            break
        following = part.following
    if shown < total:
        yield f"  ... and more; use --limit {total} to show all {total:,} events"


def write(store: Store, name: str, out: TextIO) -> None:
    """Write the session as one JSON document, in parts. Raises `SojournError` if there is none."""
    import msgspec

    from sojourn.data_subjects import events_of, public_fields, separated

    detail = _detail(store, name)
    document = {**public_fields(detail.row), "previous_session": detail.previous_key, "next_session": detail.next_key}
    out.write(f'{{"session":{harmless(msgspec.json.encode(document).decode())},"events":[')
    out.writelines(map(harmless, separated(events_of(store, detail.row.key))))
    out.write("]}\n")


def harmless(document: str) -> str:
    """Escape what could control a terminal; JSON allows some such characters. The document's meaning stays the same."""
    if document.isprintable():
        return document
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in document)


def _detail(store: Store, name: str) -> SessionDetail:
    detail = store.sessions.detail(name)
    if detail is None:
        raise SojournError(f"there is no session {cell(name)!r}; see `sojourn sessions list`")
    return detail


def _about(detail: SessionDetail) -> Iterator[tuple[str, str]]:
    from sojourn.backends.cloudevents import rfc3339
    from sojourn.health.lookalikes import problems

    row, line = detail.row, detail.line
    yield "session", cell(row.session_id) + (", manual" if row.is_manual else "")
    if row.session_id != row.key:
        yield "key", cell(row.key)
    if detail.same_id > 1:
        yield "", f"{detail.same_id:,} sessions share this ID; this is the latest. Show the others by their keys"
    yield "visitor", cell(row.visitor_id)
    if row.user_id is not None:
        yield "user", cell(row.user_id) + (f" ({cell(row.user_name)})" if row.user_name else "")
        if reasons := problems(row.user_id):
            yield "", f"look-alike: this ID has {'; '.join(reasons)}"
    yield "", _pairs({f"traits.{key}": value for key, value in (row.user_traits or {}).items()})
    yield "started", rfc3339(row.started_at)
    last = rfc3339(row.last_seen_at)
    yield "", f"open, last activity {last}" if line.end_reason is None else f"ended {last}: {line.end_reason.value}"
    figures = (
        f"{span(line.duration_ms)}, {row.requests:,} requests, {row.page_views:,} page views, {row.events:,} events, "
        f"{row.errors:,} errors"
    )
    if row.client_errors:
        figures += f", {row.client_errors:,} page views with a status of 400 to 499"
    yield "duration", figures
    yield "imported", cell(row.imported) if row.imported else ""
    yield "entry", " from ".join(cell(text) for text in (row.entry_path, row.referrer) if text)
    yield "exit", cell(line.exit_path or "")
    address = row.origin.get("client.address")
    yield "device", ", ".join(cell(str(text)) for text in (line.browser, line.system, line.device, address) if text)
    yield "properties", _pairs({key: each.value for key, each in (row.properties or {}).items()})
    yield "previous", cell(detail.previous_key or "")
    yield "next", cell(detail.next_key or "")


def _pairs(values: dict[str, str | int | float | bool]) -> str:
    return "  ".join(f"{cell(name)}={cell(str(value))}" for name, value in sorted(values.items()))


def _lines(event: Event, started_at: int, paint: Paint) -> Iterator[str]:
    """An event as the console backend prints it, but with the time since the start, and with stack traces."""
    import msgspec

    from sojourn.backends.plain.console import _COLOURS, _NAME_COLUMN, _interesting

    elapsed = max(0, event.time - started_at)
    at = f"+{elapsed / 1000:.1f} s" if elapsed < _MINUTE_MS else f"+{span(elapsed)}"
    name = f"{printable(event.name, _NAME_COLUMN):<{_NAME_COLUMN}}"
    if paint.is_on and (colour := _COLOURS.get(event.name)):
        name = f"\x1b[{colour}m{name}\x1b[0m"
    stack = str(event.attributes.get(_STACK, ""))
    rest = msgspec.structs.replace(
        event, attributes={key: value for key, value in event.attributes.items() if key != _STACK}
    )
    yield f"  {at:>10}  {name}  {'  '.join(_interesting(rest))}".rstrip()
    yield from (f"{'':16}{printable(text)}" for text in stack.splitlines())
