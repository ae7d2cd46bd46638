"""A store's port for goals and funnels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sojourn.core.goals import Step

from .model import FunnelFigures, GoalFigures, Span


class Conversions(Protocol):
    """Which sessions and visitors reached a goal, or a step of a funnel. A session belongs to the span in which it started."""

    def goals(self, span: Span, steps: Sequence[Step]) -> GoalFigures:
        """Count each of these goals."""
        ...

    def funnel(self, span: Span, steps: Sequence[Step], *, by_visitor: bool = False) -> FunnelFigures:
        """Count who took these steps in this order, in one session each, or in all sessions of a visitor in the span."""
        ...

    def sessions(self, span: Span, step: Step) -> list[str]:
        """Return the keys of the sessions that reached a goal."""
        ...

    def by_value(self, span: Span, step: Step, dimension: str) -> dict[str, int]:
        """Count the sessions that reached a goal by the value of a dimension. Raises `ValueError` for no dimension."""
        ...
