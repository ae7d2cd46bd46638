"""The report's figures without a web server: for `sojourn stats` and `sojourn mcp`, by the addresses that programs use.

One way to read for all: what an address of the report says, a command line and an assistant say too, with the same filters
and the same errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from sojourn.errors import SojournError
from sojourn.stores.reporting.filters import Condition, canonical_name, first_conflict
from sojourn.stores.reporting.model import Filter, Span
from sojourn.tracking.facts import NoFacts

from . import _agents_export, _event, _export, _figures, _filters, _panel_pages, _parameters, _saved_views
from ._links import RANGE
from ._moments import Moments
from ._panels import PANELS
from ._view import Source, View, bad_request
from ._web import Request, Response

__all__ = [
    "PANELS_OF_FIGURES",
    "PANELS_OF_PEOPLE",
    "FiguresReader",
    "InvalidParametersError",
    "Parameters",
    "Source",
    "filter_of_view",
]

Parameters = Sequence[tuple[str, str]]
"""Of an address: a filter may be there several times."""

PANELS_OF_PEOPLE: Final = ("users",)
PANELS_OF_FIGURES: Final = tuple(name for name in PANELS if name not in PANELS_OF_PEOPLE)
_BAD: Final = 400


class InvalidParametersError(SojournError):
    """A parameter that cannot be read, and what to write instead."""


class _Facts(NoFacts):
    method = "GET"

    def __init__(self, query: str) -> None:
        self.query = query


def filter_of_view(source: Source, name: str, conditions: Sequence[Condition], span: Span | None) -> Filter:
    """The filter of a saved view, with these conditions and this span over it, as an address has them beside `view=`.

    Raises `InvalidParametersError`, and `StoreError`.
    """
    now = source.now()
    parameters, saved = _saved_views.opened(
        urlencode({_saved_views.PARAMETER: name}, errors="replace"),
        lambda: _saved_views.all_of(source.store(), source.saved_views, now),
    )
    given = [*(each.parameter for each in conditions), *([] if span is None else RANGE)]
    kept = {} if saved is None else _saved_views.remaining(saved.selection.params, given)
    which = _filters.parse_filter(_parameters.Parameters.of(kept), Moments(now)).filter
    parameters.text(_saved_views.PARAMETER)
    problems = [problem for problem in parameters.problems() if problem.parameter == _saved_views.PARAMETER]
    if problems or not name.strip():
        raise InvalidParametersError(
            f"view: {problems[0].message}" if problems else "view: give the name of a saved view"
        )
    both = (*which.conditions, *conditions)
    if (conflict := first_conflict(both)) is not None:
        raise InvalidParametersError(f"{conflict.parameter}: {conflict}")
    return Filter(span=which.span if span is None else span, conditions=both, text=which.text)


class FiguresReader:
    """Reads a store. Every method may block; raises `InvalidParametersError`, and `StoreError`.

    Without `reads_people` it reads figures alone: no list of sessions, no panel of users, no figures of one person.
    """

    def __init__(self, source: Source, *, reads_people: bool = True) -> None:
        self._source = source
        self._reads_people = reads_people

    def overview(self, parameters: Parameters = ()) -> dict[str, Any]:
        """The figures of a range, of the period before, and the points of the chart."""
        return _document(_figures.as_json(self._view("/overview.json", parameters)))

    def panel(self, name: str, parameters: Parameters = ()) -> dict[str, Any]:
        """The rows of a panel."""
        if name in PANELS_OF_PEOPLE:
            self._check_people(f"the panel {name}")
        response = _panel_pages.as_json(self._view(f"/panels/{name}.json", parameters), name)
        if response is None:
            msg = f"there is no panel {name!r}; use {', '.join(PANELS)}"
            raise InvalidParametersError(msg)
        return _document(response)

    def event(self, name: str, parameters: Parameters = ()) -> dict[str, Any]:
        """The properties of the events of one name: their values, and what numbers add up to."""
        return _document(_event.as_json(self._view("/event.json", [*parameters, ("name", name)])))

    def agents(self, parameters: Parameters = ()) -> dict[str, Any]:
        """The crawlers, assistants and monitors of a range, and the pages that they read."""
        return _document(_agents_export.as_json(self._view("/agents.json", parameters)))

    def agents_csv(self, parameters: Parameters = ()) -> str:
        """The same as CSV: agents, or with `table=pages` pages."""
        response = _agents_export.as_csv(self._view("/agents.csv", parameters))
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        if response.status == _BAD:
            raise InvalidParametersError("; ".join(body.decode().splitlines()))
        return body.decode()

    def sessions(self, parameters: Parameters = (), *, limit: int) -> list[dict[str, Any]]:
        """The latest sessions that match, at most `limit`. About people."""
        self._check_people("the list of sessions")
        view = self._view("/sessions.json", parameters)
        which = _filters.parse_filter(view.parameters, view.moments)
        if (error := bad_request(view)) is not None:
            _document(error)
        page = view.store.sessions.page(which.filter, limit=limit)
        return [_export.fields(line) for line in page.lines]

    def _check_people(self, what: str) -> None:
        if not self._reads_people:
            msg = f"{what} is about people, and this reads figures alone"
            raise InvalidParametersError(msg)

    def _view(self, path: str, parameters: Parameters) -> View:
        # An address ignores utm_* for what newsletters append to it; here they are meant, by the filters' own names.
        named = [(canonical_name(name), value) for name, value in parameters]
        request = Request(facts=_Facts(urlencode(named, errors="replace")), base="", path=path)
        view = View(request=request, source=self._source, now=self._source.now(), form_token="", can_log_out=False)
        if view.is_about_one:
            self._check_people("a filter of a user or a visitor")
        return view


def _document(response: Response) -> dict[str, Any]:
    body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
    document: dict[str, Any] = msgspec.json.decode(body)
    if response.status == _BAD:
        raise _refused(document["errors"])
    return document


def _refused(errors: Sequence[dict[str, str]]) -> InvalidParametersError:
    return InvalidParametersError("; ".join(f"{error['parameter']}: {error['message']}" for error in errors))
