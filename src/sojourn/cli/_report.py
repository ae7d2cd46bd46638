"""`sojourn report`: serve the Sessions report of a store on its own port."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import _stores
from ._parser import Commands

if TYPE_CHECKING:
    from sojourn.report.serving import ReportServer

_HOST = "127.0.0.1"
_PORTS = 65_535


def add_commands(commands: Commands) -> None:
    """Add the command."""
    report = commands.add_parser(
        "report",
        parents=[_stores.options()],
        description="Serve the Sessions report of a store on this host, and print a link that opens it. Each link works "
        "once. When it has been used, a new one is printed. The app can keep running. Stop with Ctrl-C.",
    )
    report.add_argument(
        "--host",
        default=_HOST,
        metavar="ADDRESS",
        help="address to listen on (default: 127.0.0.1, this host only). There is no HTTPS: to share the report, mount it in "
        "your app",
    )
    report.add_argument("--port", type=_port, default=0, metavar="N", help="port to listen on (default: a free one)")
    report.add_argument("--open", action="store_true", help="open the link in this host's browser")
    report.add_argument("--json", action="store_true", help="print each link as a JSON document")
    report.set_defaults(command=_report)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _PORTS:
        msg = f"give a port, 0 to {_PORTS:,} (0: a free one); got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _report(arguments: argparse.Namespace) -> int:
    from sojourn.core.alerts import Thresholds
    from sojourn.core.clock import SystemClock
    from sojourn.report.serving import ReportServer, Source

    source = _stores.source_of(arguments)
    with source.opened() as store:
        store.open()
        report_source = Source(
            store=lambda: store,
            now=SystemClock.now,
            journals=source.journals(),
            service=None if source.settings is None else source.settings.service_name,
            goals=() if source.settings is None else source.settings.goals,
            funnels=() if source.settings is None else source.settings.funnels,
            saved_views=source.saved_views,
            alerts=(source.settings and source.settings.alerts) or Thresholds(),
        )
        with ReportServer(
            report_source, host=arguments.host, port=arguments.port, on_link=_link_printer(arguments)
        ) as server:
            _serve(server, is_opened=arguments.open)
    return 0


def _serve(server: ReportServer, *, is_opened: bool) -> None:
    if is_opened:
        import webbrowser

        webbrowser.open(server.link)
    server.wait()


def _link_printer(arguments: argparse.Namespace) -> Callable[[str], None]:
    count = itertools.count(1)

    def print_link(link: str) -> None:
        if arguments.json:
            print(json.dumps({"address": link}), flush=True)
        elif next(count) == 1:
            print(f"\n  {link}\n", flush=True)
            print(
                "Open this link in a browser. Each link works once. When it has been used, a new one is printed. "
                "Press Ctrl-C to stop.",
                file=sys.stderr,
            )
        else:
            print(f"The link was used. A new one: {link}", flush=True)

    return print_link
