"""What the demo tells: the introduction, the summary, and what does not add up. Pure: figures in, text out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .figures import Figures
    from .visitors import Played


def intro(address: str, report: str, folder: Path, seconds: float | None) -> str:
    """What is about to happen."""
    until = "Ctrl-C stops it." if seconds is None else f"It stops by itself after {seconds:g} seconds."
    return f"""
This is a seed shop at {address}, with Sojourn in front of it.
Visitors come by over real HTTP: one leaves, one comes back, two share a device, one logs out, one stays on a
websocket, one meets an error. Here a visit is over after 2 seconds of silence (usually it is 30 minutes).

  report    {report}
  database  {folder / "sojourn.db"}
  events    {folder / "events.jsonl"}

Open the report in a browser and watch them come and go (the address opens it once, then a new one is printed).
Below are the events as they are forwarded: time, name, session, user, what happened. An end bears the time of the
last activity, so it shows up later than its time. {until}
"""


def problems(figures: Figures, played: Played) -> list[str]:
    """Everything that does not add up, in words."""
    return list(_problems(figures, played))


def summary(figures: Figures, played: Played, folder: Path, wrong: Sequence[str]) -> str:
    """What happened, and where to look next."""
    stats = figures.stats
    visits = _between(played.least_visits, played.most_visits)
    rows = (
        ("visitors", f"{played.visitors}, who made {visits} visits and opened {played.pages} pages"),
        ("sessions", f"{_started(figures)} started = {_ended(figures)} ended + {stats.open_sessions} open"),
        ("ended by", _listed(figures.reasons)),
        ("events", _listed(figures.events)),
    )
    told = [fill(text, 110, initial_indent=f"  {name:<10}", subsequent_indent=" " * 12) for name, text in rows]
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
    verdict = "It does not add up." if wrong else "It adds up: every visit has its session, and every event arrived."
    after = (
        f"  database  {folder / 'sojourn.db'}   (tables sessions and events; any SQLite browser opens it)",
        f"  events    {folder / 'events.jsonl'}   (one CloudEvent a line)",
        "",
        "Next, in your own app:  from sojourn.starlette import Sojourn  (or sojourn.flask),  then  Sojourn(app)",
        "                        `sojourn secret` prints the key that it needs.",
    )
    return "\n".join(
        ("", f"In {played.seconds:.1f} seconds:", "", *told, "", *table, "", verdict, "", *after),
    )


def _problems(figures: Figures, played: Played) -> Iterator[str]:
    yield from played.troubles
    yield from _sessions(figures)
    yield from _deliveries(figures)
    yield from _visits(figures, played)
    for name, count in figures.stats.counters.items():
        if name == "ignored.fault" and count:
            yield f"Sojourn itself failed {count} times; its warnings are above"


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
    logged = sum(figures.events.values())
    for state in figures.stats.backends:
        settled = state.delivered + state.dead + state.skipped + state.dropped
        if state.recorded != settled + state.backlog:
            yield f"{state.name} accepted {state.recorded} events, but {settled} are settled and {state.backlog} wait"
        if state.recorded != logged:
            yield f"{state.name} accepted {state.recorded} events of the {logged} in the log"
        if state.backlog:
            yield f"{state.backlog} events were not delivered to {state.name} ({state.problem or 'no reason known'})"
        if state.dead or state.dropped:
            yield f"{state.name} lost {state.dead + state.dropped} events"
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
    for what, told, known in (
        ("visitors came", played.visitors, figures.visitors),
        ("pages were opened", played.pages, figures.events.get("page_view", 0)),
        ("packets were bought", played.purchases, figures.events.get("purchase", 0)),
    ):
        if told != known:
            yield f"{told} {what}, but the event log knows of {known}"


def _started(figures: Figures) -> int:
    return figures.stats.counters.get("sessions.started", 0)


def _ended(figures: Figures) -> int:
    return figures.stats.counters.get("sessions.ended", 0)


def _between(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"
