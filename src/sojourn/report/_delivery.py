"""The system page: each backend's state and queue, its dead letters, and the health of journals and store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sojourn.errors import StoreError
from sojourn.health.checks import Backlog, HealthSnapshot, problems, whose
from sojourn.health.conditions import Condition, condition, describe, waits, worst
from sojourn.health.hints import hints
from sojourn.health.snapshot import snapshot

from ._badge import LIMITS
from ._view import View, bad_request, error_page
from ._web import Response, document, redirect

_LETTERS: Final = 50
_AT_ONCE: Final = 1_000
"""Rows per transaction: the recorder and the dispatchers write to the same store."""
_MOST_AT_ONCE: Final = 200
"""Transactions per click."""
_MESSAGES: Final = {
    "tried": "Retrying the backend now.",
    "retried": "{} dead letters were requeued.",
    "skipped": "{} events were skipped.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """A row of the backends' table. `words` describe its condition, `reason` says why the last attempt failed."""

    backlog: Backlog
    condition: Condition
    words: str
    reason: str
    may_retry: bool
    delivered_a_minute: float | None
    recorded_a_minute: float | None


def delivery(view: View) -> Response:
    health = _health(view)
    parameters = view.parameters
    name = parameters.one_of("backend", [lane.backlog.state.name for lane in health["lanes"]])
    after = parameters.number("after") or 0
    letters = view.store.outbox.letters(name, after=after, limit=_LETTERS + 1)
    message = _message(parameters.one_of("done", _MESSAGES), parameters.number("n"))
    return view.html(
        "delivery.html",
        **health,
        letters=letters[:_LETTERS],
        backend=name,
        more=None
        if len(letters) <= _LETTERS
        else view.request.url("/delivery", backend=name, after=letters[_LETTERS - 1].number),
        message=message,
        after=after,
    )


def _message(action: str | None, count: int | None) -> str | None:
    """The outcome of the last form. Anyone can write the URL, so only our own sentences and numbers count."""
    return None if action is None or count is None else _MESSAGES[action].format(count)


def live(view: View) -> Response:
    """The current state of everything above the dead letters."""
    if (error := bad_request(view)) is not None:
        return error
    context = _health(view)
    return document({"now": view.now, "html": view.part("_health.html", "health", *context.values())})


def try_now(view: View) -> Response:
    """Retry a backend at once, even if it is pausing."""
    name = view.request.form.get("backend", "")
    return _act(view, "tried", lambda: view.store.outbox.requeue(name, event_ids=(), limit=1, now=_time(view)))


def retry(view: View) -> Response:
    """Requeue dead letters: the selected ones, or all."""
    name, ids = view.request.form.get("backend", ""), _selected(view)
    return _act(
        view,
        "retried",
        lambda: _in_batches(
            lambda: view.store.outbox.requeue(name, event_ids=ids, limit=_AT_ONCE, now=_time(view)),
            is_once=ids is not None,
        ),
    )


def skip(view: View) -> Response:
    """Skip dead letters: the selected ones, or all."""
    name, ids = view.request.form.get("backend", ""), _selected(view)
    return _act(
        view,
        "skipped",
        lambda: _in_batches(
            lambda: view.store.outbox.skip_letters(name, event_ids=ids, limit=_AT_ONCE), is_once=ids is not None
        ),
    )


def _selected(view: View) -> list[str] | None:
    """The event ids of the form; `None`: all of them. A form that names neither selects nothing."""
    return None if view.request.form.get("all") == "1" else view.request.event_ids


def _act(view: View, action: str, work: Callable[[], int]) -> Response:
    try:
        count = work()
    except StoreError:
        return error_page(view, 404, "No such backend", "The store has no backend of this name.")
    return redirect(view.request.url("/delivery", done=action, n=count))


def _in_batches(work: Callable[[], int], *, is_once: bool) -> int:
    total = 0
    for _ in range(1 if is_once else _MOST_AT_ONCE):
        count = work()
        total += count
        if count < _AT_ONCE:
            break
    return total


def _health(view: View) -> dict[str, Any]:
    health = snapshot(view.store, view.source.journals, now=view.now)
    found = problems(health, LIMITS)
    level = worst(found)
    view.source.badge.note(view.now, level)
    return {
        "snapshot": health,
        "level": level,
        "problems": [problem.text.partition("; see `")[0] for problem in found],
        "lanes": [_lane(view, backlog, health) for backlog in health.backlogs],
        "leases": [(lease, whose(lease, health)) for lease in health.leases],
        "hints": hints(health),
    }


def _lane(view: View, backlog: Backlog, health: HealthSnapshot) -> Lane:
    state = backlog.state
    rate = view.source.rates.sample(state.name, view.now, state.delivered, state.recorded)
    words, reason = describe(backlog, health)
    return Lane(
        backlog=backlog,
        condition=condition(backlog, health),
        words=words,
        reason=reason,
        may_retry=bool(state.failures) or waits(state, health.now) is not None,
        delivered_a_minute=None if rate is None else rate[0],
        recorded_a_minute=None if rate is None else rate[1],
    )


def _time(view: View) -> int:
    """The clock that retry times follow: the store's own where it has one."""
    store_time = view.store.time()
    return view.now if store_time is None else store_time
