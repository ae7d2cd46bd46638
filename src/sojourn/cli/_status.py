"""`sojourn status`: whether all is recorded and delivered, and if not, where it waits and why."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from . import _settings, _stores
from ._output import Paint, cell, printable, span, table

if TYPE_CHECKING:
    from sojourn.health.checks import Backlog, HealthSnapshot, Limits


def add_commands(commands: Any) -> None:
    """Add it to the subparsers of the command line."""
    status = commands.add_parser(
        "status",
        parents=[_stores.options()],
        help="tell whether all is recorded and delivered, and where not, why",
        description="Tell what is recorded, what each backend got and what waits, and whether the figures add up. The "
        "exit code is 0; with --check it is 1 if anything is not well: figures that do not add up, a backend that rests "
        "for more than a minute, or more than the limits allow.",
    )
    status.add_argument("--check", action="store_true", help="exit with 1 if anything is not well")
    status.add_argument(
        "--max-lag",
        type=duration,
        default=timedelta(minutes=10),
        metavar="SPAN",
        help="for how long an event or a record may wait (10m)",
    )
    status.add_argument("--max-dead", type=count, default=0, metavar="N", help="how many dead letters may lie (0)")
    status.add_argument("--max-backlog", type=count, metavar="N", help="how many events may wait (without it: any)")
    status.add_argument("--json", action="store_true", help="print one JSON document")
    status.set_defaults(command=_status)


def duration(text: str) -> timedelta:
    """A span of the command line, as settings write one."""
    from sojourn.settings._quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        msg = f'give a span such as "30m", "1h30m" or "250ms"; got {text!r}'
        raise argparse.ArgumentTypeError(msg) from error


def count(text: str) -> int:
    """A number of the command line, 0 or more."""
    if not text.isdecimal():
        msg = f"give a number, 0 or more; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _status(arguments: argparse.Namespace) -> int:
    from sojourn.health.checks import Limits, document, problems
    from sojourn.health.snapshot import snapshot

    place = _stores.place_of(arguments)
    with place.opened() as store:
        health = snapshot(store, _settings.journals_of(place.settings, arguments.store))
    limits = Limits(
        lag=round(arguments.max_lag.total_seconds() * 1000), dead=arguments.max_dead, backlog=arguments.max_backlog
    )
    if arguments.json:
        print(json.dumps(document(health, limits), indent=2))
    else:
        print("\n".join(_page(health, limits, Paint.on(sys.stdout))))
    return 1 if arguments.check and problems(health, limits) else 0


def _page(health: HealthSnapshot, limits: Limits, paint: Paint) -> list[str]:
    from sojourn.health.checks import problems

    stats = health.stats
    wrong = problems(health, limits)
    lines = [
        f"sessions   {stats.sessions:,} ({stats.open_sessions:,} open), {stats.events:,} events",
        f"records    {_records(health, paint)}",
        f"journals   {_journals(health)}",
        "",
        *(_backends(health, paint) or ["no backend is known: events stay in the store"]),
    ]
    if health.leases:
        lines += ["", "leases", *_leases(health)]
    if health.refusals:
        rows = [[cell(name), f"{number:,}"] for name, number in health.refusals.items()]
        lines += ["", "refused, ignored and discarded", *table(rows)]
    lines.append("")
    if wrong:
        lines += [paint("not well:", "bad"), *(f"  {printable(line)}" for line in wrong)]
    else:
        lines.append(paint("all is well", "good"))
    return lines


def _records(health: HealthSnapshot, paint: Paint) -> str:
    told = f"{health.accepted:,} accepted = {health.recorded:,} recorded + {health.unapplied:,} unapplied"
    verdict = {True: paint("holds", "good"), False: paint("does not hold", "bad"), None: paint("moving", "odd")}
    refused = f"; {health.refused:,} refused" if health.refused else ""
    return f"{told}: {verdict[health.holds]}{refused}"


def _journals(health: HealthSnapshot) -> str:
    until, here = health.recorded_until, health.here
    told = f"{len(health.heard_of)} of {len(health.marks)} processes heard of within 2 minutes"
    if until is not None:
        told += f", recorded until {span(health.now - until)} ago"
    if here is not None:
        told += f"; here {len(here.living)} alive"
        if here.dead:
            told += f", {here.dead} dead"
        if here.oldest_at is not None:
            told += f", the oldest record waits for {span(health.now - here.oldest_at)}"
    return told


def _backends(health: HealthSnapshot, paint: Paint) -> list[str]:
    if not health.backlogs:
        return []
    heads = ["backend", "recorded", "delivered", "dead", "skipped", "dropped", "waiting", "lag", "retried", "  "]
    rows = [heads]
    for each in health.backlogs:
        state = each.state
        numbers = (state.recorded, state.delivered, state.dead, state.skipped, state.dropped, state.backlog)
        lag = "-" if each.lag is None else span(each.lag)
        told = _told(each, health.now, paint)
        rows.append([cell(state.name), *(f"{number:,}" for number in numbers), lag, f"{state.retried:,}", told])
    return table(rows, left=frozenset({0, len(heads) - 1}))


def _told(each: Backlog, now: int, paint: Paint) -> str:
    from sojourn.health.checks import waits

    parts = [] if each.holds else [paint("does not add up", "bad")]
    wait = waits(each.state, now)
    if wait is not None:
        parts.append(paint(f"again in {span(wait)}: {cell(each.state.problem or '')}", "odd"))
    elif each.state.problem:
        parts.append(paint(cell(each.state.problem), "odd"))
    if each.outbox.requeued:
        parts.append(f"{each.outbox.requeued:,} dead letters go once more")
    return ", ".join(parts) or paint("ok", "good")


def _leases(health: HealthSnapshot) -> list[str]:
    from sojourn.health.checks import whose

    rows = [
        [
            cell(lease.name.partition(":")[0] if lease.name.startswith("recorder:") else lease.name),
            cell(whose(lease, health)),
            "over" if lease.until <= health.now else f"for {span(lease.until - health.now)}",
        ]
        for lease in health.leases
    ]
    return table(rows, left=frozenset({0, 1, 2}))
