"""PostHog: events to its capture API."""

from .backend import PostHogBackend

__all__ = ["PostHogBackend"]
