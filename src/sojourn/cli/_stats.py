"""`sojourn stats`: the report's figures in a terminal, with the ranges and filters of its addresses."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from . import _stores
from ._output import cell, span
from ._parser import Commands
from ._tables import Screen, wide_option

if TYPE_CHECKING:
    from sojourn.report.reading import Source
    from sojourn.stores import Store

    from ._stores import StoreSource

_ROWS = 8
_DEFAULT = ("pages", "sources", "events", "errors")
_FIGURES = (
    ("sessions", "sessions", "number"),
    ("visitors", "visitors", "number"),
    ("users", "identified users", "number"),
    ("page_views", "page views", "number"),
    ("median_duration_ms", "median duration", "span"),
    ("bounce_rate", "bounce rate", "share"),
    ("error_sessions", "with errors", "number"),
)


def add_commands(commands: Commands) -> None:
    """Add the command."""
    stats = commands.add_parser(
        "stats",
        parents=[_stores.options()],
        description="Show the figures of a range, compared with the period before, and panels such as pages, sources and "
        "errors. Ranges and filters are those of the report's addresses.",
    )
    add_range(stats)
    stats.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="CONDITION",
        help="a filter such as browser=Firefox, browser!=Firefox (is not) or entry~=shop (contains); repeatable",
    )
    stats.add_argument(
        "--view",
        metavar="NAME",
        help="a saved view of the report; other options replace its filters of the same name, or its range",
    )
    stats.add_argument(
        "--panel",
        action="append",
        metavar="NAME",
        help=f"show this panel; repeatable (default: {', '.join(_DEFAULT)})",
    )
    stats.add_argument("--json", action="store_true", help="print one JSON document, with every row of the panels")
    wide_option(stats)
    stats.set_defaults(command=_stats)


def add_range(parser: Any) -> None:
    """Add the options of a range."""
    parser.add_argument("--range", metavar="NAME", help="today, 24h, 7d, 30d, 90d or 12m (default: 7d)")
    parser.add_argument("--since", metavar="WHEN", help="from this time on, such as 2026-01-31 or 2026-01-31T12:00Z")
    parser.add_argument("--until", metavar="WHEN", help="before this time")


def parameters_of(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """The parameters of the address that the options are. Raises `SojournError`."""
    found = [(name, str(getattr(arguments, name))) for name in ("range", "since", "until") if getattr(arguments, name)]
    view = [] if arguments.view is None else [("view", str(arguments.view))]
    return [*view, *found, *pairs_of(arguments.where, "--where")]


def pairs_of(conditions: Iterable[str], option: str) -> Iterator[tuple[str, str]]:
    """Conditions as parameters of an address. Raises `SojournError`."""
    for condition in conditions:
        name, is_pair, value = condition.partition("=")
        if not is_pair:
            msg = f"{option}: give NAME=VALUE, NAME!=VALUE or NAME~=VALUE; got {condition!r}"
            raise SojournError(msg)
        yield name.strip(), value


def report_source(source: StoreSource, store: Store) -> Source:
    """What the report reads, of a command's store."""
    from sojourn.core.clock import SystemClock
    from sojourn.report.reading import Source

    return Source(
        store=lambda: store,
        now=SystemClock.now,
        journals=source.journals(),
        service=None if source.settings is None else source.settings.service_name,
        saved_views=source.saved_views,
    )


def _stats(arguments: argparse.Namespace) -> int:
    from sojourn.report.reading import FiguresReader

    parameters = parameters_of(arguments)
    source = _stores.source_of(arguments)
    with source.opened() as store:
        store.open()
        reader = FiguresReader(report_source(source, store))
        overview = reader.overview(parameters)
        panels = [reader.panel(name, parameters) for name in arguments.panel or _DEFAULT]
    if arguments.json:
        print(json.dumps({"overview": overview, "panels": panels}, indent=2))
    else:
        print("\n".join(_page(overview, panels, Screen.of(arguments))))
    return 0


def _page(overview: dict[str, Any], panels: Sequence[dict[str, Any]], screen: Screen) -> Iterator[str]:
    now, before = overview["figures"], overview["before"] or {}
    yield f"{overview['since'][:16]}Z to {overview['until'][:16]}Z, {overview['online']:,} online now"
    about = "about " if overview["is_sampled"] else ""
    rows = [["", "", "before"]]
    rows += [
        [
            label,
            about * (key in {"visitors", "users", "median_duration_ms"}) + _shown(now[key], kind),
            _shown(before.get(key), kind),
        ]
        for key, label, kind in _FIGURES
    ]
    yield from screen.table(rows, has_heads=False)
    if now["cookieless_sessions"]:
        some, all_sessions = now["cookieless_sessions"], now["sessions"]
        yield f"visitors without a cookie are counted by day ({some:,} of {all_sessions:,} sessions)"
    if overview["has_imported"]:
        yield "sessions of this range were imported from access logs: --where 'imported=(none)' leaves them out"
    if overview["pending"]:
        yield screen.paint(f"{overview['pending']:,} sessions are not in these figures yet", "odd")
    for panel in panels:
        yield ""
        yield from _panel(panel, screen)


def _panel(panel: dict[str, Any], screen: Screen) -> Iterator[str]:
    rows = panel["rows"]
    more = f", the first {_ROWS} of {len(rows):,}" if len(rows) > _ROWS else ""
    yield screen.paint(panel["panel"].replace("_", " ") + more, "quiet")
    if not rows:
        yield "  none in this range"
        return
    names = [name for name in rows[0] if name != "value"]
    heads = ["", *(name.removesuffix("_ms").replace("_", " ") for name in names)]
    yield from screen.table(
        [heads, *([cell(str(row["value"]))[:48], *(_cell(name, row[name]) for name in names)] for row in rows[:_ROWS])]
    )


def _cell(name: str, value: object) -> str:
    if name.endswith("_at") and isinstance(value, str):
        return f"{value[:16]}Z"
    kind = "span" if name.endswith("_ms") else "share" if name.endswith(("share", "rate")) else "number"
    return _shown(value, kind)


def _shown(value: object, kind: str) -> str:
    if value is None:
        return "-"
    if isinstance(value, int | float):
        match kind:
            case "span":
                return span(round(value), is_precise=True)
            case "share":
                return f"{value * 100:.1f} %"
        return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"
    return cell(str(value))[:40]
