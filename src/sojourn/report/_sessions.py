"""The table of sessions: filtered, sorted, page by page, and what became of it while it is looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from sojourn.stores.reporting.model import Cursor, SessionPage, Sort
from sojourn.stores.tombstones import DataSubject

from . import _filters, _ranges
from ._filters import Wanted
from ._view import View
from ._web import Response, document

ROWS: Final = 50
_MOST_SHOWN: Final = 200
_NEVER: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column's head; with a URL it sorts."""

    label: str
    url: str | None = None
    sorted: str | None = None
    is_number: bool = False


def sessions(view: View) -> Response:
    wanted = _filters.wanted(view.request.query, view.moments)
    found = listed(view, wanted)
    return view.html(
        "sessions.html",
        wanted=wanted,
        reasons=_filters.REASONS,
        presets=_ranges.PRESETS,
        online=view.store.online(since=view.online_since),
        **table(view, wanted, found, "/sessions"),
    )


def listed(view: View, wanted: Wanted, *, limit: int = ROWS) -> SessionPage:
    return view.store.session_page(
        wanted.filter, sort=wanted.sort, is_ascending=wanted.is_ascending, cursor=wanted.cursor, limit=limit
    )


def table(
    view: View, wanted: Wanted, found: SessionPage, path: str, *, of: DataSubject | None = None
) -> dict[str, Any]:
    """What the table's template needs. `of`: the page is about this person, and says so in its own way."""

    def here(given: Mapping[str, str], **more: str) -> str:
        kept = {name: value for name, value in given.items() if of is None or name != of.kind}
        return view.request.url(path, **kept, **({} if of is None else {"id": of.id}), **more)

    def at(cursor: Cursor | None) -> str | None:
        return None if cursor is None else here(wanted.given, at=cursor.text())

    given = wanted.given if of is None else {**wanted.given, of.kind: of.id}
    is_first = wanted.cursor is None
    return {
        "lines": found.lines,
        "heads": [_head(wanted, head, here) for head in _HEADS],
        "is_cut": found.is_cut,
        "older": at(found.following),
        "newer": at(found.preceding),
        "first": here(wanted.given),
        "is_first": is_first,
        # Only where new ones would stand on top is it told that there are some.
        "live": view.request.url(
            "/live/sessions",
            **{**given, "after": max((line.started_at for line in found.lines), default=view.now)},
        ),
        "tells_newer": is_first and wanted.sort is Sort.STARTED and not wanted.is_ascending,
        "csv": view.request.url("/sessions.csv", **given),
        "json": view.request.url("/sessions.json", **given),
    }


def changes(view: View) -> Response:
    """What became of the rows that are shown (`keys`), and how many began since (`after`)."""
    query = view.request.query
    wanted = _filters.wanted(query, view.moments)
    shown = [key for key in query.get("keys", "").split(",") if key][:_MOST_SHOWN]
    after = query.get("after", "")
    is_number = after.isdecimal() and after.isascii() and len(after) < 16
    found = view.store.session_changes(wanted.filter, shown=shown, started_after=int(after) if is_number else _NEVER)
    return document(
        {
            "now": view.now,
            "rows": {line.key: view.part("_table.html", "row", line) for line in found.lines},
            "newer": found.newer,
        }
    )


def of_person(view: View, person: DataSubject) -> tuple[Wanted, SessionPage]:
    """The sessions of a user or visitor, as their own page shows them."""
    wanted = _filters.wanted({**view.request.query, person.kind: person.id}, view.moments)
    # Not as the URL's filter cuts it: this is the whole id.
    wanted = replace(wanted, filter=msgspec.structs.replace(wanted.filter, person=person))
    return wanted, listed(view, wanted)


_HEADS: Final = (
    (None, "Who"),
    (None, "Entry → exit"),
    (Sort.DURATION, "Duration"),
    (Sort.PAGES, "Pages"),
    (Sort.EVENTS, "Events"),
    (Sort.ERRORS, "Errors"),
    (None, "Device"),
    (Sort.STARTED, "Started"),
    (Sort.SEEN, "Last activity"),
)
_NUMBERS: Final = frozenset({Sort.DURATION, Sort.PAGES, Sort.EVENTS, Sort.ERRORS})


def _head(wanted: Wanted, head: tuple[Sort | None, str], here: Callable[[Mapping[str, str]], str]) -> Head:
    sort, label = head
    if sort is None:
        return Head(label=label)
    is_sorted = sort is wanted.sort
    return Head(
        label=label,
        url=here(wanted.sorted_by(sort)),
        sorted=("ascending" if wanted.is_ascending else "descending") if is_sorted else None,
        is_number=sort in _NUMBERS,
    )
