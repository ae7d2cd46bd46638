"""May this visitor be known: the browser's privacy signals and the app's consent.

See S7 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .guard import Guard
from .privacy_signals import PrivacyLevel, PrivacySignals
from .visit import Visit

Consent = Callable[[Any], object]


class ConsentGate:
    """Checks each request once, when it arrives. The app's callable may fail: that counts as no."""

    __slots__ = ("_consent", "_goes_on_without", "_guard", "_signals", "is_required")

    def __init__(
        self,
        guard: Guard,
        *,
        signals: PrivacySignals | None = None,
        consent: Consent | None = None,
        is_required: bool = False,
        goes_on_without: bool = False,
    ) -> None:
        self._guard = guard
        self._signals = signals if signals is not None and signals.is_heeded else None
        self._consent = consent
        self._goes_on_without = goes_on_without
        self.is_required = is_required or consent is not None
        """Whether every request is checked, and not only one that may carry a privacy signal."""

    def check(self, visit: Visit) -> None:
        """Refuse or restrict the visit, where the visitor or the app requires it."""
        if self._signals is not None and (level := self._signals.of(visit.facts)):
            if level is PrivacyLevel.OFF:
                visit.refuse("signal")
                self._guard.count("signal")
                return
            visit.is_anonymous = level is PrivacyLevel.ANONYMOUS
            visit.no_forward = level is PrivacyLevel.NO_FORWARD
        if self.is_required and not self._has_consented(visit):
            if self._goes_on_without:  # without a cookie, that is (S18)
                visit.lacks_consent = True
                return
            visit.refuse("no_consent")
            self._guard.count("no_consent")

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
