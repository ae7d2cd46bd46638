"""How long each page and each JSON endpoint of the report takes, over a large store.

    scripts/bench report [--store sqlite:///kept.db] [--sessions 1000000]

Each is asked as a browser asks: from the address to the last byte of the response, without the network. The store is made once
and kept (`benchmarks.report_store`); a store of your own may be measured too. Filters come in pairs, chosen to be the worst:
frequent and rare values, values that never meet, and those that are looked for in the events of sessions.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlencode

from benchmarks import report_store
from sojourn.cli._progress import Bar
from sojourn.report._access import Access
from sojourn.report._app import Report
from sojourn.report._panels import PANELS
from sojourn.report._revocations import MemoryRevocations
from sojourn.report._tickets import Tickets
from sojourn.report._view import Source
from sojourn.report._web import Request
from sojourn.stores import Store, open_store
from sojourn.stores.reporting.model import Filter, Sort
from sojourn.tracking.facts import NoFacts

Params = Sequence[tuple[str, str]]

KEPT: Final = "sqlite:///report-bench.db"
PLAIN_MS: Final = 200
FUNNEL_MS: Final = 500
FILTERED_MS: Final = {"90d": 400, "12m": 1000}
_STEPS: Final = "/ > /seeds/* > /cart > /checkout"

PAIRS: Final[Sequence[Params]] = (
    (("browser", "Chrome"), ("device", "desktop")),
    (("source", "google.com"), ("identified", "yes")),
    (("campaign", "partners"), ("system", "Linux")),
    (("browser", "Safari"), ("system", "Windows")),
    (("entry", "/seeds/*"), ("pages", "5..")),
    (("country", "(none)"), ("device!", "phone")),
    (("errors", "1.."), ("duration", "10m..")),
    (("referrer~", "reddit"), ("browser~", "fire")),
    (("user", "100007"), ("browser", "Chrome")),
    (("prop.plan", "farm"), ("source", "bing.com")),
    (("prop.plan", "none"), ("browser", "Chrome")),
    (("event", "purchase"), ("source", "newsletter")),
    (("path", "/cart"), ("path", "/checkout")),
    (("path", "/advice/harvest-in-winter"), ("event", "newsletter_signup")),
    (("path", "/nowhere"), ("route", "/nowhere")),
    (("error~", "keyerror"), ("version~", "2.1")),
    (("event!", "purchase"), ("route", "/cart")),
    (("q", "nobody is called so"), ("device", "phone")),
)
"""Pairs of filters."""


@dataclass(frozen=True, kw_only=True)
class Page:
    """An address, and within how many milliseconds it should come."""

    label: str
    path: str
    params: Params = ()
    reach: int = PLAIN_MS

    def with_params(self, *params: tuple[str, str]) -> Page:
        return replace(self, params=(*self.params, *params))

    @property
    def address(self) -> str:
        return self.path + (f"?{urlencode(self.params)}" if self.params else "")


class Times(NamedTuple):
    """Milliseconds."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:.0f} ({self.cpu:.0f})"


class _Facts(NoFacts):
    method = "GET"

    def __init__(self, query: str) -> None:
        self.query = query


class Reader:
    """Asks the report over a store, as of its latest session."""

    def __init__(self, store: Store) -> None:
        self.store = store
        latest = store.sessions.latest(limit=1)[0].started_at
        tickets = Tickets(b"of this benchmark", MemoryRevocations())
        self._report = Report(
            Source(store=lambda: store, now=lambda: latest), Access(tickets=tickets, allow=lambda _: True)
        )

    def get(self, page: Page) -> int:
        """Return how many bytes the response has."""
        query = urlencode(page.params)
        response = self._report.handle(Request(facts=_Facts(query), base="", path=page.path, is_allowed=True))
        body = response.body if isinstance(response.body, bytes) else b"".join(response.body)
        if response.status != 200:
            msg = f"{page.address}: {response.status} {body[:500]!r}"
            raise RuntimeError(msg)
        return len(body)


def plain_pages(store: Store) -> Iterator[Page]:
    """Pages without a filter."""
    line = store.sessions.page(Filter(), limit=1).lines[0]
    longest = store.sessions.page(Filter(), sort=Sort.EVENTS, limit=1).lines[0]
    for range_ in ("24h", "7d", "30d", "90d", "12m"):
        yield Page(label=f"overview, {range_}", path="/", params=(("range", range_),))
    yield Page(label="overview.json, 90d", path="/overview.json", params=(("range", "90d"),))
    yield Page(label="online", path="/live/online")
    for name in PANELS:
        yield Page(label=f"panel {name}, 90d", path=f"/panels/{name}", params=(("range", "90d"),))
    for name in ("pages", "routes", "users"):
        yield Page(label=f"panel {name}, 12m", path=f"/panels/{name}", params=(("range", "12m"),))
    yield Page(label="panel pages as JSON, 90d", path="/panels/pages.json", params=(("range", "90d"),))
    yield Page(label="panel pages as CSV, 90d", path="/panels/pages.csv", params=(("range", "90d"),))
    yield Page(
        label="panel sources with a goal, 30d", path="/panels/sources", params=(("range", "30d"), ("goal", "Purchase"))
    )
    yield Page(label="sessions", path="/sessions")
    for sort in Sort:
        yield Page(
            label=f"sessions by {sort.value}, 90d", path="/sessions", params=(("range", "90d"), ("sort", sort.value))
        )
    yield Page(label="sessions.json, 24h", path="/sessions.json", params=(("range", "24h"),), reach=1000)
    yield Page(label="a session", path=f"/sessions/{line.key}")
    yield Page(label="the longest session", path=f"/sessions/{longest.key}")
    yield Page(label="a user", path="/users", params=(("id", _busiest(store)),))
    yield Page(label="a visitor", path="/visitors", params=(("id", line.visitor_id),))
    for range_ in ("30d", "90d", "12m"):
        yield Page(label=f"goals, {range_}", path="/goals", params=(("range", range_),))
    yield Page(label="one goal, 30d", path="/goals", params=(("range", "30d"), ("goal", "Purchase")))
    for range_ in ("30d", "90d", "12m"):
        params = (("range", range_), ("steps", _STEPS))
        yield Page(label=f"funnel of 4 steps, {range_}", path="/funnels", params=params, reach=FUNNEL_MS)
        yield Page(
            label=f"the same by visitor, {range_}",
            path="/funnels",
            params=(*params, ("by", "visitor")),
            reach=FUNNEL_MS,
        )
    for weeks in ("12", "26"):
        for who in ("visitors", "users"):
            yield Page(
                label=f"retention of {who}, {weeks} weeks", path="/retention", params=(("weeks", weeks), ("of", who))
            )
    yield Page(label="agents, 90d", path="/agents", params=(("range", "90d"),))
    yield Page(label="alerts", path="/alerts")
    yield Page(label="system", path="/delivery")


def filtered_pages() -> Iterator[Page]:
    """Pages that take filters; each is asked with each pair."""
    for range_, reach in FILTERED_MS.items():
        params = (("range", range_),)
        yield Page(label=f"overview, {range_}", path="/", params=params, reach=reach)
        yield Page(label=f"overview.json, {range_}", path="/overview.json", params=params, reach=reach)
        for name in ("pages", "sources", "errors", "routes", "releases"):
            yield Page(label=f"panel {name}, {range_}", path=f"/panels/{name}", params=params, reach=reach)
        yield Page(label=f"sessions, {range_}", path="/sessions", params=params, reach=reach)
        yield Page(
            label=f"sessions by duration, {range_}",
            path="/sessions",
            params=(*params, ("sort", "duration")),
            reach=reach,
        )
        yield Page(label=f"goals, {range_}", path="/goals", params=params, reach=reach)
        yield Page(label=f"funnel, {range_}", path="/funnels", params=(*params, ("steps", _STEPS)), reach=reach)
    yield Page(label="retention, 12 weeks", path="/retention", reach=FILTERED_MS["90d"])
    yield Page(label="retention, 26 weeks", path="/retention", params=(("weeks", "26"),), reach=FILTERED_MS["12m"])


def _busiest(store: Store) -> str:
    """The user with the most sessions among the latest."""
    names: dict[str, int] = {}
    for row in store.sessions.latest(limit=5000):
        if row.user_id is not None:
            names[row.user_id] = names.get(row.user_id, 0) + 1
    return max(names, key=lambda name: names[name])


def measured(reader: Reader, page: Page, rounds: int) -> list[Times]:
    """The times of each response, the first one first."""
    times = []
    for _ in range(rounds):
        began, cpu = time.perf_counter(), time.thread_time()
        reader.get(page)
        times.append(Times((time.perf_counter() - began) * 1000, (time.thread_time() - cpu) * 1000))
    return times


def report(store: Store, *, rounds: int, only: str = "", pairs: str = "") -> None:
    """Print both tables. SQLite works in this thread, so there its CPU is what counts on a machine with other work."""
    reader = Reader(store)
    stats = store.stats()
    kind = store.name.partition(":")[0]
    print(f"{kind}: {stats.sessions:,} sessions, {stats.events:,} events; milliseconds, and in brackets those of CPU")
    print(f"{'without a filter':<44}{'first':>14}{'median':>14}{'worst':>14}{'reach':>8}")
    for page in plain_pages(store):
        if only in page.label and not pairs:
            first, *rest = measured(reader, page, rounds + 1)
            middle, worst = _middle(rest), Times(max(each.wall for each in rest), max(each.cpu for each in rest))
            mark = "" if middle.cpu <= page.reach else "  beyond"
            print(f"{page.label:<44}{first!s:>14}{middle!s:>14}{worst!s:>14}{page.reach:8d}{mark}", flush=True)
    heading = f"with each of {len(PAIRS)} pairs of filters"
    print(f"\n{heading:<44}{'':>14}{'median':>14}{'worst pair':>14}{'reach':>8}")
    for page in filtered_pages():
        if only in page.label:
            _print_filtered(reader, page, rounds, pairs)


def _print_filtered(reader: Reader, page: Page, rounds: int, pairs: str) -> None:
    found: list[tuple[float, Times, str]] = []
    for pair in PAIRS:
        asked = page.with_params(*pair)
        name = "&".join("=".join(each) for each in pair)
        if pairs in name:
            _, *rest = measured(reader, asked, rounds + 1)
            found.append((_middle(rest).cpu, _middle(rest), name))
    found.sort(reverse=True)
    if found:
        middle = _middle([times for _, times, _ in found])
        beyond = sum(times.cpu > page.reach for _, times, _ in found)
        mark = f"  beyond: {beyond}" if beyond else ""
        print(f"{page.label:<44}{'':>14}{middle!s:>14}{found[0][1]!s:>14}{page.reach:8d}{mark}")
        for _, times, name in found if pairs else found[:2]:
            print(f"    {times!s:>14}  {name}", flush=True)


def _middle(times: Sequence[Times]) -> Times:
    return Times(statistics.median(each.wall for each in times), statistics.median(each.cpu for each in times))


@contextmanager
def opened(url: str, sessions: int) -> Iterator[Store]:
    """Open a store, and make it first where there is none."""
    path = Path(url.removeprefix("sqlite:///"))
    if url.startswith("sqlite:") and not path.exists():
        began = time.monotonic()
        with Bar(sys.stderr, line_every_s=10) as bar:
            report_store.make(path, sessions, now=time.time_ns() // 1_000_000, on_progress=bar.show)
        print(f"made in {time.monotonic() - began:.0f} s, and kept: {path}")
    store = open_store(url)
    store.open()
    try:
        yield store
    finally:
        store.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="milliseconds of each page of the report")
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--store", metavar="URL", default=KEPT, help="made if it is not there")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", metavar="TEXT", help="only pages with this in their label")
    parser.add_argument("--pairs", default="", metavar="TEXT", help="only pairs of filters with this in them")
    options = parser.parse_args(arguments)
    with opened(options.store, options.sessions) as store:
        report(store, rounds=options.rounds, only=options.only, pairs=options.pairs)


if __name__ == "__main__":
    main()
