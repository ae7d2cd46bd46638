"""`sojourn share`: make, list and revoke the links that show a saved view without a log-in."""

from __future__ import annotations

import argparse
import json
import sys

from sojourn.errors import SojournError

from . import _stores
from ._output import cell
from ._parser import Commands
from ._sessions import when
from ._status import duration
from ._tables import Screen, wide_option


def add_commands(commands: Commands) -> None:
    """Add the three commands."""
    share = commands.add_parser(
        "share",
        description="Manage links that show the figures of one saved view of the report to readers without a log-in.",
    )
    verbs = share.commands()
    store = _stores.options()

    create = verbs.add_parser(
        "create",
        parents=[store],
        help="make a link and print it",
        description="Make a link that shows a saved view, and print it on standard output. It is shown only now; the store has "
        "a hash. The link shows the view as it is at that time, changes included, and nothing about people.",
    )
    create.add_argument("view", metavar="VIEW", help="the name of the saved view")
    create.add_argument("--name", metavar="NAME", help="the name of the link (default: that of the view)")
    create.add_argument(
        "--for",
        dest="lasts",
        type=duration,
        metavar="DURATION",
        help="how long it works, such as 12h or 90d (default: until it is revoked)",
    )
    create.add_argument(
        "--report",
        default="",
        metavar="URL",
        help="the address of the report in your app, such as https://shop.example/_sojourn, to print the whole link",
    )
    create.set_defaults(command=_create)

    list_ = verbs.add_parser("list", parents=[store], help="list the links", description="List the links by name.")
    list_.add_argument("--json", action="store_true", help="print one JSON document")
    wide_option(list_)
    list_.set_defaults(command=_list)

    revoke = verbs.add_parser(
        "revoke",
        parents=[store],
        help="revoke a link",
        description="Let a link show nothing from now on, in every process. The exit code is 1 if there is none of this name.",
    )
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(command=_revoke)


def _create(arguments: argparse.Namespace) -> int:
    from sojourn.core.clock import SystemClock
    from sojourn.report import shares

    source = _stores.source_of(arguments)
    now = SystemClock.now()
    lasts_ms = None if arguments.lasts is None else round(arguments.lasts.total_seconds() * 1000)
    if lasts_ms is not None and lasts_ms <= 0:
        msg = "share: --for must be longer than nothing"
        raise SojournError(msg)
    with source.opened() as store:
        store.open()
        views = shares.views_of(store, source.saved_views, now)
        saved = next((each for each in views if each.name == arguments.view.strip()), None)
        if saved is None:
            names = ", ".join(cell(each.name) for each in views[:10]) or "none yet"
            msg = f"share: there is no saved view {cell(arguments.view)!r}; saved views: {names}"
            raise SojournError(msg)
        try:
            secret = shares.make(store, saved, arguments.name or saved.name, now=now, lasts_ms=lasts_ms)
        except ValueError as error:
            msg = f"share: {error}"
            raise SojournError(msg) from None
    print(f"{arguments.report.rstrip('/')}/share/{secret}")
    where = "" if arguments.report else " It continues the address of the report in your app."
    print(f"It is shown only now, and opens for everyone who has it.{where}", file=sys.stderr)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from sojourn.backends.cloudevents import rfc3339
    from sojourn.core.clock import SystemClock
    from sojourn.report import shares

    source = _stores.source_of(arguments)
    now = SystemClock.now()
    with source.opened() as store:
        store.open()
        views = shares.views_of(store, source.saved_views, now)
        found = shares.listed(store)
    names = {each.id: each.name for each in views}
    if arguments.json:
        documents = [
            {
                "name": each.name,
                "view": names.get(each.view_id),
                "created_at": rfc3339(each.created_at),
                "until": None if each.until is None else rfc3339(each.until),
                "has_ended": each.has_ended(now),
            }
            for each in found
        ]
        print(json.dumps({"links": documents}, indent=2))
        return 0
    if not found:
        print("no links")
        return 0
    rows = [["name", "view", "made", "works"]]
    rows += [
        [
            cell(each.name),
            cell(names[each.view_id]) if each.view_id in names else "(deleted)",
            rfc3339(each.created_at),
            _works(each.until, ended=each.has_ended(now)),
        ]
        for each in found
    ]
    print("\n".join(Screen.of(arguments).table(rows, left=frozenset({0, 1, 2, 3}))))
    return 0


def _works(until: int | None, *, ended: bool) -> str:
    if until is None:
        return "until it is revoked"
    return f"{'ended' if ended else 'until'} {when(until)}Z"


def _revoke(arguments: argparse.Namespace) -> int:
    from sojourn.report import shares

    with _stores.source_of(arguments, destroys=True).opened() as store:
        store.open()
        if not shares.revoke(store, arguments.name):
            msg = f"share: there is none of the name {arguments.name}"
            raise SojournError(msg)
    print(f"revoked {cell(arguments.name)}")
    return 0
