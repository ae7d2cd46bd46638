"""Checks the sessions that a request is about to begin, when its response starts, and drops those that may not begin.

See S10 and S11 in docs/internals.md.
"""

from __future__ import annotations

from sojourn.core import session

from .budget import FLOOD, SessionBudget
from .guard import Guard
from .own_page import own_page
from .visit import Visit


class Starts:
    """The checks. `cookie_names`: on http and on https. Any thread."""

    __slots__ = ("_budget", "_cookie_names", "_guard", "_requires_consent")

    def __init__(
        self, guard: Guard, budget: SessionBudget, *, cookie_names: tuple[bytes, bytes], requires_consent: bool
    ) -> None:
        self._guard = guard
        self._budget = budget
        self._cookie_names = cookie_names
        self._requires_consent = requires_consent

    def check(self, visit: Visit, *, is_page: bool) -> None:
        """Check a session out of nothing: against the budget, and whether its browser keeps cookies at all."""
        facts = visit.facts
        if not self._budget.allows(facts, visit.now):
            self._drop_flood(visit)
        elif (
            is_page
            and not self._requires_consent
            and visit.daily is None
            and self._cookie_names[facts.is_https] not in facts.cookie
            and own_page(facts) is not None
        ):
            self._guard.count("cookie_missing")

    def drop_undeliverable(self, visit: Visit) -> None:
        """Drop every session whose cookie cannot be delivered, with all that happened in it.

        A restart or a user change by the app's call stays: the row is the authority, the next response mends the cookie.
        """
        made = visit.changes
        first = next(
            (n for n, changes in enumerate(made) if changes.is_start and changes.reason not in session.BY_CALL), None
        )
        if first is None:
            return
        calls = sum(len(changes.entries) + changes.state.is_manual for changes in made[first:])
        self._guard.count("undeliverable" if made[first].reason is None else "over")
        if calls:
            self._guard.count("no_session", calls)
            self._guard.warn_once(
                "undeliverable", "helper calls were dropped: that response cannot carry the session's cookie"
            )
        visit.drop_drafts(first)

    def _drop_flood(self, visit: Visit) -> None:
        """Drop the session of a client without a cookie, and what was called in it: too many start now."""
        self._guard.count(FLOOD)
        if calls := sum(len(changes.entries) for changes in visit.changes):
            self._guard.count("no_session", calls)
        self._guard.warn_once(FLOOD, "more sessions start than session_budget or session_budget_total allows")
        visit.drop_drafts()
