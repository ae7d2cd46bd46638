"""What a person may ask for, typed by whoever answers for the app: `sojourn erase`, and `sojourn export` of a person."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from sojourn.errors import SojournError

from . import _stores
from ._stores import Place

if TYPE_CHECKING:
    from sojourn.data_subjects import Erased


def add_commands(commands: Any) -> None:
    """Add `erase` to the subparsers of the command line; `export` has more to write than people."""
    erase = commands.add_parser(
        "erase",
        parents=[_person_options(), _stores.options()],
        help="delete all that the store knows about a visitor or a user",
        description="Delete a person's sessions and events, keep late records from bringing them back, and say what "
        "had been forwarded already and where. To erase is not to opt out: who comes again is counted again.",
    )
    erase.add_argument("--yes", action="store_true", help="do not ask first")
    erase.set_defaults(command=_erase)


def _person_options() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    add_person(parent.add_mutually_exclusive_group(required=True))
    return parent


def add_person(who: Any) -> None:
    """`--visitor` and `--user`, for a group of which one is given."""
    who.add_argument("--visitor", type=_id, metavar="ID", help="a browser: the visitor.id of its events")
    who.add_argument(
        "--user",
        type=_id,
        metavar="ID",
        help="a user: the id given to identify(); with --store and hash_user_ids, the hash of it",
    )


def _id(text: str) -> str:
    if not text or not text.isprintable():  # lone surrogates too: bytes of the command line that are no text
        raise argparse.ArgumentTypeError("an id has at least one character, and only printable ones")
    return text


def _erase(arguments: argparse.Namespace) -> int:
    from sojourn.core.clock import SystemClock
    from sojourn.data_subjects import erase

    place = _stores.place_of(arguments)
    user = _user(arguments, place)
    if not arguments.yes and not _agrees(arguments):
        print("sojourn: nothing was erased", file=sys.stderr)
        return 1
    with place.opened() as store:
        done = erase(store, visitor_id=arguments.visitor, user_id=user, now=SystemClock.now())
    print(_told(done))
    return 0


def export_person(arguments: argparse.Namespace, place: Place) -> None:
    """Write the person that the arguments name, as one JSON document."""
    from sojourn.data_subjects import export_json

    user = _user(arguments, place)
    with place.opened() as store, _output(arguments.output) as out:
        export_json(store, visitor_id=arguments.visitor, user_id=user, out=out)


def _user(arguments: argparse.Namespace, place: Place) -> str | None:
    """The user's id as the store knows it: hashed, where the app is at hand and has it hashed."""
    from sojourn.tracking.masking import pseudonym

    user: str | None = arguments.user
    settings = place.settings
    if user is None or settings is None or not settings.hash_user_ids or settings.user_hash_key is None:
        return user
    return pseudonym(user, settings.user_hash_key)


def _agrees(arguments: argparse.Namespace) -> bool:
    who = f"user {arguments.user}" if arguments.user is not None else f"visitor {arguments.visitor}"
    if not sys.stdin.isatty():
        raise SojournError("what is erased cannot be brought back; pass --yes to say that you mean it")
    print(f"Erase all about {who}? It cannot be brought back. [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _told(done: Erased) -> str:
    lines = [f"deleted: {done.sessions} sessions, {done.events} events, {done.dead_letters} dead letters"]
    if done.forwarded:
        lines.append("already forwarded (at most); ask there to have it deleted:")
        lines += [f"  {name}: {count} events" for name, count in sorted(done.forwarded.items())]
    else:
        lines.append("already forwarded: nothing")
    return "\n".join(lines)


@contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or a new file for the user's eyes only. A file that could not be finished is taken away again."""
    if path is None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # JSON is, whatever the terminal says
        yield sys.stdout
        return
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as error:
        msg = f"{path} cannot be made: {error.strerror}; choose another file for --output"
        raise SojournError(msg) from error
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            yield out
    except BaseException:
        path.unlink(missing_ok=True)
        raise
