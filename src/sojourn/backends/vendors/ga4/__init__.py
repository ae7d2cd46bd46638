"""Google Analytics 4: events by the Measurement Protocol."""

from .backend import GA4Backend

__all__ = ["GA4Backend"]
