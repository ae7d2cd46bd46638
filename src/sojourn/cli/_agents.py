"""`sojourn agents`: what crawlers, assistants and monitors read, as the report's page shows it."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from sojourn.errors import SojournError

from . import _stores
from ._output import cell
from ._parser import Commands
from ._stats import report_source
from ._tables import Screen, wide_option

_ROWS = 25
_FORMATS = ("table", "csv", "json")
_CHOICES = ("kind", "agent", "find")


def add_commands(commands: Commands) -> None:
    """Add the command."""
    agents = commands.add_parser(
        "agents",
        parents=[_stores.options()],
        description="Show which crawlers, AI assistants and monitors asked for which pages, and whether they are who they "
        "claim to be. Counted by whole hours of UTC.",
    )
    agents.add_argument("--range", metavar="NAME", help="today, 24h, 7d, 30d, 90d or 12m (default: 7d)")
    agents.add_argument(
        "--since", metavar="WHEN", help="for so long, such as 7d, or from this time on, such as 2026-01-31"
    )
    agents.add_argument("--until", metavar="WHEN", help="before this time")
    agents.add_argument(
        "--kind", metavar="NAME", help="only search, ai_training, ai_assistant, preview, monitor or tool"
    )
    agents.add_argument("--agent", metavar="NAME", help="only this agent, such as GPTBot")
    agents.add_argument("--find", metavar="TEXT", help="only agents and pages with this text")
    agents.add_argument("--pages", action="store_true", help="in a table or CSV: the pages instead of the agents")
    agents.add_argument("--format", choices=_FORMATS, default="table", help="how to print it (default: table)")
    wide_option(agents)
    agents.set_defaults(command=_agents)


def _agents(arguments: argparse.Namespace) -> int:
    from sojourn.report.reading import FiguresReader

    source = _stores.source_of(arguments)
    with source.opened() as store:
        store.open()
        figures = report_source(source, store)
        reader = FiguresReader(figures)
        parameters = _parameters(arguments, figures.now())
        if arguments.format == "csv":
            own = [("table", "pages")] if arguments.pages else []
            sys.stdout.write(reader.agents_csv([*parameters, *own]).replace("\r\n", "\n"))
            return 0
        document = reader.agents(parameters)
    if arguments.format == "json":
        print(json.dumps(document, indent=2))
    else:
        print("\n".join(_page(document, Screen.of(arguments), has_pages=arguments.pages)))
    return 0


def _parameters(arguments: argparse.Namespace, now: int) -> list[tuple[str, str]]:
    """The parameters of the report's address. `now` in ms."""
    values = {name: getattr(arguments, name) for name in ("range", "since", "until", *_CHOICES)}
    if values["since"] and (length := _length(values["since"])) is not None:
        values["since"] = _before(now, length)
    return [(name, value) for name, value in values.items() if value]


def _length(text: str) -> timedelta | None:
    """A duration; `None` for what may be a time."""
    from sojourn.settings._quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError:
        return None


def _before(now: int, length: timedelta) -> str:
    from sojourn.backends.cloudevents import rfc3339

    at = now - round(length.total_seconds() * 1000)
    if at < 0:
        raise SojournError("agents: --since reaches back before 1970; give a shorter time")
    return rfc3339(at)


def _page(document: dict[str, Any], screen: Screen, *, has_pages: bool) -> Iterator[str]:
    yield f"{document['since'][:16]}Z to {document['until'][:16]}Z"
    rows = document["pages" if has_pages else "agents"]
    if not rows:
        yield "  no agent in this range"
        return
    every = document["all_pages"] if has_pages else len(rows)
    if every > _ROWS:
        yield f"the first {_ROWS} of {every:,}; --format csv prints more"
    names = list(rows[0])
    heads = [_HEADS.get(name, name.replace("_", " ")) for name in names]
    left = frozenset({0}) if has_pages else frozenset({0, 1, 2})
    yield from screen.table([heads, *([_cell(name, row[name]) for name in names] for row in rows[:_ROWS])], left=left)


_HEADS = {"client_errors": "4xx", "server_errors": "5xx", "robots_txt": "robots.txt", "llms_txt": "llms.txt"}


def _cell(name: str, value: object) -> str:
    if name == "last_at":
        return f"{str(value)[:16]}Z"
    if name == "path" and value == "*":
        return "other pages"
    return f"{value:,}" if isinstance(value, int) else cell(str(value))[:60]
