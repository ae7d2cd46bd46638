"""A store's port for goals and funnels."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, tzinfo
from typing import Protocol

from sojourn.core.goals import Step
from sojourn.stores.model import VISITOR, AlertState, Definition, Notice

from .conversions_model import FunnelFigures, GoalFigures, Reached, Retention
from .model import Filter, Span


class Conversions(Protocol):
    """Which sessions and visitors reached a goal, or a step of a funnel. A session belongs to the span in which it started.

    Of a filter `where` only the conditions count: other sessions are as if they were not there.
    """

    def goals(self, span: Span, steps: Sequence[Step], *, where: Filter = ...) -> GoalFigures:
        """Count each of these goals."""
        ...

    def funnel(
        self, span: Span, steps: Sequence[Step], *, by_visitor: bool = False, where: Filter = ...
    ) -> FunnelFigures:
        """Count who took these steps in this order, in one session each, or in all sessions of a visitor in the span."""
        ...

    def sessions(self, span: Span, step: Step, *, where: Filter = ...) -> Reached:
        """Return the keys of the sessions that reached a goal; of very many sessions, of a sample of the visitors."""
        ...

    def by_value(self, keys: Sequence[str], dimensions: Sequence[str]) -> dict[str, dict[str, int]]:
        """Count sessions, such as those with a goal, by the values of each dimension; those without a value are left out.

        Raises `ValueError` for the name of no dimension.
        """
        ...

    def retention(self, span: Span, *, kind: str = VISITOR, zone: tzinfo = UTC, where: Filter = ...) -> Retention:
        """Return the visitors or users who first came in each week of a span, and how many of them came again.

        `zone`: whose weeks, which begin on Monday.
        """
        ...


class Alerts(Protocol):
    """Which alerts are on, and the notices of them that are not sent yet. Any process may call; each change happens once."""

    def states(self) -> list[AlertState]:
        """Return all alerts that are on or were, by name."""
        ...

    def turn(self, name: str, *, is_on: bool, at: int, text: str, targets: Collection[str]) -> bool:
        """Turn an alert on or off, with a notice for each target; False if it was so already, and then nothing is noted."""
        ...

    def due(self, now: int) -> list[Notice]:
        """Return the oldest notices that may be sent now."""
        ...

    def unsent(self) -> list[Notice]:
        """Return the oldest notices, due or not."""
        ...

    def sent(self, number: int) -> None:
        """Forget a notice that was sent."""
        ...

    def failed(self, number: int, *, retry_at: int, problem: str) -> None:
        """Note a failed attempt, and when to try again."""
        ...


class Definitions(Protocol):
    """What was defined on the report's pages, by kind and name: goals, funnels, saved views, tokens and links."""

    def of(self, kind: str) -> list[Definition]:
        """Return those of a kind, by name."""
        ...

    def set(self, kind: str, name: str, text: str) -> None:
        """Add one, or change it."""
        ...

    def add(self, kind: str, name: str, text: str) -> bool:
        """Add one, unless there is one of this name; whether it was added."""
        ...

    def change(self, kind: str, name: str, text: str) -> bool:
        """Change one; whether it was there."""
        ...

    def rename(self, kind: str, name: str, new: str) -> bool:
        """Give one another name; whether it was there, and the name was free."""
        ...

    def remove(self, kind: str, name: str) -> bool:
        """Remove one; whether it was there."""
        ...
