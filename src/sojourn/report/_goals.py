"""The goals' page: how many sessions and visitors reached each goal, and where those of one came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sojourn.core.goals import Goal, parse_step
from sojourn.stores.definitions import GOAL
from sojourn.stores.dimensions import DIMENSIONS
from sojourn.stores.reporting.conversions_model import GoalCount

from . import _definitions, _filters, _ranges
from ._definitions import Definition
from ._view import View, pinned
from ._web import Response

_DEFAULT: Final = "30d"
_TOPS: Final = 8
_SHOWN: Final = ("utm_campaign", "source", "entry_path", "browser", "device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A goal with its figures; rates are shares of all sessions and visitors."""

    goal: Goal
    is_setting: bool
    count: GoalCount
    rate: float | None
    visitor_rate: float | None


@dataclass(frozen=True, slots=True)
class Top:
    """How many of the sessions have a value."""

    value: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The sessions that reached a goal, by a dimension."""

    title: str
    tops: tuple[Top, ...]
    sessions: int


def goals(view: View) -> Response:
    if (elsewhere := pinned(view)) is not None:
        return elsewhere
    which = _filters.parse_filter(view.parameters, view.moments)
    range_ = which.range or _ranges.preset(_DEFAULT, view.moments)
    defined = _definitions.goals(view)
    figures = view.store.conversions.goals(range_.span, [each.value.step for each in defined], where=which.filter)
    name = view.parameters.one_of("goal", [each.value.name for each in defined])
    chosen = next((each for each in defined if each.value.name == name), None)
    rows = [
        Row(
            goal=each.value,
            is_setting=each.is_setting,
            count=count,
            rate=count.sessions / figures.sessions if figures.sessions else None,
            visitor_rate=count.visitors / figures.visitors if figures.visitors else None,
        )
        for each, count in zip(defined, figures.goals, strict=True)
    ]
    links = view.links(which, {} if chosen is None else {"goal": chosen.value.name})
    return view.html(
        "goals.html",
        **links.ranges(range_, view.moments),
        which=which,
        links=links,
        figures=figures,
        has_cookieless=view.store.report.has_cookieless(range_.span),
        rows=rows,
        chosen=chosen,
        panels=[] if chosen is None else _panels(view, range_, which, chosen),
    )


def _panels(view: View, range_: _ranges.Range, which: _filters.Selection, chosen: Definition[Goal]) -> list[Panel]:
    conversions = view.store.conversions
    keys, one_in = conversions.sessions(range_.span, chosen.value.step, where=which.filter)
    by_value = conversions.by_value(keys, _SHOWN)
    panels = []
    labels = {dimension.name: dimension.label for dimension in DIMENSIONS}
    for name in _SHOWN:
        tops = sorted(by_value[name].items(), key=lambda item: (-item[1], item[0]))[:_TOPS]
        counted = tuple(Top(value, count * one_in) for value, count in tops)
        panels.append(Panel(title=labels[name], tops=counted, sessions=len(keys) * one_in))
    return panels


def add(view: View) -> Response:
    return _definitions.add(view, GOAL, "/goals", "step", lambda text: parse_step(text).text)


def remove(view: View) -> Response:
    return _definitions.remove(view, GOAL, "/goals")
