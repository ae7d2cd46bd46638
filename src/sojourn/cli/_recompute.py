"""`sojourn recompute`: what the past would be by other timeouts, and to make it so."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from sojourn.errors import SojournError

from . import _session_filters, _stores
from ._parser import Commands
from ._progress import Bar
from ._rollups import roll_up
from ._status import duration
from ._tables import Screen, wide_option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sojourn.core.session import Rules
    from sojourn.recomputing.figures import Day
    from sojourn.recomputing.recompute import Recomputed

_OFF: Final = "off"
_KEPT: Final = {
    "finer": "whose activity is finer than the log, where that decides",
    "manual": "that the app started",
    "open": "that go on",
    "late_events": "with events from after their end",
    "suppressed": "of visitors who opted out",
    "expired": "whose first events have expired",
    "too_long": "with more than 5,000 events",
    "waiting": "that a backend has still to be sent",
    "changed_meanwhile": "that were changed meanwhile",
}
"""What is said of sessions that stay as they are."""


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "recompute",
        parents=[_stores.options()],
        description="Replay the event log by other timeouts and compare the figures; nothing is changed without --apply. With "
        "it, sessions are divided and joined as these timeouts would have done, and their ends revised. Backends are sent "
        "nothing of it. A fetch leaves no event: sessions of which the log does not show enough stay as they are.",
    )
    parser.add_argument(
        "--idle-timeout", type=duration, metavar="SPAN", help="such as 15m (default: that of the settings)"
    )
    parser.add_argument(
        "--max-duration", type=_span_or_off, metavar="SPAN", help="such as 12h, or off (default: that of the settings)"
    )
    parser.add_argument("--apply", action="store_true", help="change the sessions")
    _session_filters.span_options(parser)
    wide_option(parser)
    parser.set_defaults(command=_recompute)


def _span_or_off(text: str) -> timedelta | str:
    return _OFF if text == _OFF else duration(text)


def _recompute(arguments: argparse.Namespace) -> int:
    from sojourn.engine import rules_of
    from sojourn.recomputing.recompute import Recomputation, check

    if arguments.since is None:
        raise SojournError("name from when on with --since, such as 90d; what is older stays as it is")
    source = _stores.source_of(arguments, destroys=arguments.apply)
    rules = _rules(rules_of(source.settings_or_environment()), arguments)
    check(rules)
    with source.opened() as store:
        now = _stores.now_of(store)
        asked = _session_filters.span_of(arguments, now)
        since, until = (0, now) if asked is None else (asked.since, min(asked.until, now))
        run = Recomputation(store, rules, since=since, until=until, applies=arguments.apply)
        total = store.stats().sessions
        with Bar(sys.stderr) as bar:
            for _ in run.run():
                bar.show("sessions", min(run.done.sessions, total), total)
            if run.done.applied:
                roll_up(store, now, bar)
    _report(run.done, rules, arguments)
    return 0


def _rules(rules: Rules, arguments: argparse.Namespace) -> Rules:
    if arguments.idle_timeout is not None:
        rules = replace(rules, idle_timeout=_ms(arguments.idle_timeout))
    if arguments.max_duration is not None:
        rules = replace(rules, max_duration=None if arguments.max_duration == _OFF else _ms(arguments.max_duration))
    if rules.idle_timeout <= 0:
        raise SojournError("--idle-timeout must be positive")
    if rules.max_duration is not None and rules.max_duration < rules.idle_timeout:
        raise SojournError("--max-duration must be at least --idle-timeout")
    return rules


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)


def _report(done: Recomputed, rules: Rules, arguments: argparse.Namespace) -> None:
    interval = (rules.heartbeat_interval or 0) // 1000
    print(f"{done.sessions:,} sessions replayed; what the log shows of their activity is as fine as {interval} s")
    for reason, count in done.kept.most_common():
        print(f"  {count:,} left as they are: {_KEPT.get(reason, reason)}")
    if not done.changed:
        print("nothing changes")
        return
    for line in _lines(done, Screen.of(arguments)):
        print(line)
    if arguments.apply:
        print(f"changed: {done.applied:,} sessions")
    else:
        print(f"{done.changed:,} sessions would change; --apply changes them")


def _lines(done: Recomputed, screen: Screen) -> Iterator[str]:
    """The figures, in total and by day."""
    from sojourn.health.formatting import span
    from sojourn.recomputing.figures import Day

    before, after = done.before.total(), done.after.total()
    reasons = sorted({*before.ends, *after.ends})
    figures = [
        ["", "before", "after"],
        ["sessions", f"{before.sessions:,}", f"{after.sessions:,}"],
        ["mean duration", span(before.mean_ms), span(after.mean_ms)],
        ["bounce rate", _percent(before), _percent(after)],
        *([f"ended by {reason}", f"{before.ends[reason]:,}", f"{after.ends[reason]:,}"] for reason in reasons),
    ]
    yield from screen.table(figures)
    yield ""
    days = [["day (UTC)", "sessions", "after", "mean duration", "after", "bounce rate", "after"]]
    for at in sorted({*done.before.days, *done.after.days}):
        old, new = done.before.days.get(at, Day()), done.after.days.get(at, Day())
        if old != new:
            days.append(
                [
                    f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d}",
                    *(f"{old.sessions:,}", f"{new.sessions:,}", span(old.mean_ms), span(new.mean_ms)),
                    *(_percent(old), _percent(new)),
                ]
            )
    yield from screen.table(days)


def _percent(day: Day) -> str:
    return "-" if day.bounce_rate is None else f"{day.bounce_rate:.1%}"
