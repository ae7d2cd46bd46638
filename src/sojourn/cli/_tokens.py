"""`sojourn tokens`: make, list and revoke the named tokens with which programs read the report's figures."""

from __future__ import annotations

import argparse
import json
import sys

from sojourn.errors import SojournError

from . import _stores
from ._output import cell
from ._parser import Commands
from ._tables import Screen, wide_option


def add_commands(commands: Commands) -> None:
    """Add the three commands."""
    tokens = commands.add_parser(
        "tokens",
        description="Manage named tokens: programs read overview.json and the panels with one, and change nothing.",
    )
    verbs = tokens.commands()
    store = _stores.options()

    add = verbs.add_parser(
        "add",
        parents=[store],
        help="make a token and print it",
        description="Make a token and print it on standard output. It is shown only now; the store has a hash.",
    )
    add.add_argument("name", metavar="NAME", help="what it is for, such as dashboard")
    add.add_argument("--people", action="store_true", help="it may read about people too: sessions and users")
    add.set_defaults(command=_add)

    list_ = verbs.add_parser("list", parents=[store], help="list the tokens", description="List the tokens by name.")
    list_.add_argument("--json", action="store_true", help="print one JSON document")
    wide_option(list_)
    list_.set_defaults(command=_list)

    revoke = verbs.add_parser(
        "revoke",
        parents=[store],
        help="revoke a token",
        description="Refuse a token from now on, in every process. The exit code is 1 if there is none of this name.",
    )
    revoke.add_argument("name", metavar="NAME")
    revoke.set_defaults(command=_revoke)


def _add(arguments: argparse.Namespace) -> int:
    from sojourn.core.clock import SystemClock
    from sojourn.report import tokens

    with _stores.source_of(arguments).opened() as store:
        store.open()
        try:
            made = tokens.make(store, arguments.name, now=SystemClock.now(), reads_people=arguments.people)
        except ValueError as error:
            msg = f"tokens: {error}"
            raise SojournError(msg) from None
    print(made)
    print("It is shown only now: keep it in your secrets.", file=sys.stderr)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    from sojourn.backends.cloudevents import rfc3339
    from sojourn.report import tokens

    with _stores.source_of(arguments).opened() as store:
        store.open()
        found = tokens.listed(store)
    if arguments.json:
        documents = [
            {"name": each.name, "created_at": rfc3339(each.created_at), "reads_people": each.reads_people}
            for each in found
        ]
        print(json.dumps({"tokens": documents}, indent=2))
        return 0
    if not found:
        print("no tokens")
        return 0
    rows = [["name", "reads", "made"]]
    rows += [
        [cell(each.name), "figures and people" if each.reads_people else "figures", rfc3339(each.created_at)]
        for each in found
    ]
    print("\n".join(Screen.of(arguments).table(rows, left=frozenset({0, 1, 2}))))
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    from sojourn.report import tokens

    with _stores.source_of(arguments, destroys=True).opened() as store:
        store.open()
        if not tokens.revoke(store, arguments.name):
            msg = f"tokens: there is none of the name {arguments.name}"
            raise SojournError(msg)
    print(f"revoked {cell(arguments.name)}")
    return 0
