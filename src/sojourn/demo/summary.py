"""The demo's text: introduction, summary, and figures that do not add up. Pure: figures in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .figures import Figures
    from .visitors import Played


def intro(address: str, report: str, folder: Path, seconds: float | None) -> str:
    """The introduction."""
    until = "Press Ctrl-C to stop." if seconds is None else f"The demo stops after {seconds:g} seconds."
    return f"""
A seed shop with Sojourn's middleware runs at {address}.
Simulated visitors use it over real HTTP: one leaves, one comes back, two share a device, one logs out, one stays on
a websocket, one searches and buys, one gets errors, and crawlers read it. Half-way, or after 20 seconds, a new release
comes. The idle timeout of this demo is 2 seconds (the default is 30 minutes).

  report    {report}
  database  {folder / "sojourn.db"}
  events    {folder / "events.jsonl"}

Open the report in a browser to watch the sessions live (the link works once; then a new one is printed). It also has
four weeks of synthetic visits. Can you tell which campaign brings buyers, which route is slow, which error met most
users, whether the new release is worse, and what AI crawlers read?

Below are the events as they are forwarded: time, name, session, user, details. The end of a session carries the time
of the last activity, so it appears later than its time. {until}
"""


def problems(figures: Figures, played: Played) -> list[str]:
    """List the figures that do not add up, each as a sentence."""
    return list(_problems(figures, played))


def summary(figures: Figures, played: Played, folder: Path, found_problems: Sequence[str]) -> str:
    """The summary, and where to look next."""
    stats = figures.stats
    visits = _between(played.least_visits, played.most_visits)
    rows = (
        ("visitors", f"{played.visitors}, with {visits} visits and {played.pages} pages"),
        ("sessions", f"{_started(figures)} started = {_ended(figures)} ended + {stats.open_sessions} open"),
        ("end reasons", _listed(figures.reasons)),
        ("events", _listed(figures.events)),
    )
    lines = [fill(text, 110, initial_indent=f"  {name:<13}", subsequent_indent=" " * 15) for name, text in rows]
    backends = [
        (
            state.name,
            (state.recorded, state.delivered, state.skipped, state.dead, state.dropped, state.backlog),
        )
        for state in stats.backends
    ]
    heads = ("accepted", "delivered", "skipped", "dead", "dropped", "waiting")
    table = [
        "  backend   " + "".join(f"{head:>11}" for head in heads),
        *(f"  {name:<10}" + "".join(f"{count:>11}" for count in counts) for name, counts in backends),
    ]
    verdict = (
        "The figures do not add up."
        if found_problems
        else "The figures add up: every visit has its session, and every event was delivered."
    )
    after = (
        f"  database  {folder / 'sojourn.db'}   (open it with any SQLite browser)",
        f"  events    {folder / 'events.jsonl'}   (one CloudEvent per line)",
        "",
        "Next, in your own app:  from sojourn.starlette import Sojourn  (or sojourn.flask),  then  Sojourn(app)",
        "                        `sojourn secret` prints the key it needs.",
    )
    return "\n".join(
        ("", f"In {played.seconds:.1f} seconds:", "", *lines, "", *table, "", verdict, "", *after),
    )


def _problems(figures: Figures, played: Played) -> Iterator[str]:
    yield from played.troubles
    yield from _sessions(figures)
    yield from _deliveries(figures)
    yield from _visits(figures, played)
    for name, count in figures.stats.counters.items():
        if name == "ignored.fault" and count:
            yield f"Sojourn failed internally {count} times; its warnings are above"


def _sessions(figures: Figures) -> Iterator[str]:
    started, ended, still_open = _started(figures), _ended(figures), figures.stats.open_sessions
    if started != ended + still_open:
        yield f"{started} sessions started, but {ended} ended and {still_open} are open"
    if sum(figures.starts.values()) != started:
        yield f"{started} sessions started, but the event log has {sum(figures.starts.values())} session.start"
    if sum(figures.ends.values()) != ended:
        yield f"{ended} sessions ended, but the event log has {sum(figures.ends.values())} session.end"
    for name, counts in (("session.start", figures.starts), ("session.end", figures.ends)):
        twice = sum(count > 1 for count in counts.values())
        if twice:
            yield f"{twice} sessions have more than one {name}"
    if unstarted := len(figures.ends.keys() - figures.starts.keys()):
        yield f"{unstarted} sessions ended without a start"


def _deliveries(figures: Figures) -> Iterator[str]:
    in_log = sum(figures.events.values())
    for state in figures.stats.backends:
        settled = state.settled
        if state.recorded != settled + state.backlog:
            yield f"{state.name} accepted {state.recorded} events, but {settled} are settled and {state.backlog} wait"
        if state.recorded != in_log:
            yield f"{state.name} accepted {state.recorded} events of the {in_log} in the log"
        if state.backlog:
            yield f"{state.backlog} events were not delivered to {state.name} ({state.problem or 'no reason given'})"
        if state.dead or state.dropped or state.expired:
            yield f"{state.name} lost {state.dead + state.dropped + state.expired} events"
    if not figures.is_done:
        yield "not everything was recorded and delivered in time"
    delivered = sum(state.delivered for state in figures.stats.backends if state.name == "jsonl")
    if len(figures.in_file) != delivered:
        yield f"{delivered} events were delivered to the file, but it holds {len(figures.in_file)}"


def _visits(figures: Figures, played: Played) -> Iterator[str]:
    started = _started(figures)
    if not played.least_visits <= started <= played.most_visits:
        visits = _between(played.least_visits, played.most_visits)
        yield f"the visitors made {visits} visits, but {started} sessions started"
    for what, expected, logged in (
        ("visitors came", played.visitors, figures.visitors),
        ("pages were opened", played.pages, figures.events.get("page_view", 0)),
        ("purchases were made", played.purchases, figures.events.get("purchase", 0)),
    ):
        if expected != logged:
            yield f"{expected} {what}, but the event log has {logged}"


def _started(figures: Figures) -> int:
    return figures.stats.counters.get("sessions.started", 0)


def _ended(figures: Figures) -> int:
    return figures.stats.counters.get("sessions.ended", 0)


def _between(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"
