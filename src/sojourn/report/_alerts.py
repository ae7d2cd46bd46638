"""The alerts' page: what is watched, what is on, and what could not be sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sojourn.core import alerts as names
from sojourn.core.alerts import Thresholds
from sojourn.health.formatting import span
from sojourn.notices.watch import TITLES
from sojourn.stores.model import AlertState

from ._formatting import percent
from ._view import View
from ._web import Response


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An alert: when it goes on, and its state; `None`: it never was on."""

    title: str
    condition: str | None
    """`None`: it is not watched any more."""
    state: AlertState | None


def alerts(view: View) -> Response:
    store = view.store.alerts
    states = {state.name: state for state in store.states()}
    conditions = dict(_conditions(view.source.alerts))
    watched = [
        Watched(title=TITLES[name], condition=conditions.get(name), state=states.get(name))
        for name in names.NAMES
        if name in conditions or name in states
    ]
    return view.html("alerts.html", watched=watched, notices=store.unsent(), titles=TITLES)


def _conditions(thresholds: Thresholds) -> Iterator[tuple[str, str]]:
    if thresholds.spike is not None:
        yield names.SPIKE, f"{thresholds.spike:g} times as many sessions in an hour as usual at this time of day"
    if thresholds.drop is not None:
        yield names.DROP, f"at most {percent(thresholds.drop)} of the sessions that are usual at this time of day"
    if thresholds.errors is not None:
        yield names.ERRORS, f"at least {percent(thresholds.errors)} of an hour's sessions met an error"
    if thresholds.nothing is not None:
        yield names.NOTHING, f"no activity for {span(thresholds.nothing)}"
