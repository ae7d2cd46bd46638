"""`sojourn mcp`: the report's figures for an assistant, over the Model Context Protocol on standard input and output."""

from __future__ import annotations

import argparse

from sojourn.errors import SojournError

from . import _stores
from ._parser import Commands
from ._stats import report_source


def add_commands(commands: Commands) -> None:
    """Add the command."""
    mcp = commands.add_parser(
        "mcp",
        parents=[_stores.options()],
        description="Serve the report's figures to an assistant on standard input and output. It reads figures alone; with "
        "--people, sessions and users as well. Needs the extra: pip install 'sojourn[mcp]'.",
    )
    mcp.add_argument("--people", action="store_true", help="the assistant may read about people: sessions and users")
    mcp.set_defaults(command=_mcp)


def _mcp(arguments: argparse.Namespace) -> int:
    from sojourn.report.reading import FiguresReader

    try:
        from ._mcp_server import server_of
    except ImportError:
        raise SojournError("mcp: the library is missing; pip install 'sojourn[mcp]'") from None
    source = _stores.source_of(arguments)
    with source.opened() as store:
        store.open()
        reader = FiguresReader(report_source(source, store), reads_people=arguments.people)
        server_of(reader, reads_people=arguments.people).run("stdio")
    return 0
