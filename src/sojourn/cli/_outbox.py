"""`sojourn outbox`: list, retry and skip the dead letters and waiting events of backends."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sojourn.errors import SojournError

from . import _choosing, _drain, _stores
from ._output import cell, span
from ._parser import Commands
from ._status import count, duration
from ._tables import Screen, wide_option

if TYPE_CHECKING:
    from sojourn.core.events import Event, Position
    from sojourn.stores import Store
    from sojourn.stores.model import DeadLetter

_AT_ONCE = 1_000
"""Rows per transaction: the recorder and the dispatchers write to the same store."""


def add_commands(commands: Commands) -> None:
    """Add the four commands."""
    outbox = commands.add_parser(
        "outbox",
        description="Manage events that backends rejected permanently (dead letters), and events waiting for them.",
    )
    verbs = outbox.commands()
    store, as_json = _stores.options(), _json_option()

    list_ = verbs.add_parser(
        "list",
        parents=[store, as_json],
        help="list dead letters or waiting events",
        description="List dead letters, oldest first, with the reason and the HTTP status that the backend gave.",
    )
    list_.add_argument("backend", nargs="?", metavar="BACKEND", help="only of this backend")
    list_.add_argument(
        "--waiting", action="store_true", help="list the events that the backend receives next, by position"
    )
    list_.add_argument("--limit", type=count, default=50, metavar="N", help="at most this many (default: 50)")
    wide_option(list_)
    list_.set_defaults(command=_list)

    retry = verbs.add_parser(
        "retry",
        parents=[store, as_json],
        help="retry a backend now, and requeue dead letters",
        description="Retry a backend now, even if it is paused, and requeue dead letters. They count as dead until they are "
        "delivered; an event that is rejected again stays a dead letter, with the new reason.",
    )
    retry.add_argument("backend", metavar="BACKEND")
    which = retry.add_mutually_exclusive_group()
    which.add_argument("--event", action="append", metavar="ID", help="requeue this dead letter; can be repeated")
    which.add_argument("--all", action="store_true", help="requeue all dead letters of the backend")
    retry.set_defaults(command=_retry)

    skip = verbs.add_parser(
        "skip",
        parents=[store, as_json],
        help="skip dead letters or waiting events",
        description="Skip events for one backend: they are not sent to it, but stay in the store and go to the other backends. "
        "A dispatcher that is just sending some of them may still deliver those.",
    )
    skip.add_argument("backend", metavar="BACKEND")
    what = skip.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--event", action="append", metavar="ID", help="a dead letter, or the next event to be sent; can be repeated"
    )
    what.add_argument(
        "--upto", type=_position, metavar="POSITION", help="waiting events up to this position in the log"
    )
    what.add_argument("--dead", action="store_true", help="all dead letters")
    what.add_argument("--all", action="store_true", help="all waiting events and all dead letters")
    skip.set_defaults(command=_skip)

    drain = verbs.add_parser(
        "drain",
        parents=[store, as_json],
        help="deliver all waiting events in this process",
        description="Deliver all waiting events and requeued dead letters in this process, until nothing is left. It waits "
        "while a backend is paused. The backends are those of the app, or with --store those of SOJOURN_BACKENDS. The "
        "exit code is 0 if nothing is left.",
    )
    drain.add_argument("backend", nargs="?", metavar="BACKEND", help="only to this backend")
    drain.add_argument("--timeout", type=duration, metavar="DURATION", help="stop after this time, such as 10m")
    drain.set_defaults(command=_drain_outbox)


def _json_option() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--json", action="store_true", help="print JSON")
    return parent


def _position(text: str) -> Position:
    """Parse a position, as `outbox list --waiting` shows it."""
    from sojourn.core.events import Position

    position = Position.from_text(text)
    if position is None:
        msg = f"give a position as `sojourn outbox list --waiting` shows it; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return position


# --- list -----------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    if arguments.waiting and arguments.backend is None:
        raise SojournError("--waiting: name the backend, such as `sojourn outbox list posthog --waiting`")
    source = _stores.source_of(arguments)
    limit: int = arguments.limit
    with source.opened() as store:
        if arguments.backend is not None:
            _check_backend(store, arguments.backend)
        now = _stores.now_of(store)
        if arguments.waiting:
            waiting = store.log.after(store.delivery.state(arguments.backend).cursor, limit=limit + 1)
            _print_rows("waiting", [_of_event(event, now) for event in waiting], arguments)
        else:
            letters = store.outbox.letters(arguments.backend, after=0, limit=limit + 1)
            _print_rows("dead_letters", [_of_letter(letter, now) for letter in letters], arguments)
    return 0


def _of_event(event: Event, now: int) -> dict[str, object]:
    return {
        "position": str(event.position),
        "event_id": event.id,
        "name": event.name,
        "age_ms": max(0, now - event.time),
    }


def _of_letter(letter: DeadLetter, now: int) -> dict[str, object]:
    return {
        "backend": letter.backend,
        "event_id": letter.event.id,
        "name": letter.event.name,
        "age_ms": max(0, now - letter.at),
        "status": letter.status,
        "is_requeued": letter.requeued_at is not None,
        "reason": letter.reason,
    }


def _print_rows(what: str, rows: Sequence[dict[str, object]], arguments: argparse.Namespace) -> None:
    limit: int = arguments.limit
    shown, is_more = rows[:limit], len(rows) > limit
    if arguments.json:
        print(json.dumps({what: shown, "is_more": is_more}, indent=2))
        return
    if not rows:
        print("none")
        return
    heads = {"event_id": "event", "age_ms": "age", "is_requeued": "requeued"}
    lines = [[heads.get(name, name) for name in rows[0]], *([_cell(*item) for item in row.items()] for row in shown)]
    names = list(rows[0])
    whole = frozenset({names.index("event_id"), names.index("position") if "position" in names else 0})
    print("\n".join(Screen.of(arguments).table(lines, left=frozenset(range(len(names))), whole=whole)))
    if is_more:
        print(f"  ... and more; use --limit {limit * 2 or 50} to show them")


def _cell(name: str, value: object) -> str:
    if name == "age_ms" and isinstance(value, int):
        return span(value)
    if isinstance(value, bool):
        return "yes" if value else "-"
    return "-" if value is None else cell(str(value))


# --- retry and skip ----------------------------------------------------------------------------------------------------------


def _retry(arguments: argparse.Namespace) -> int:
    name: str = arguments.backend
    event_ids: list[str] | None = None if arguments.all else sorted(set(arguments.event or ()))
    source = _stores.source_of(arguments)
    with source.opened() as store:
        _check_backend(store, name)
        now, requeued = _stores.now_of(store), 0
        while done := store.outbox.requeue(name, event_ids=event_ids, limit=_AT_ONCE, now=now):
            requeued += done
        message = f"{cell(name)}: retrying now; {requeued:,} dead letters requeued"
        is_well = _print_figures(store, name, message, {"requeued": requeued}, is_json=arguments.json)
    missing = 0 if event_ids is None else len(event_ids) - requeued
    if missing:
        msg = f"{missing} of the events are not dead letters of {name}, or are already requeued"
        raise SojournError(f"{msg}; see `sojourn outbox list {name}`")
    return 0 if is_well else 1


def _skip(arguments: argparse.Namespace) -> int:
    name: str = arguments.backend
    event_ids: set[str] = set(arguments.event or ())
    source = _stores.source_of(arguments, destroys=True)
    with source.opened() as store:
        _check_backend(store, name)
        letters = waiting = 0
        if event_ids:
            letters = store.outbox.skip_letters(name, event_ids=event_ids, limit=len(event_ids))
            waiting = _skip_first(store, name, event_ids) if letters < len(event_ids) else 0
        if arguments.dead or arguments.all:
            while done := store.outbox.skip_letters(name, event_ids=None, limit=_AT_ONCE):
                letters += done
        if arguments.upto is not None or arguments.all:
            upto = store.log.head() if arguments.all else arguments.upto
            while done := store.outbox.skip_waiting(name, upto=upto, limit=_AT_ONCE):
                waiting += done
        message = f"{cell(name)}: {letters + waiting:,} events skipped ({waiting:,} waiting, {letters:,} dead letters)"
        skipped: dict[str, object] = {"skipped_waiting": waiting, "skipped_dead": letters}
        is_well = _print_figures(store, name, message, skipped, is_json=arguments.json)
    if event_ids and letters + waiting < len(event_ids):
        missing = len(event_ids) - letters - waiting
        msg = f"{missing} of the events are neither dead letters of {name} nor next in its queue"
        raise SojournError(
            f"{msg}; see `sojourn outbox list {name} --waiting`; skip everything before with --upto POSITION"
        )
    return 0 if is_well else 1


def _skip_first(store: Store, name: str, event_ids: set[str]) -> int:
    """Skip those of these events that come first in the queue, without gaps: a cursor has one position."""
    upto = None
    for event in store.log.after(store.delivery.state(name).cursor, limit=len(event_ids)):
        if event.id not in event_ids:
            break
        upto = event.position
    return store.outbox.skip_waiting(name, upto=upto, limit=len(event_ids)) if upto is not None else 0


def _drain_outbox(arguments: argparse.Namespace) -> int:
    source = _stores.source_of(arguments)
    settings = source.settings or _choosing.environment(store=source.url)
    return _drain.drain(settings, only=arguments.backend, timeout=arguments.timeout, is_json=arguments.json)


# --- shared ---------------------------------------------------------------------------------------------------


def _check_backend(store: Store, name: str) -> None:
    names = [outbox.name for outbox in store.outbox.states()]
    if name not in names:
        listed = ", ".join(map(cell, names)) or "none"
        raise SojournError(f"the store has no backend {cell(name)!r}; it has {listed}")


def _print_figures(store: Store, name: str, message: str, more: dict[str, object], *, is_json: bool) -> bool:
    """Print the message and the backend's current figures; return whether they add up."""
    from sojourn.health.checks import figures

    state = next(state for state in store.stats().backends if state.name == name)
    numbers = figures(state)
    holds = numbers["recorded"] == sum(numbers.values()) - numbers["recorded"]
    if is_json:
        print(json.dumps({"backend": name, **more, **numbers, "holds": holds}, indent=2))
    else:
        left_out = {"recorded"} if state.expired else {"recorded", "expired"}  # most stores never see an expired event
        parts = " + ".join(f"{number:,} {key}" for key, number in numbers.items() if key not in left_out)
        print(message)
        print(f"{state.recorded:,} recorded = {parts}" + ("" if holds else ": this does not add up"))
    return holds
