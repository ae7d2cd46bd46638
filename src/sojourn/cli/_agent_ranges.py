"""`sojourn agent-ranges`: read the networks that operators publish into the store, where every process finds them.

Nothing is fetched but by `update`, and nothing is shipped: a list of last year would call an agent false that is not.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sojourn.errors import SojournError

from . import _stores
from ._output import cell
from ._parser import Commands
from ._tables import Screen, wide_option

if TYPE_CHECKING:
    from sojourn.stores import Store

_MOST_FILES = 200
_SUFFIXES = frozenset({".json", ".txt"})


def add_commands(commands: Commands) -> None:
    """Add the four commands."""
    ranges = commands.add_parser(
        "agent-ranges",
        description="Operators such as OpenAI, Anthropic, Perplexity and Google publish the networks of their agents. These "
        "commands keep their lists in the store; the processes of the app use a new one within five minutes.",
    )
    verbs = ranges.commands()
    store = _stores.options()

    update = verbs.add_parser(
        "update",
        parents=[store],
        help="fetch the lists from the operators",
        description="Fetch the lists from the addresses that the operators document, and keep them in the store. A list that "
        "cannot be read is left as it was, and the exit code is 1. Run it once a week.",
    )
    update.add_argument("--agent", action="append", metavar="NAME", help="only the list of this agent; repeatable")
    update.set_defaults(command=_update)

    load = verbs.add_parser(
        "load",
        parents=[store],
        help="read lists from files",
        description="Read a list as its operator publishes it, as JSON or with one network a line, or a folder of them. Files "
        "are known by the operator's name for them, such as gptbot.json, or by the name of an agent.",
    )
    load.add_argument("path", metavar="PATH", type=Path, help="a file, or a folder with .json and .txt files")
    load.add_argument("--agent", metavar="NAME", help="whose networks the file has")
    load.set_defaults(command=_load)

    list_ = verbs.add_parser(
        "list", parents=[store], help="list them", description="List the published networks that the store has."
    )
    list_.add_argument("--json", action="store_true", help="print one JSON document")
    wide_option(list_)
    list_.set_defaults(command=_list)

    remove = verbs.add_parser(
        "remove",
        parents=[store],
        help="remove the list of an agent",
        description="Remove the list of an agent: it is verified by the reverse DNS alone, where its operator vouches for "
        "names. The exit code is 1 if there is none.",
    )
    remove.add_argument("agent", metavar="NAME")
    remove.set_defaults(command=_remove)


def _update(arguments: argparse.Namespace) -> int:
    from sojourn.backends.fetching import Fetcher
    from sojourn.user_agents.networks import MOST_BYTES
    from sojourn.user_agents.published import SOURCES

    wanted = set(arguments.agent or ())
    chosen = [source for source in SOURCES if not wanted or wanted & set(source.agents)]
    if unknown := wanted - {agent for source in SOURCES for agent in source.agents}:
        msg = (
            f"agent-ranges: no list of {cell(min(unknown))} is known; use load with a file of its operator, or one of "
            f"{', '.join(agent for source in SOURCES for agent in source.agents)}"
        )
        raise SojournError(msg)
    failed = 0
    with _stores.source_of(arguments).opened() as store, Fetcher() as fetcher:
        store.open()
        for source in chosen:
            try:
                _keep(store, source.agents, source.url, fetcher.fetch(source.url, most_bytes=MOST_BYTES))
            except SojournError as error:
                failed += 1
                print(f"agent-ranges: {error}", file=sys.stderr)
    return 1 if failed else 0


def _load(arguments: argparse.Namespace) -> int:
    from sojourn.user_agents.published import is_agent_name

    if arguments.agent is not None and not is_agent_name(arguments.agent):
        msg = f"agent-ranges: no agent can have the name {cell(arguments.agent)}; write it as the report's page does"
        raise SojournError(msg)
    files = list(_files(arguments.path))
    if arguments.agent is not None and len(files) > 1:
        raise SojournError("agent-ranges: --agent is of one file; name the files of a folder by their agents")
    # All of them are read before any is kept: a mistake changes nothing.
    read = [(_owners(each, arguments.agent), each, _contents(each)) for each in files]
    with _stores.source_of(arguments).opened() as store:
        store.open()
        for agents, path, networks in read:
            _save(store, agents, path.name, networks)
    return 0


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = sorted(each for each in path.iterdir() if each.suffix.lower() in _SUFFIXES and each.is_file())
    if not found or len(found) > _MOST_FILES:
        msg = f"agent-ranges: {path} has {len(found)} .json and .txt files; give a folder with 1 to {_MOST_FILES}"
        raise SojournError(msg)
    yield from found


def _owners(path: Path, agent: str | None) -> Sequence[str]:
    from sojourn.user_agents.published import SOURCES, agents_of

    agents = agents_of(path.name) if agent is None else (agent,)
    if not agents:
        names = ", ".join(source.file for source in SOURCES)
        msg = f"agent-ranges: whose networks {cell(path.name)} has is unknown; give --agent NAME, or name it as one of {names}"
        raise SojournError(msg)
    return agents


def _contents(path: Path) -> tuple[str, ...]:
    from sojourn.user_agents.networks import MOST_BYTES

    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        msg = f"agent-ranges: {path} cannot be read: {error.strerror}"
        raise SojournError(msg) from None
    return _networks(data, f"agent-ranges: {path}")


def _networks(data: bytes, where: str) -> tuple[str, ...]:
    from sojourn.user_agents.networks import InvalidNetworksError, parse_networks

    try:
        return parse_networks(data)
    except InvalidNetworksError as error:
        msg = f"{where}: {error}; the list is left as it was"
        raise SojournError(msg) from None


def _keep(store: Store, agents: Sequence[str], source: str, data: bytes) -> None:
    _save(store, agents, source, _networks(data, source))


def _save(store: Store, agents: Sequence[str], source: str, networks: tuple[str, ...]) -> None:
    from sojourn.user_agents.published import KIND, Published

    text = Published(_stores.now_of(store), source, networks).text
    for agent in agents:
        store.definitions.set(KIND, agent, text)
    print(f"{', '.join(agents)}: {len(networks):,} networks")


def _list(arguments: argparse.Namespace) -> int:
    from sojourn.backends.cloudevents import rfc3339
    from sojourn.user_agents.published import KIND, published_of

    with _stores.source_of(arguments).opened() as store:
        store.open()
        now = _stores.now_of(store)
        read = [(each.name, published_of(each.text)) for each in store.definitions.of(KIND)]
    found = [(name, each) for name, each in read if each is not None]
    if arguments.json:
        documents = [
            {"agent": name, "read_at": rfc3339(each.at), "source": each.source, "networks": each.networks}
            for name, each in found
        ]
        print(json.dumps({"ranges": documents}, indent=2))
        return 0
    if not found:
        print("no lists; sojourn agent-ranges update fetches them")
        return 0
    rows = [["agent", "networks", "read", "source", ""]]
    rows += [
        [
            cell(name),
            f"{len(each.networks):,}",
            f"{rfc3339(each.at)[:16]}Z",
            cell(each.source),
            "" if each.is_fresh(now) else "older than 30 days: confirms only",
        ]
        for name, each in found
    ]
    print("\n".join(Screen.of(arguments).table(rows, left=frozenset({0, 2, 3, 4}))))
    return 0


def _remove(arguments: argparse.Namespace) -> int:
    from sojourn.user_agents.published import KIND

    with _stores.source_of(arguments, destroys=True).opened() as store:
        store.open()
        if not store.definitions.remove(KIND, arguments.agent):
            msg = f"agent-ranges: there is no list of {cell(arguments.agent)}"
            raise SojournError(msg)
    print(f"removed {cell(arguments.agent)}")
    return 0
