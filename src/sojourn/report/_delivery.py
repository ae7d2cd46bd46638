"""Delivery: what each backend was given and what waits, what it refused and why, and how journals and store stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sojourn.errors import StoreError
from sojourn.health.checks import Backlog, HealthSnapshot, Limits, problems, waits, whose
from sojourn.health.snapshot import seen

from ._view import View, error_page
from ._web import Response, document, redirect

_LIMITS: Final = Limits(lag=10 * 60_000)
_LETTERS: Final = 50
_AT_ONCE: Final = 1_000
"""Rows of one transaction: recorder and dispatchers are at work beside it."""
_MOST_AT_ONCE: Final = 200
"""Transactions of one click."""
DONE: Final = {
    "tried": "The backend is tried now.",
    "retried": "{} dead letters are back in the queue.",
    "skipped": "{} events were given up.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One backend, as the page shows it."""

    backlog: Backlog
    rest_ms: int | None
    """For how long it is not tried."""
    delivered_a_minute: float | None
    recorded_a_minute: float | None

    @property
    def state(self) -> str:
        state = self.backlog.state
        if self.rest_ms is not None:
            return "resting"
        if state.failures:
            return "failing"
        return "waiting" if state.backlog else "idle"


def delivery(view: View) -> Response:
    query = view.request.query
    name = query.get("backend", "") or None
    after = query.get("after", "")
    letters = view.store.letters(
        name, after=int(after) if after.isdecimal() and len(after) < 16 else 0, limit=_LETTERS + 1
    )
    done, count = query.get("done", ""), query.get("n", "")
    return view.html(
        "delivery.html",
        **_standing(view),
        letters=letters[:_LETTERS],
        backend=name,
        more=None
        if len(letters) <= _LETTERS
        else view.request.url("/delivery", backend=name, after=letters[_LETTERS - 1].number),
        done=DONE[done].format(count) if done in DONE and count.isdecimal() and len(count) < 10 else None,
    )


def now(view: View) -> Response:
    """The part above the dead letters, as it is now."""
    told = _standing(view)
    return document({"now": view.now, "html": view.part("_health.html", "standing", *told.values())})


def try_now(view: View) -> Response:
    """Try a backend, whatever it rests for."""
    name = view.request.form.get("backend", "")
    return _done(view, "tried", lambda: view.store.requeue(name, event_ids=(), limit=1, now=_time(view)))


def retry(view: View) -> Response:
    """Put dead letters back in the queue: those that are ticked, or all."""
    name, ids = view.request.form.get("backend", ""), _chosen(view)
    return _done(
        view,
        "retried",
        lambda: _repeated(
            lambda: view.store.requeue(name, event_ids=ids, limit=_AT_ONCE, now=_time(view)), is_once=ids is not None
        ),
    )


def skip(view: View) -> Response:
    """Give dead letters up: those that are ticked, or all."""
    name, ids = view.request.form.get("backend", ""), _chosen(view)
    return _done(
        view,
        "skipped",
        lambda: _repeated(
            lambda: view.store.skip_letters(name, event_ids=ids, limit=_AT_ONCE), is_once=ids is not None
        ),
    )


def _chosen(view: View) -> list[str] | None:
    """Which letters; `None`: all. A form that names neither means none."""
    return None if view.request.form.get("all") == "1" else view.request.ticked


def _done(view: View, what: str, work: Callable[[], int]) -> Response:
    try:
        count = work()
    except StoreError:
        return error_page(view, 404, "No such backend", "No backend of this name is known to the store.")
    return redirect(view.request.url("/delivery", done=what, n=count))


def _repeated(work: Callable[[], int], *, is_once: bool) -> int:
    total = 0
    for _ in range(1 if is_once else _MOST_AT_ONCE):
        count = work()
        total += count
        if count < _AT_ONCE:
            break
    return total


def _standing(view: View) -> dict[str, Any]:
    standing = seen(view.store, view.source.journals, now=view.now)
    return {
        "standing": standing,
        "wrong": [line.partition("; see `")[0] for line in problems(standing, _LIMITS)],
        "lanes": [_lane(view, each, standing) for each in standing.backlogs],
        "leases": [(lease, whose(lease, standing)) for lease in standing.leases],
    }


def _lane(view: View, each: Backlog, standing: HealthSnapshot) -> Lane:
    state = each.state
    rate = view.source.rates.seen(state.name, view.now, state.delivered, state.recorded)
    return Lane(
        backlog=each,
        rest_ms=waits(state, standing.now),
        delivered_a_minute=None if rate is None else rate[0],
        recorded_a_minute=None if rate is None else rate[1],
    )


def _time(view: View) -> int:
    """The clock that retry times follow: the store's own where it has one."""
    told = view.store.time()
    return view.now if told is None else told
