"""The conversion rate as a column of any panel: `goal=Purchase` in its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec

from sojourn.core.goals import Goal, Step
from sojourn.core.properties import EVENT_PREFIX
from sojourn.stores.reporting.breakdowns import BREAKDOWNS
from sojourn.stores.reporting.filters import Condition, condition, first_conflict
from sojourn.stores.reporting.model import Filter, Span

from . import _definitions, _formatting
from ._columns import Column, Line
from ._links import Links
from ._panels import Panel
from ._view import View

_HINT = "Of the sessions of this row, those that reached the goal"


@dataclass(frozen=True, slots=True)
class GoalColumns:
    """Two columns of a panel: how many sessions of a value reached a goal, and their share."""

    goal: Goal
    reached: dict[str, int] = field(default_factory=dict)

    def added_to(self, panel: Panel) -> Panel:
        columns = (
            Column(
                name="goal_sessions",
                label=self.goal.name,
                value=lambda line: self.reached.get(line.value, 0),
                text=_formatting.number,
                hint="Sessions that reached the goal",
            ),
            Column(name="goal_rate", label="Conversion", value=self._rate, text=_formatting.percent, hint=_HINT),
        )
        return replace(panel, columns=panel.columns + columns)

    def read(self, view: View, panel: Panel, span: Span, where: Filter) -> None:
        """Count the sessions of each value that reached the goal."""
        both = msgspec.structs.replace(where, conditions=(*where.conditions, *_conditions(self.goal.step)))
        table = view.store.report.breakdowns(span, (panel.breakdown,), both).tables[panel.breakdown]
        breakdown = BREAKDOWNS[panel.breakdown]
        self.reached.update({value: breakdown.measure(counts, "sessions") for value, counts in table.items()})

    def _rate(self, line: Line) -> float | None:
        return min(1.0, self.reached.get(line.value, 0) / line["sessions"]) if line["sessions"] else None


def chosen(view: View, panel: Panel, where: Filter) -> GoalColumns | None:
    """The columns that the address asks for."""
    goals: Mapping[str, Goal] = {each.value.name: each.value for each in _definitions.goals(view)}
    name = view.parameters.one_of("goal", goals)
    if name is None:
        return None
    if "sessions" not in BREAKDOWNS[panel.breakdown].measures:
        view.parameters.reject("goal", "this panel counts no sessions; leave it out")
        return None
    if first_conflict((*where.conditions, *_conditions(goals[name].step))) is not None:
        view.parameters.reject("goal", "cannot be combined with a filter by an event; remove one of the two")
        return None
    return GoalColumns(goals[name])


def _conditions(step: Step) -> tuple[Condition, ...]:
    """A goal as conditions of a filter."""
    first = condition("path" if step.is_path else "event", step.value)
    if step.condition is None:
        return (first,)
    name, value = step.condition
    return first, condition(f"event.{name.removeprefix(EVENT_PREFIX)}", value)


@dataclass(frozen=True, slots=True)
class Choice:
    """A goal to choose, or to leave out again."""

    name: str
    url: str
    is_chosen: bool


def choices(view: View, panel: Panel, goal: GoalColumns | None, links: Links) -> list[Choice]:
    """The goals that may be a column of this panel."""
    if "sessions" not in BREAKDOWNS[panel.breakdown].measures:
        return []
    found = []
    for each in _definitions.goals(view):
        name = each.value.name
        is_chosen = goal is not None and goal.goal.name == name
        found.append(Choice(name, links.here(goal="" if is_chosen else name, sort="", dir=""), is_chosen))
    return found
