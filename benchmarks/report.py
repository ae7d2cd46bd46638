"""How long the data of each report page takes, over a large store.

    python -m benchmarks.report [--sessions 1000000] [--store sqlite:///kept.db] [--rounds 5]

Without `--store` one is generated first (some minutes, 7 KB a session), and deleted afterwards. The reach, at 1,000,000
sessions and 10,000,000 events in SQLite: each page under 250 ms, the next page of a table and a user's sessions under
40 ms, a timeline under 15 ms. Given are the median and the worst of some calls; the first call of all stands apart.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta, timezone
from pathlib import Path

from sojourn.core.goals import parse_steps
from sojourn.demo.generator import generate
from sojourn.stores import Store, open_store
from sojourn.stores.model import USER, VISITOR, DataSubject
from sojourn.stores.reporting.model import DAY_MS, Bucket, Filter, Sort, Span

_PAGE, _NEXT, _TIMELINE, _FUNNEL = 250, 40, 15, 500
_STEPS = parse_steps("/ > /seeds/* > /cart > /checkout")
_DAYS = 90
Case = tuple[str, int, Callable[[], object]]


def cases(store: Store) -> list[Case]:
    """What is measured: its name, its reach in ms, and the call."""
    latest = store.sessions.latest(limit=1)[0].started_at
    until = latest // DAY_MS * DAY_MS + DAY_MS
    lately = latest - 30 * 60_000
    month, all_time = Span(until - 30 * DAY_MS, until), Span(until - _DAYS * DAY_MS, until)
    day, half = Span(latest - DAY_MS, until), Span(until - _DAYS // 2 * DAY_MS, until)
    line = store.sessions.page(Filter(), limit=1).lines[0]
    busiest = _busiest(store)
    user, visitor = DataSubject(USER, busiest), DataSubject(VISITOR, line.visitor_id)
    longest = store.sessions.page(Filter(), sort=Sort.EVENTS, limit=1).lines[0]
    zone = timezone(timedelta(hours=2))

    def overview(span: Span, bucket: Bucket) -> Callable[[], object]:
        return lambda: store.report.overview(span, bucket=bucket, zone=zone, online_since=lately)

    def page(wanted: Filter, sort: Sort = Sort.STARTED) -> Callable[[], object]:
        return lambda: store.sessions.page(wanted, sort=sort)

    def following(wanted: Filter, sort: Sort = Sort.STARTED, *, after: int = 3) -> Callable[[], object]:
        cursor = None
        for _ in range(after):
            cursor = store.sessions.page(wanted, sort=sort, cursor=cursor).following or cursor
        return lambda: store.sessions.page(wanted, sort=sort, cursor=cursor)

    shown = [each.key for each in store.sessions.page(Filter()).lines]
    found: list[Case] = [
        ("overview, a day by hours", _PAGE, overview(day, Bucket.HOUR)),
        ("overview, 30 days", _PAGE, overview(month, Bucket.DAY)),
        ("overview, 45 days and the 45 before", _PAGE, overview(half, Bucket.DAY)),
        ("overview, all 90 days by weeks", _PAGE, overview(all_time, Bucket.WEEK)),
        ("online now", _TIMELINE, lambda: store.report.online(since=lately)),
        (
            "sessions, live poll of 50 rows",
            _NEXT,
            lambda: store.sessions.changes(Filter(), shown=shown, started_after=lately),
        ),
        *((f"sessions by {sort.value}, first page", _PAGE, page(Filter(span=all_time), sort)) for sort in Sort),
        *((f"sessions by {sort.value}, next page", _NEXT, following(Filter(span=all_time), sort)) for sort in Sort),
        ("sessions of a day by duration, next", _PAGE, following(Filter(span=day), Sort.DURATION)),
        (
            "sessions of a week by pages, next",
            _PAGE,
            following(Filter(span=Span(until - 7 * DAY_MS, until)), Sort.PAGES),
        ),
        ("open sessions by duration", _PAGE, page(Filter.of("state=open"), Sort.DURATION)),
        ("funnel of 4 steps, 30 days", _FUNNEL, lambda: store.conversions.funnel(month, _STEPS)),
        ("two goals, 30 days", _PAGE, lambda: store.conversions.goals(month, _STEPS[2:])),
        ("retention of visitors, 12 weeks", _PAGE, lambda: store.conversions.retention(all_time, zone=zone)),
        ("sessions with errors", _PAGE, page(Filter.of("errors=1.."))),
        ("sessions by an entry path", _PAGE, page(Filter.of("entry=/cart"))),
        ("sessions that saw a path", _PAGE, page(Filter.of("path=/checkout"))),
        ("sessions that saw a rare path", _PAGE, page(Filter.of("path=/nowhere"))),
        ("sessions with a property", _PAGE, page(Filter.of("prop.plan=farm"))),
        ("sessions with a rare property", _PAGE, page(Filter.of("prop.plan=none"))),
        ("sessions with a rare text", _PAGE, page(Filter(text="nobody is called so"))),
        ("rare text, by pages, all time", _PAGE, page(Filter(text="nobody", span=all_time), Sort.PAGES)),
        ("a user's sessions, first page", _NEXT, page(Filter.of_person(user))),
        ("a user's sessions, next page", _NEXT, following(Filter.of_person(user))),
        ("a user's sessions by duration", _NEXT, page(Filter.of_person(user), Sort.DURATION)),
        ("a user's totals", _PAGE, lambda: store.report.person(user)),
        ("a visitor's sessions", _NEXT, page(Filter.of_person(visitor))),
        ("a session", _PAGE, lambda: store.sessions.detail(line.key)),
        ("timeline, the longest session's first 200", _TIMELINE, lambda: store.log.timeline(longest.key)),
        ("an event's session", _TIMELINE, lambda: store.log.place_of(store.log.timeline(line.key).events[0].id)),
        ("export, the first 5,000 rows", _PAGE * 4, lambda: list(store.sessions.export(Filter(), limit=5000))),
    ]
    return found


def _busiest(store: Store) -> str:
    """The user with the most sessions among the latest."""
    names: dict[str, int] = {}
    for row in store.sessions.latest(limit=5000):
        if row.user_id is not None:
            names[row.user_id] = names.get(row.user_id, 0) + 1
    return max(names, key=lambda name: names[name])


def measured(call: Callable[[], object], rounds: int) -> list[float]:
    """Milliseconds of each call, the first one first."""
    spent = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        spent.append((time.perf_counter() - began) * 1000)
    return spent


def report(store: Store, rounds: int) -> bool:
    """Print the table; whether all is within reach."""
    stats = store.stats()
    print(f"{stats.sessions:,} sessions, {stats.events:,} events")
    print(f"{'':<44}{'first':>8}{'median':>8}{'worst':>8}{'reach':>8}   ms")
    is_well = True
    for name, reach, call in cases(store):
        first, *rest = measured(call, rounds + 1)
        rest.sort()
        is_well &= rest[-1] <= reach
        mark = "" if rest[-1] <= reach else "  beyond"
        print(f"{name:<44}{first:8.1f}{rest[len(rest) // 2]:8.1f}{rest[-1]:8.1f}{reach:8d}{mark}", flush=True)
    return is_well


@contextmanager
def stored(url: str | None, sessions: int) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as folder:
        if url is None:
            path = Path(folder) / "report.db"
            began = time.monotonic()
            made = generate(path, sessions, now=time.time_ns() // 1_000_000, days=_DAYS, on_progress=lambda *_: None)
            print(f"generated {made.events:,} events in {time.monotonic() - began:.0f} s")
            url = f"sqlite:///{path}"
        store = open_store(url)
        store.open()
        try:
            yield store
        finally:
            store.close()


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="milliseconds of what each page of the report reads")
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--store", metavar="URL", help="measure this one instead of a generated one")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with stored(options.store, options.sessions) as store:
        report(store, options.rounds)


if __name__ == "__main__":
    main()
