"""A fake of PostHog: its ingest and its people."""

from .ingest import FakePostHog

__all__ = ["FakePostHog"]
