"""`sojourn sessions`: list sessions, show one, and follow events as they are recorded."""

from __future__ import annotations

import argparse
import io
import json
import sys
from datetime import UTC, datetime
from itertools import chain, islice
from typing import TYPE_CHECKING, Final

from . import _session_filters, _stores
from ._output import Paint, cell, span
from ._parser import Commands
from ._status import count
from ._tables import Screen, wide_option

if TYPE_CHECKING:
    from sojourn.stores.reporting.model import SessionLine

_LONGEST_PATH: Final = 28
_LONGEST_NAME: Final = 20


def add_commands(commands: Commands) -> None:
    """Add the three commands."""
    sessions = commands.add_parser(
        "sessions",
        description="Look at the sessions of a store. The report (`sojourn report`) shows the same in a browser.",
    )
    verbs = sessions.commands()
    store = _stores.options()

    list_ = verbs.add_parser(
        "list",
        parents=[store, _session_filters.person_options(), _session_filters.options()],
        help="list sessions, latest first",
        description="List sessions, latest first. The exit code is 0 even if there are none.",
    )
    list_.add_argument("--limit", type=count, default=20, metavar="N", help="at most this many (default: 20)")
    list_.add_argument("--json", action="store_true", help="print one JSON document")
    wide_option(list_)
    list_.set_defaults(command=_list)

    show = verbs.add_parser(
        "show",
        parents=[store],
        help="show one session with its timeline",
        description="Show a session and its events. The exit code is 1 if there is no such session.",
    )
    show.add_argument(
        "session", metavar="KEY|ID", help="its key or its ID; if several sessions share the ID, the latest"
    )
    show.add_argument("--limit", type=count, default=200, metavar="N", help="at most this many events (default: 200)")
    show.add_argument("--json", action="store_true", help="print one JSON document, with all events")
    show.set_defaults(command=_show)

    tail = verbs.add_parser(
        "tail",
        parents=[store],
        help="print the latest events, and with -f new ones",
        description="Print the latest events of the log, one per line. With -f, continue with new events until Ctrl-C.",
    )
    tail.add_argument("-f", "--follow", action="store_true", help="continue with events as they are recorded")
    tail.add_argument(
        "-n",
        "--lines",
        type=count,
        default=10,
        metavar="N",
        help="start with this many of the latest events (default: 10)",
    )
    tail.add_argument(
        "--events",
        metavar="PATTERNS",
        help="only these events: names or patterns, such as 'session.*,purchase' or '!page_view'",
    )
    tail.add_argument("--json", action="store_true", help="print CloudEvents as JSON, one per line")
    tail.set_defaults(command=_tail)


def tolerant() -> None:
    """Let standard output escape characters that its encoding does not have: visitors can send any."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def when(at: int) -> str:
    """A moment to the minute, in UTC."""
    return f"{datetime.fromtimestamp(max(0, min(at, 253_402_300_799_999)) / 1000, UTC):%Y-%m-%d %H:%M}"


def _show(arguments: argparse.Namespace) -> int:
    from ._timeline import show, write

    source = _stores.source_of(arguments)
    tolerant()
    with source.opened() as store:
        if arguments.json:
            write(store, arguments.session, sys.stdout)
        else:
            print("\n".join(show(store, arguments.session, limit=arguments.limit, paint=Paint.on(sys.stdout))))
    return 0


def _tail(arguments: argparse.Namespace) -> int:
    from ._tail import tail

    source = _stores.source_of(arguments)
    tolerant()
    with source.opened() as store:
        tail(
            store,
            lines=arguments.lines,
            follows=arguments.follow,
            patterns=arguments.events,
            is_json=arguments.json,
            out=sys.stdout,
        )
    return 0


# --- list ------------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    source = _stores.source_of(arguments)
    tolerant()
    limit: int = arguments.limit
    with source.opened() as store:
        now = _stores.now_of(store)
        session_filter = _session_filters.filter_of(arguments, source, store, now)
        lines = list(islice(chain.from_iterable(store.sessions.export(session_filter, limit=limit + 1)), limit + 1))
    shown, is_more = lines[:limit], len(lines) > limit
    if arguments.json:
        from sojourn.report._export import fields

        print(json.dumps({"sessions": [fields(line) for line in shown], "is_more": is_more}, indent=2))
        return 0
    if not shown:
        print("none" if not is_more else "--limit 0 shows none")
        return 0
    heads = [
        "session",
        "started (UTC)",
        "user",
        "entry",
        "exit",
        "device",
        "duration",
        "pages",
        "events",
        "errors",
        "state",
    ]
    screen = Screen.of(arguments)
    rows = [heads, *(_row(line, now, screen.paint) for line in shown)]
    left = frozenset({0, 1, 2, 3, 4, 5, len(heads) - 1})
    optional = [heads.index(name) for name in ("events", "device", "exit")]
    print("\n".join(screen.table(rows, left=left, whole=frozenset({0, 1}), optional=optional)))
    if is_more:
        print(f"  ... and more; use --limit {limit * 2 or 20} to show them")
    return 0


def _row(line: SessionLine, now: int, paint: Paint) -> list[str]:
    if line.end_reason is None:
        state = paint("open", "good") + f", last activity {span(now - line.last_seen_at)} ago"
    else:
        state = paint(line.end_reason.value, "quiet")
    return [
        cell(line.session_id),
        when(line.started_at),
        short(line.user_name or line.user_id, _LONGEST_NAME) + _mark(line.user_id),
        short(line.entry_path, _LONGEST_PATH),
        short(line.exit_path, _LONGEST_PATH),
        short(" ".join(filter(None, (line.browser, line.device))), _LONGEST_NAME),
        span(line.duration_ms),
        f"{line.page_views:,}",
        f"{line.events:,}",
        f"{line.errors:,}",
        state,
    ]


def _mark(user_id: str | None) -> str:
    """A mark behind a user whose id may be mistaken for another one; `sojourn sessions show` has the reason."""
    from sojourn.health.lookalikes import problems

    return " (look-alike)" if user_id is not None and problems(user_id) else ""


def short(text: str | None, longest: int) -> str:
    """Text for a narrow column, safe for a terminal."""
    if not text:
        return "-"
    shown = cell(text[: longest + 1])
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"
