"""The agents' figures for programs: as JSON, and as CSV of the agents or of the pages."""

from __future__ import annotations

from typing import Final

from sojourn.backends.cloudevents import rfc3339
from sojourn.stores.reporting.agents_model import AgentLine, AgentPage

from ._agents import MOST_PAGES, identity, parse
from ._columns import Value
from ._export import csv_file
from ._view import View, bad_request
from ._web import Response, document

_OF_AGENTS: Final = (
    "agent",
    "kind",
    "identity",
    "requests",
    "verified",
    "false",
    "pages",
    "client_errors",
    "server_errors",
    "robots_txt",
    "llms_txt",
    "last_at",
)
_OF_PAGES: Final = ("path", "requests", "agents", "client_errors", "server_errors", "last_at")


def as_json(view: View) -> Response:
    """The agents and the pages that an address asks for; of pages the most read thousand."""
    query = parse(view)
    if (error := bad_request(view)) is not None:
        return error
    pages = query.pages(view, MOST_PAGES)
    return document(
        {
            "since": rfc3339(query.range.span.since),
            "until": rfc3339(query.range.span.until),
            "agents": [_of_agent(line) for line in query.found_in(view.store.agents.agents(query.range.span))],
            "pages": [_of_page(page) for page in pages.pages],
            "all_pages": pages.total,
        }
    )


def as_csv(view: View) -> Response:
    """The agents, or with `table=pages` the pages, each cell inert in a spreadsheet."""
    query = parse(view)
    table = view.parameters.one_of("table", ("agents", "pages"))
    if (error := bad_request(view)) is not None:
        return error
    if table == "pages":
        pages = query.pages(view, MOST_PAGES).pages
        return csv_file("agent-pages.csv", _OF_PAGES, (_of_page(page).values() for page in pages))
    lines = query.found_in(view.store.agents.agents(query.range.span))
    return csv_file("agents.csv", _OF_AGENTS, (_of_agent(line).values() for line in lines))


def _of_agent(line: AgentLine) -> dict[str, Value]:
    values = (
        line.agent,
        line.kind,
        identity(line).word,
        line.hits,
        line.verified,
        line.refuted,
        line.pages,
        line.client_errors,
        line.server_errors,
        line.robots,
        line.llms,
        rfc3339(line.last_at),
    )
    return dict(zip(_OF_AGENTS, values, strict=True))


def _of_page(page: AgentPage) -> dict[str, Value]:
    values = (page.path, page.hits, page.agents, page.client_errors, page.server_errors, rfc3339(page.last_at))
    return dict(zip(_OF_PAGES, values, strict=True))
