"""`sojourn outbox`: what waits for a backend and what it refused, to be looked at, sent once more, or given up."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from . import _drain, _settings, _stores
from ._output import cell, span, table
from ._status import count, duration

if TYPE_CHECKING:
    from sojourn.core.events import Event
    from sojourn.stores import Store
    from sojourn.stores.model import DeadLetter

_AT_ONCE = 1_000
"""Rows of one transaction: recorder and dispatchers are at work beside it."""


def add_commands(commands: Any) -> None:
    """Add all four to the subparsers of the command line."""
    outbox = commands.add_parser(
        "outbox",
        help="look at what backends refused or still wait for; send it once more, or give it up",
        description="What backends refused for good (dead letters) and what waits for them.",
    )
    outbox.set_defaults(command=lambda _arguments: _help(outbox))
    verbs = outbox.add_subparsers(title="commands", metavar="")
    store, as_json = _stores.options(), _json_option()

    list_ = verbs.add_parser(
        "list",
        parents=[store, as_json],
        help="list dead letters, or what waits",
        description="List dead letters, oldest first: the event, the reason, and the status that the backend gave.",
    )
    list_.add_argument("backend", nargs="?", metavar="BACKEND", help="of this backend alone")
    list_.add_argument("--waiting", action="store_true", help="list what the backend is to be sent next, by seq")
    list_.add_argument("--limit", type=count, default=50, metavar="N", help="at most so many (50)")
    list_.set_defaults(command=_list)

    retry = verbs.add_parser(
        "retry",
        parents=[store, as_json],
        help="try a backend now, and send dead letters once more",
        description="Try a backend now, whatever it rests for, and put dead letters back into its queue. They count as "
        "dead until they are delivered; what is refused once more is a dead letter again, with the new reason.",
    )
    retry.add_argument("backend", metavar="BACKEND")
    which = retry.add_mutually_exclusive_group()
    which.add_argument("--event", action="append", metavar="ID", help="this dead letter; may be repeated")
    which.add_argument("--all", action="store_true", help="all of its dead letters")
    retry.set_defaults(command=_retry)

    skip = verbs.add_parser(
        "skip",
        parents=[store, as_json],
        help="give up events: they are not sent, and counted as skipped",
        description="Give up events for one backend: they stay in the store and go to the others. A dispatcher that has "
        "them in its hands right now may still deliver them.",
    )
    skip.add_argument("backend", metavar="BACKEND")
    what = skip.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--event", action="append", metavar="ID", help="a dead letter, or the next to be sent; may be repeated"
    )
    what.add_argument("--upto", type=count, metavar="SEQ", help="what waits, up to this place in the log")
    what.add_argument("--dead", action="store_true", help="all dead letters")
    what.add_argument("--all", action="store_true", help="all that waits, and all dead letters")
    skip.set_defaults(command=_skip)

    drain = verbs.add_parser(
        "drain",
        parents=[store, as_json],
        help="deliver all that waits, here and now",
        description="Deliver all that waits, and dead letters that were put back, in this process, waiting where a "
        "backend rests, until nothing is left. The backends are the app's, or with --store those of SOJOURN_BACKENDS. "
        "The exit code is 0 when nothing is left.",
    )
    drain.add_argument("backend", nargs="?", metavar="BACKEND", help="to this backend alone")
    drain.add_argument("--timeout", type=duration, metavar="SPAN", help="give up after this, such as 10m")
    drain.set_defaults(command=_drain_outbox)


def _help(parser: argparse.ArgumentParser) -> int:
    parser.print_help()
    return 0


def _json_option() -> argparse.ArgumentParser:
    parent = argparse.ArgumentParser(add_help=False)
    parent.add_argument("--json", action="store_true", help="print JSON")
    return parent


# --- looking -----------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace) -> int:
    if arguments.waiting and arguments.backend is None:
        raise SojournError("--waiting: name the backend, such as `sojourn outbox list posthog --waiting`")
    place = _stores.place_of(arguments)
    limit: int = arguments.limit
    with place.opened() as store:
        if arguments.backend is not None:
            _check_known(store, arguments.backend)
        now = _now(store)
        if arguments.waiting:
            waiting = store.log.after(store.delivery.state(arguments.backend).cursor, limit=limit + 1)
            _print_rows("waiting", [_of_event(event, now) for event in waiting], limit, is_json=arguments.json)
        else:
            letters = store.outbox.letters(arguments.backend, after=0, limit=limit + 1)
            _print_rows("dead_letters", [_of_letter(letter, now) for letter in letters], limit, is_json=arguments.json)
    return 0


def _of_event(event: Event, now: int) -> dict[str, object]:
    return {"seq": event.seq, "event_id": event.id, "name": event.name, "age_ms": max(0, now - event.time)}


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


def _print_rows(what: str, rows: Sequence[dict[str, object]], limit: int, *, is_json: bool) -> None:
    shown, is_more = rows[:limit], len(rows) > limit
    if is_json:
        print(json.dumps({what: shown, "is_more": is_more}, indent=2))
        return
    if not rows:
        print("none")
        return
    heads = {"event_id": "event", "age_ms": "age", "is_requeued": "again"}
    lines = [[heads.get(name, name) for name in rows[0]], *([_cell(*item) for item in row.items()] for row in shown)]
    print("\n".join(table(lines, left=frozenset(range(len(heads) + len(lines[0]))))))
    if is_more:
        print(f"  ... and more; --limit {limit * 2 or 50} shows more of them")


def _cell(name: str, value: object) -> str:
    if name == "age_ms" and isinstance(value, int):
        return span(value)
    if isinstance(value, bool):
        return "yes" if value else "-"
    return "-" if value is None else cell(str(value))


# --- deciding ----------------------------------------------------------------------------------------------------------


def _retry(arguments: argparse.Namespace) -> int:
    name: str = arguments.backend
    wanted: list[str] | None = None if arguments.all else sorted(set(arguments.event or ()))
    place = _stores.place_of(arguments)
    with place.opened() as store:
        _check_known(store, name)
        now, requeued = _now(store), 0
        while done := store.outbox.requeue(name, event_ids=wanted, limit=_AT_ONCE, now=now):
            requeued += done
        told = f"{cell(name)} is tried now; {requeued:,} dead letters go once more"
        is_well = _print_figures(store, name, told, {"requeued": requeued}, is_json=arguments.json)
    missing = 0 if wanted is None else len(wanted) - requeued
    if missing:
        msg = f"{missing} of the events are no dead letters of {name}, or go once more already"
        raise SojournError(f"{msg}; see `sojourn outbox list {name}`")
    return 0 if is_well else 1


def _skip(arguments: argparse.Namespace) -> int:
    name: str = arguments.backend
    wanted: set[str] = set(arguments.event or ())
    place = _stores.place_of(arguments)
    with place.opened() as store:
        _check_known(store, name)
        letters = waiting = 0
        if wanted:
            letters = store.outbox.skip_letters(name, event_ids=wanted, limit=len(wanted))
            waiting = _skip_first(store, name, wanted) if letters < len(wanted) else 0
        if arguments.dead or arguments.all:
            while done := store.outbox.skip_letters(name, event_ids=None, limit=_AT_ONCE):
                letters += done
        if arguments.upto is not None or arguments.all:
            upto = store.log.head() if arguments.all else arguments.upto
            while done := store.outbox.skip_waiting(name, upto=upto, limit=_AT_ONCE):
                waiting += done
        told = f"{cell(name)} is not sent {letters + waiting:,} events ({waiting:,} waited, {letters:,} were dead)"
        skipped: dict[str, object] = {"skipped_waiting": waiting, "skipped_dead": letters}
        is_well = _print_figures(store, name, told, skipped, is_json=arguments.json)
    if wanted and letters + waiting < len(wanted):
        missing = len(wanted) - letters - waiting
        msg = f"{missing} of the events are neither dead letters of {name} nor the next to be sent to it"
        raise SojournError(f"{msg}; see `sojourn outbox list {name} --waiting`, and skip all before with --upto SEQ")
    return 0 if is_well else 1


def _skip_first(store: Store, name: str, wanted: set[str]) -> int:
    """Skip those of these events that stand first in the queue, one behind the other: a cursor has one place."""
    upto = 0
    for event in store.log.after(store.delivery.state(name).cursor, limit=len(wanted)):
        if event.id not in wanted:
            break
        upto = event.seq
    return store.outbox.skip_waiting(name, upto=upto, limit=len(wanted)) if upto else 0


def _drain_outbox(arguments: argparse.Namespace) -> int:
    place = _stores.place_of(arguments)
    settings = place.settings or _settings.settings_of(arguments, store=arguments.store)
    return _drain.drain(settings, only=arguments.backend, timeout=arguments.timeout, is_json=arguments.json)


# --- what they share ---------------------------------------------------------------------------------------------------


def _check_known(store: Store, name: str) -> None:
    known = [outbox.name for outbox in store.outbox.states()]
    if name not in known:
        there = ", ".join(map(cell, known)) or "none"
        raise SojournError(f"the store knows no backend {cell(name)!r}; it knows {there}")


def _now(store: Store) -> int:
    from sojourn.core.clock import SystemClock

    told = store.time()
    return SystemClock.now() if told is None else told


def _print_figures(store: Store, name: str, told: str, more: dict[str, object], *, is_json: bool) -> bool:
    """Say what was done and what the events came to since; whether they add up."""
    from sojourn.health.checks import figures

    state = next(state for state in store.stats().backends if state.name == name)
    numbers = figures(state)
    holds = numbers["recorded"] == sum(numbers.values()) - numbers["recorded"]
    if is_json:
        print(json.dumps({"backend": name, **more, **numbers, "holds": holds}, indent=2))
    else:
        parts = " + ".join(f"{number:,} {key}" for key, number in numbers.items() if key != "recorded")
        print(told)
        print(f"{state.recorded:,} recorded = {parts}" + ("" if holds else ": this does not add up"))
    return holds
