"""The page of an event: which properties the events of one name carry, with which values, and what these add up to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sojourn.backends.cloudevents import rfc3339
from sojourn.stores.reporting.filters import InvalidFilterError, condition
from sojourn.stores.reporting.property_counts import Numbers, PropertyFigures, ValueCount

from . import _filters, _formatting, _ranges
from ._export import csv_file
from ._filters import Selection
from ._links import Links, Params
from ._panel_pages import DEFAULT_RANGE
from ._view import View, bad_request, pinned
from ._web import Response, document, redirect

PATH: Final = "/event"
_SHOWN: Final = 8
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_COLUMNS: Final = ("property", "value", "events", "sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class EventQuery:
    """What an address asks of an event. `only`: of this property."""

    name: str
    range: _ranges.Range
    which: Selection
    only: str
    find: str

    @property
    def own(self) -> Params:
        """Its parameters beside what the reader looks at."""
        own = {"name": self.name, "property": self.only, "find": self.find}
        return {name: value for name, value in own.items() if value}

    def is_chosen(self, properties: PropertyFigures) -> bool:
        return self.only in {"", properties.name}

    def has(self, value: ValueCount) -> bool:
        return self.find.casefold() in value.text.casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A value as the page shows it, with the addresses of its sessions; empty where no filter can name it."""

    value: ValueCount
    overview_url: str = ""
    sessions_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A property as the page shows it: `count` values match the search, and `rows` are the first of them."""

    name: str
    rows: Sequence[Row]
    count: int
    most: int
    figures: PropertyFigures
    facts: Sequence[tuple[str, str]]
    all_url: str


def page(view: View) -> Response:
    """The page; without an event's name, that of all events."""
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    query = parse(view)
    links = view.links(query.which, query.own).in_range(query.range)
    if not query.name:
        return redirect(links.to("/panels/events"))
    figures = view.store.report.event(query.name, query.range.span, query.which.filter)
    around = _narrowed(links, query.name)
    return view.html(
        "event.html",
        **links.ranges(query.range, view.moments),
        links=links,
        query=query,
        figures=figures,
        listings=[_listing(query, links, each) for each in figures.properties if query.is_chosen(each)],
        sessions_url=around.to("/sessions", event=query.name),
        overview_url=around.to("/", event=query.name),
        csv=links.to(f"{PATH}.csv", **query.own),
        json=links.to(f"{PATH}.json", **query.own),
    )


def as_json(view: View) -> Response:
    """The same as JSON, with all values that were kept."""
    query = parse(view)
    if (error := _problem(view, query)) is not None:
        return error
    figures = view.store.report.event(query.name, query.range.span, query.which.filter)
    return document(
        {
            "event": query.name,
            "since": rfc3339(query.range.span.since),
            "until": rfc3339(query.range.span.until),
            "events": figures.events,
            "sessions": figures.sessions,
            "is_sampled": figures.is_sampled,
            "properties": [_document(query, each) for each in figures.properties if query.is_chosen(each)],
        }
    )


def as_csv(view: View) -> Response:
    """The same as CSV: a line for each value of each property, each cell inert in a spreadsheet."""
    query = parse(view)
    if (error := _problem(view, query)) is not None:
        return error
    figures = view.store.report.event(query.name, query.range.span, query.which.filter)
    rows = (
        (each.name, _shown(value), value.events, value.sessions)
        for each in figures.properties
        if query.is_chosen(each)
        for value in each.values
        if query.has(value)
    )
    return csv_file("event.csv", _COLUMNS, rows)


def parse(view: View) -> EventQuery:
    """Read what an address asks of an event."""
    which = _filters.parse_filter(view.parameters, view.moments)
    range_ = which.range or _ranges.preset(DEFAULT_RANGE, view.moments)
    return EventQuery(
        name=view.parameters.text("name"),
        range=range_,
        which=which,
        only=view.parameters.text("property"),
        find=view.parameters.text("find"),
    )


def _problem(view: View, query: EventQuery) -> Response | None:
    if not query.name:
        view.parameters.reject("name", "give the name of an event")
    return bad_request(view)


def _listing(query: EventQuery, links: Links, each: PropertyFigures) -> Listing:
    values = [value for value in each.values if query.has(value)]
    shown = values if query.only else values[:_SHOWN]
    return Listing(
        name=each.name,
        rows=[_row(query, links, each.name, value) for value in shown],
        count=len(values),
        most=max((value.events for value in shown), default=1),
        figures=each,
        facts=_facts(each.numbers),
        all_url=links.here(property=each.name),
    )


def _row(query: EventQuery, links: Links, name: str, value: ValueCount) -> Row:
    """A value with its filter. One of what does not fit into an address is of all that begin alike."""
    start = _CONTROL.split(value.text, maxsplit=1)[0]
    text = f"{start}*" if value.is_cut or start != value.text else start
    try:
        made = condition(f"event.{name}", text)
    except InvalidFilterError:
        return Row(value=value)
    around = _narrowed(links, query.name)
    if not made.value:  # an address is written without empty values
        return Row(value=value)
    filters = {"event": query.name, made.parameter: made.value}
    return Row(value=value, overview_url=around.to("/", **filters), sessions_url=around.to("/sessions", **filters))


def _narrowed(links: Links, name: str) -> Links:
    """The addresses of sessions with the event. A filter has the properties of one event: those of another go."""
    is_of_it = links.params.get("event") == name
    gone = [
        each for each in links.params if each in {"event", "event~"} or (each.startswith("event.") and not is_of_it)
    ]
    return links.without(*gone)


def _facts(numbers: Numbers | None) -> Sequence[tuple[str, str]]:
    """What a property of numbers comes to, as label and text."""
    if numbers is None:
        return ()
    return (
        ("Sum", _number(numbers.total)),
        ("Median", _number(numbers.median)),
        ("Range", f"{_number(numbers.least)} to {_number(numbers.greatest)}"),
    )


def _number(value: float | None) -> str:
    if value is None:
        return _formatting.EMPTY
    if abs(value) >= 1e15 or 0 < abs(value) < 0.005:
        return f"{value:.3g}"
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.2f}"


def _shown(value: ValueCount) -> str:
    return f"{value.text}…" if value.is_cut else value.text


def _document(query: EventQuery, each: PropertyFigures) -> dict[str, Any]:
    numbers = each.numbers
    return {
        "name": each.name,
        "events": each.events,
        "sessions": each.sessions,
        "sum": None if numbers is None else numbers.total,
        "median": None if numbers is None else numbers.median,
        "least": None if numbers is None else numbers.least,
        "greatest": None if numbers is None else numbers.greatest,
        "values": [
            {"value": _shown(value), "events": value.events, "sessions": value.sessions}
            for value in each.values
            if query.has(value)
        ],
        "other_events": each.others,
    }
