"""A fake of Matomo: its bulk tracking, and how it makes visits of requests."""

from .ingest import FakeMatomo

__all__ = ["FakeMatomo"]
