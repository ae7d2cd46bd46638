"""May we know this visitor: the browser's signals, the app's consent, and opt-outs that the browser has not heard of yet."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sojourn.core.bounded import Bounded

from .guard import Guard
from .privacy_signals import PrivacyLevel, Signals
from .visit import Visit

_REMEMBERED = 10_000

Consent = Callable[[Any], object]


class Permission:
    """Asked once per request, when it arrives. The app's callable may fail: in doubt it is a no."""

    def __init__(
        self, guard: Guard, *, signals: Signals | None, consent: Consent | None, is_consent_required: bool
    ) -> None:
        self._guard = guard
        self._signals = signals if signals is not None and signals.is_heeded else None
        self._consent = consent
        self._is_consent_required = is_consent_required or consent is not None
        self._left: Bounded[bytes, bool] = Bounded(_REMEMBERED)
        self.somebody_left = False
        """Whether to ask `has_left` at all: it takes a hash."""

    def ask(self, visit: Visit) -> None:
        """Refuse or restrict the visit, where that is wanted."""
        if self._signals is not None and (wish := self._signals.of(visit.facts)):
            if wish is PrivacyLevel.OFF:
                visit.refused = "signal"
                self._guard.count("signal")
                return
            visit.is_anonymous = wish is PrivacyLevel.ANONYMOUS
            visit.no_forward = wish is PrivacyLevel.NO_FORWARD
        if self._is_consent_required and not self._has_consented(visit):
            visit.refused = "no_consent"
            self._guard.count("no_consent")

    def note_left(self, hashed: bytes) -> None:
        """This visitor (by hash, not by id) opted out in this process."""
        self._left[hashed] = self.somebody_left = True

    def has_left(self, hashed: bytes) -> bool:
        """Whether this visitor opted out here lately."""
        return self._left.get(hashed) is not None

    def _has_consented(self, visit: Visit) -> bool:
        if self._consent is None:
            return visit.live is not None  # a cookie of ours is there only with consent
        try:
            return self._consent(visit.facts.framework_request()) is True
        except Exception as error:  # noqa: BLE001 - the app's own callable
            self._guard.count("consent_error")
            kind = type(error).__name__
            self._guard.warn_once("consent", f"the consent callable failed, which counts as no: {kind}")
            return False
