"""What the live visitors added to the store and to the events file, read when both have settled."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sojourn.core.events import SESSION_END, SESSION_START
from sojourn.engine import Engine
from sojourn.stores import Store, open_store
from sojourn.stores.model import StoreStats

from .history import History

_PATIENCE_S: Final = 10.0
_PAGE: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts of one moment. `starts` and `ends` are by session key, `in_file` by event ID."""

    is_done: bool
    stats: StoreStats
    events: Mapping[str, int]
    reasons: Mapping[str, int]
    starts: Mapping[str, int]
    ends: Mapping[str, int]
    visitors: int
    in_file: Mapping[str, int]


def settled_figures(engines: Sequence[Engine], events_file: Path, history: History) -> Figures:
    """Flush until everything is delivered and two reads agree; after ten seconds, return the last read."""
    deadline = time.monotonic() + _PATIENCE_S
    first = engines[0]
    with closing(open_store(str(first.settings.store))) as store:
        store.open()
        while True:
            is_done = all(engine.flush(max(0.1, deadline - time.monotonic())).done for engine in engines)
            before = first.stats().store
            figures = _read(store, before, events_file, history, is_done=is_done)
            # The sweeper is still running: a session may have ended between the two reads.
            is_steady = first.stats().store == before and not any(state.backlog for state in before.backends)
            if (is_done and is_steady) or time.monotonic() >= deadline:
                return figures


def _read(store: Store, stats: StoreStats, events_file: Path, history: History, *, is_done: bool) -> Figures:
    names: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    by_session: dict[str, Counter[str]] = {SESSION_START: Counter(), SESSION_END: Counter()}
    visitors: set[str] = set()
    position = history.end
    while page := store.log.after(position, limit=_PAGE):
        for event in page:
            names[event.name] += 1
            visitors.add(event.visitor_id)
            if event.name in by_session:
                by_session[event.name][event.session_key] += 1
            if event.name == SESSION_END:
                reasons[str(event.attributes["session.end_reason"])] += 1
        position = page[-1].position
    return Figures(
        is_done=is_done,
        stats=replace(stats, counters=Counter(stats.counters) - Counter(history.counters)),
        events=names,
        reasons=reasons,
        starts=by_session[SESSION_START],
        ends=by_session[SESSION_END],
        visitors=len(visitors),
        in_file=Counter(json.loads(line)["id"] for line in events_file.read_text().splitlines()),
    )
