"""`sojourn report`: the Sessions report beside an app, on a socket of its own."""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from . import _settings, _stores

if TYPE_CHECKING:
    from sojourn.report.serving import ReportServer

_HOST = "127.0.0.1"
_PORTS = 65_535


def add_commands(commands: Any) -> None:
    """Add it to the subparsers of the command line."""
    report = commands.add_parser(
        "report",
        parents=[_stores.options()],
        help="show the Sessions report in a browser",
        description="Serve the Sessions report of a store to this machine, and print the address that opens it. An "
        "address opens it once; then a new one is printed, for another browser. Reads beside a running app; ends at "
        "Ctrl-C.",
    )
    report.add_argument(
        "--host",
        default=_HOST,
        metavar="ADDRESS",
        help="listen here (127.0.0.1: this machine alone). There is no https: for others, mount the report in your app",
    )
    report.add_argument("--port", type=_port, default=0, metavar="N", help="listen on this port (a free one)")
    report.add_argument("--open", action="store_true", help="open it in this machine's browser")
    report.add_argument("--json", action="store_true", help="print each address as a JSON document")
    report.set_defaults(command=_report)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > _PORTS:
        msg = f"give a port, 0 to {_PORTS:,} (0: a free one); got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _report(arguments: argparse.Namespace) -> int:
    from sojourn.core.clock import SystemClock
    from sojourn.report.serving import ReportServer, Source

    place = _stores.place_of(arguments)
    with place.opened() as store:
        store.open()
        source = Source(
            store=lambda: store,
            now=SystemClock.now,
            journals=_settings.journals_of(place.settings, arguments.store),
            service=None if place.settings is None else place.settings.service_name,
        )
        with ReportServer(source, host=arguments.host, port=arguments.port, tell=_teller(arguments)) as server:
            _serve(server, is_opened=arguments.open)
    return 0


def _serve(server: ReportServer, *, is_opened: bool) -> None:
    if is_opened:
        import webbrowser

        webbrowser.open(server.address)
    server.wait()


def _teller(arguments: argparse.Namespace) -> Any:
    told = [0]

    def tell(address: str) -> None:
        told[0] += 1
        if arguments.json:
            print(json.dumps({"address": address}), flush=True)
        elif told[0] == 1:
            print(f"\n  {address}\n", flush=True)
            print("Open it in a browser. It opens the report once; Ctrl-C ends it.", file=sys.stderr)
        else:
            print(f"opened; for another browser: {address}", flush=True)

    return tell
