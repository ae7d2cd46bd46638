"""The session list: filtered, sorted, in pages, and kept up to date while it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sojourn.stores.model import DataSubject
from sojourn.stores.reporting.filters import Operator
from sojourn.stores.reporting.model import Cursor, SessionPage, Sort

from . import _filters, _ranges
from ._filters import SessionQuery
from ._links import Links
from ._view import View, bad_request, canonical, pinned
from ._web import Response, document

ROWS: Final = 50
_LIVE_ROWS: Final = 200
_NEVER: Final = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A column's head; with a URL it sorts."""

    label: str
    url: str | None = None
    sorted: str | None = None
    is_number: bool = False


def sessions(view: View) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    query = _filters.parse_query(view.parameters, view.moments)
    links = view.links(query.which, query.own)
    if (elsewhere := canonical(view, links)) is not None:
        return elsewhere
    return view.html(
        "sessions.html",
        query=query,
        links=links,
        fields=_filters.OFFERED,
        operators=tuple(Operator),
        reasons=_filters.REASONS,
        presets=_ranges.PRESETS,
        online=view.store.report.online(since=view.online_since),
        **table(view, query, load_page(view, query), links),
    )


def load_page(view: View, query: SessionQuery, *, limit: int = ROWS) -> SessionPage:
    return view.store.sessions.page(
        query.filter, sort=query.sort, is_ascending=query.is_ascending, cursor=query.cursor, limit=limit
    )


def table(
    view: View, query: SessionQuery, page: SessionPage, links: Links, *, subject: DataSubject | None = None
) -> dict[str, Any]:
    """The context of the table's template. `subject`: whose page it is; its URLs carry `id` instead of a filter."""

    def page_url(cursor: Cursor | None) -> str | None:
        return None if cursor is None else links.here(at=cursor.text())

    of = {} if subject is None else {subject.kind: subject.id}
    is_first = query.cursor is None
    is_by_start = query.sort is Sort.STARTED and not query.is_ascending
    after = max((line.started_at for line in page.lines), default=view.now)
    return {
        "lines": page.lines,
        "heads": [_head(query, column, links) for column in _COLUMNS],
        "is_cut": page.is_cut,
        "searched_to": page.following.started_at if is_by_start and page.is_cut and page.following else None,
        "older": page_url(page.following),
        "newer": page_url(page.preceding),
        "first": links.here(),
        "is_first": is_first,
        "live": links.to("/live/sessions", **of, after=after),
        # New sessions are announced only where they would appear at the top.
        "counts_new": is_first and is_by_start,
        "csv": links.to("/sessions.csv", **of),
        "json": links.to("/sessions.json", **of),
    }


def changes(view: View) -> Response:
    """The current state of the rows on the page (`keys`), and how many sessions started since (`after`)."""
    which = _filters.parse_filter(view.parameters, view.moments)
    keys = [key for key in view.parameters.text("keys").split(",") if key][:_LIVE_ROWS]
    after = view.parameters.number("after")
    if (error := bad_request(view)) is not None:
        return error
    started_after = _NEVER if after is None else after
    news = view.store.sessions.changes(which.filter, shown=keys, started_after=started_after)
    return document(
        {
            "now": view.now,
            "rows": {line.key: view.part("_table.html", "row", line) for line in news.lines},
            "newer": news.newer,
        }
    )


def of_subject(view: View, subject: DataSubject) -> tuple[SessionQuery, SessionPage]:
    """The sessions of a user or visitor, for the page about them."""
    query = _filters.parse_query(view.parameters, view.moments, subject=subject)
    return query, load_page(view, query)


_COLUMNS: Final = (
    (None, "Visitor"),
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


def _head(query: SessionQuery, column: tuple[Sort | None, str], links: Links) -> Head:
    sort, label = column
    if sort is None:
        return Head(label=label)
    is_sorted = sort is query.sort
    return Head(
        label=label,
        url=links.here(**query.sorted_by(sort)),
        sorted=("ascending" if query.is_ascending else "descending") if is_sorted else None,
        is_number=sort in _NUMBERS,
    )
