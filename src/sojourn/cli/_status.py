"""`sojourn status`: recording and delivery health, as a page or as JSON."""

from __future__ import annotations

import argparse
import json
from datetime import timedelta
from typing import TYPE_CHECKING

from . import _stores
from ._output import Paint, cell, printable, span
from ._parser import Commands
from ._tables import Screen, wide_option

if TYPE_CHECKING:
    from sojourn.health.checks import Backlog, HealthSnapshot, Limits

_MOST_DIGITS = 12


def add_commands(commands: Commands) -> None:
    """Add the command."""
    status = commands.add_parser(
        "status",
        parents=[_stores.options()],
        description="Show what is recorded, what each backend received, what is waiting, and any problems. The exit code is "
        "0; with --check it is 1 if there are problems: figures that do not add up, damaged journals, "
        "a backend whose last three attempts failed or that is paused for more than a minute, events or records that no "
        "process handles, or figures above the limits.",
    )
    status.add_argument("--check", action="store_true", help="exit with 1 if there are problems")
    status.add_argument(
        "--max-lag",
        type=duration,
        default=timedelta(minutes=10),
        metavar="DURATION",
        help="how long an event or a record may wait (default: 10m)",
    )
    status.add_argument(
        "--max-dead", type=count, default=0, metavar="N", help="how many dead letters are allowed (default: 0)"
    )
    status.add_argument("--max-backlog", type=count, metavar="N", help="how many events may wait (default: no limit)")
    status.add_argument(
        "--max-size",
        type=size_limit,
        metavar="SIZE",
        help="how large the store may be, such as 10GiB (default: no limit)",
    )
    status.add_argument("--json", action="store_true", help="print one JSON document")
    wide_option(status)
    status.set_defaults(command=_status)


def duration(text: str) -> timedelta:
    """Parse a duration argument, in the format of the settings."""
    from sojourn.settings._quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        msg = f'give a duration such as "30m", "1h30m" or "250ms"; got {text!r}'
        raise argparse.ArgumentTypeError(msg) from error


def size_limit(text: str) -> int:
    """Parse a size argument, in the format of the settings."""
    from sojourn.settings._quantities import parse_size

    try:
        return parse_size(text)
    except ValueError as error:
        msg = f'give a size such as "500MB" or "10GiB"; got {text!r}'
        raise argparse.ArgumentTypeError(msg) from error


def count(text: str) -> int:
    """Parse a number argument, 0 or more."""
    if not (text.isdecimal() and len(text) <= _MOST_DIGITS):
        msg = f"give a whole number, 0 or more, of at most {_MOST_DIGITS} digits; got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _status(arguments: argparse.Namespace) -> int:
    from sojourn.health.checks import Limits, document, problems
    from sojourn.health.hints import hints
    from sojourn.health.snapshot import snapshot

    source = _stores.source_of(arguments)
    with source.opened() as store:
        health = snapshot(store, source.journals())
    limits = Limits(
        lag=round(arguments.max_lag.total_seconds() * 1000),
        dead=arguments.max_dead,
        backlog=arguments.max_backlog,
        size=arguments.max_size,
    )
    if arguments.json:
        print(json.dumps({**document(health, limits), "hints": hints(health)}, indent=2))
    else:
        print("\n".join(_page(health, limits, Screen.of(arguments))))
    return 1 if arguments.check and problems(health, limits) else 0


def _page(health: HealthSnapshot, limits: Limits, screen: Screen) -> list[str]:
    from sojourn.health.checks import problems
    from sojourn.health.conditions import Level, worst
    from sojourn.health.formatting import size
    from sojourn.health.hints import hints

    stats, paint = health.stats, screen.paint
    store_size = "" if stats.size is None else f", {size(stats.size)}"
    found_problems = problems(health, limits)
    lines = [
        f"sessions   {stats.sessions:,} ({stats.open_sessions:,} open), {stats.events:,} events{store_size}",
        f"records    {_records(health, paint)}",
        f"journals   {_journals(health)}",
        "",
        *(_backends(health, screen) or ["no backends: events stay in the store"]),
    ]
    if health.leases:
        lines += ["", "leases", *_leases(health, screen)]
    if on := [each for each in health.alerts if each.is_on]:
        rows = [[cell(each.name), f"since {span(health.now - each.since)} ago", printable(each.text)] for each in on]
        lines += ["", paint("alerts", "odd"), *screen.table(rows, left=frozenset({0, 1, 2}), has_heads=False)]
    if health.refusals:
        rows = [[cell(name), f"{number:,}"] for name, number in health.refusals.items()]
        lines += ["", "refused, ignored and discarded", *screen.table(rows, has_heads=False)]
    lines.append("")
    if found_problems:
        level = worst(found_problems)
        heading = paint(f"problems ({level.value})", "bad" if level is Level.CRITICAL else "odd")
        lines += [
            heading,
            *(line for each in found_problems for line in screen.lines(printable(each.text), indent="  ")),
        ]
    else:
        lines.append(paint("healthy", "good"))
    if advice := hints(health):
        lines += ["", "hints", *(line for text in advice for line in screen.lines(printable(text), indent="  "))]
    return lines


def _records(health: HealthSnapshot, paint: Paint) -> str:
    figures = f"{health.accepted:,} accepted = {health.recorded:,} recorded + {health.unapplied:,} unapplied"
    if health.lost:
        figures += f" + {health.lost:,} lost in damaged journals"
    verdict = {True: paint("ok", "good"), False: paint("do not add up", "bad"), None: paint("changing", "odd")}
    refused = f"; {health.refused:,} refused" if health.refused else ""
    return f"{figures}: {verdict[health.holds]}{refused}"


def _journals(health: HealthSnapshot) -> str:
    until, here = health.recorded_until, health.here
    text = f"{len(health.heard_of)} of {len(health.marks)} processes active in the last 2 minutes"
    if until is not None:
        text += f", recorded until {span(health.now - until)} ago"
    if here is not None:
        text += f"; {len(here.living)} alive"
        if here.dead:
            text += f", {here.dead} dead"
        text += " on this host"
        if here.oldest_at is not None:
            text += f", oldest record waiting for {span(health.now - here.oldest_at)}"
    return text


def _backends(health: HealthSnapshot, screen: Screen) -> list[str]:
    if not health.backlogs:
        return []
    heads = ["backend", "recorded", "delivered", "dead", "skipped", "dropped", "waiting", "lag", "retries", "state"]
    # A loss that most stores never see has no column there.
    has_expired = any(each.state.expired for each in health.backlogs)
    if has_expired:
        heads.insert(heads.index("waiting"), "expired")
    rows = [heads]
    for each in health.backlogs:
        state = each.state
        expired = (state.expired,) if has_expired else ()
        numbers = (state.recorded, state.delivered, state.dead, state.skipped, state.dropped, *expired, state.backlog)
        lag = "-" if each.lag is None else span(each.lag)
        row = [cell(state.name), *(f"{number:,}" for number in numbers), lag, f"{state.retried:,}"]
        rows.append([*row, _backend_state(each, health, screen.paint)])
    return screen.table(rows, left=frozenset({0, len(heads) - 1}), whole=frozenset({0}))


def _backend_state(each: Backlog, health: HealthSnapshot, paint: Paint) -> str:
    from sojourn.health.conditions import Condition, condition, describe, problem

    parts = [] if each.holds else [paint("does not add up", "bad")]
    if each.outbox.requeued:
        parts.append(f"{each.outbox.requeued:,} dead letters requeued")
    words = ": ".join(filter(None, describe(each, health)))
    if problem(each, health) is not None:
        parts.append(paint(words, "bad"))
    elif condition(each, health) is Condition.RETRYING:
        parts.append(paint(words, "odd"))
    elif not parts:
        parts.append(paint(words, "good"))
    return ", ".join(parts)


def _leases(health: HealthSnapshot, screen: Screen) -> list[str]:
    from sojourn.health.checks import whose

    rows = [
        [
            cell(lease.name.partition(":")[0] if lease.name.startswith("recorder:") else lease.name),
            cell(whose(lease, health)),
            "expired" if lease.until <= health.now else f"for {span(lease.until - health.now)}",
        ]
        for lease in health.leases
    ]
    return screen.table(rows, left=frozenset({0, 1, 2}), has_heads=False)
