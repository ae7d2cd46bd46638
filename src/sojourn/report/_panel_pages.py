"""All values of a panel: searched, sorted, in pages, and as CSV or JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sojourn.backends.cloudevents import rfc3339
from sojourn.stores.reporting.model import Breakdowns, Filter, Span

from . import _filters, _panel_goals, _ranges
from ._columns import Column, Line, Value
from ._export import csv_file
from ._filters import Selection
from ._links import Links, Params
from ._panel_goals import GoalColumns
from ._panels import PANELS, Panel, breakdowns_of, group_of, sorted_by, total_of
from ._view import View, bad_request, pinned
from ._web import Response, document

ROWS: Final = 50
DEFAULT_RANGE: Final = "7d"


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelQuery:
    """What an address asks of a panel."""

    panel: Panel
    range: _ranges.Range
    which: Selection
    find: str
    column: Column
    is_ascending: bool
    is_sorted: bool
    """Whether the address names an order; else it is the panel's own."""
    page: int
    own: Params
    """The parameters of its order and search."""
    goal: GoalColumns | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The lines that match the search, in order; `all`: how many values there are."""

    lines: Sequence[Line]
    all: int
    total: int
    data: Breakdowns


def page(view: View, name: str) -> Response | None:
    """The page of a panel; `None` if there is none of this name."""
    if name not in PANELS:
        return None
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    query = parse(view, PANELS[name])
    found = find(view, query)
    last = max(1, -(-len(found.lines) // ROWS))
    number = min(query.page, last)
    links = view.links(query.which, query.own).in_range(query.range)
    return view.html(
        "panel.html",
        **links.ranges(query.range, view.moments),
        links=links,
        query=query,
        panel=query.panel,
        found=found,
        lines=found.lines[(number - 1) * ROWS : number * ROWS],
        begin=(number - 1) * ROWS,
        heads=[_head(links, query, column) for column in query.panel.columns],
        newer=links.here(page=str(number - 1)) if number > 1 else None,
        older=links.here(page=str(number + 1)) if number < last else None,
        csv=links.to(f"/panels/{name}.csv", **query.own),
        json=links.to(f"/panels/{name}.json", **query.own),
        goals=_panel_goals.choices(view, query.panel, query.goal, links),
        tabs=[{"panel": each, "url": links.to(f"/panels/{each.name}")} for each in group_of(PANELS[name]).panels],
    )


def as_json(view: View, name: str) -> Response | None:
    """The same as JSON: every line that the address asks for."""
    query, found, error = _exported(view, name)
    if query is None or found is None:
        return error
    return document(
        {
            "panel": name,
            "since": rfc3339(query.range.span.since),
            "until": rfc3339(query.range.span.until),
            "sessions": found.total,
            "is_sampled": found.data.is_sampled,
            "pending": found.data.pending,
            "rows": [fields(query.panel, line) for line in found.lines],
        }
    )


def as_csv(view: View, name: str) -> Response | None:
    """The same as CSV, each cell inert in a spreadsheet."""
    query, found, error = _exported(view, name)
    if query is None or found is None:
        return error
    columns = ("value", *(column.name for column in query.panel.columns))
    return csv_file(f"{name}.csv", columns, (fields(query.panel, line).values() for line in found.lines))


def fields(panel: Panel, line: Line) -> dict[str, Value]:
    """A line as a program gets it: moments in UTC, shares as numbers from 0 to 1."""
    values: dict[str, Value] = {"value": line.value}
    for column in panel.columns:
        value = column.value(line)
        if column.is_time and isinstance(value, int):
            value = rfc3339(value)
        values[column.name] = round(value, 4) if isinstance(value, float) else value
    return values


def parse(view: View, panel: Panel) -> PanelQuery:
    """Read what an address asks of a panel."""
    parameters = view.parameters
    which = _filters.parse_filter(parameters, view.moments)
    range_ = which.range or _ranges.preset(DEFAULT_RANGE, view.moments)
    find_text = parameters.text("find")
    if (goal := _panel_goals.chosen(view, panel, which.filter)) is not None:
        panel = goal.added_to(panel)
    names = [column.name for column in panel.columns]
    sort = parameters.one_of("sort", names)
    column = panel.column(sort or "") or panel.columns[0]
    is_ascending = parameters.one_of("dir", ["up"]) == "up"
    return PanelQuery(
        panel=panel,
        range=range_,
        which=which,
        find=find_text,
        column=column,
        is_ascending=is_ascending,
        is_sorted=sort is not None or is_ascending,
        page=max(1, parameters.number("page") or 1),
        own={
            "find": find_text,
            "sort": sort or "",
            "dir": "up" if is_ascending else "",
            "goal": "" if goal is None else goal.goal.name,
        },
        goal=goal,
    )


def find(view: View, query: PanelQuery) -> Found:
    """Read the lines."""
    data = load(view, query.range.span, [query.panel], query.which.filter)
    if query.goal is not None:
        query.goal.read(view, query.panel, query.range.span, query.which.filter)
    lines = query.panel.lines(data)
    matching = [line for line in lines if query.find.casefold() in line.value.casefold()] if query.find else lines
    if query.is_sorted:
        matching = sorted_by(matching, query.column, is_ascending=query.is_ascending)
    return Found(lines=matching, all=len(lines), total=total_of(data), data=data)


def load(view: View, span: Span, panels: Iterable[Panel], where: Filter | None = None) -> Breakdowns:
    return view.store.report.breakdowns(span, breakdowns_of(panels), where)


def _exported(view: View, name: str) -> tuple[PanelQuery | None, Found | None, Response | None]:
    if name not in PANELS:
        return None, None, None
    query = parse(view, PANELS[name])
    if (error := bad_request(view)) is not None:
        return None, None, error
    return query, find(view, query), None


def _head(links: Links, query: PanelQuery, column: Column) -> dict[str, Any]:
    is_sorted = column is query.column and (query.is_sorted or query.panel.arrange is list)
    direction = "ascending" if query.is_ascending else "descending"
    return {
        "column": column,
        "url": links.here(sort=column.name, dir="up" if is_sorted and not query.is_ascending else ""),
        "sorted": direction if is_sorted else None,
    }
