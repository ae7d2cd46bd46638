"""A fake of Exceptionless: its ingest, its posts and its fold of sessions."""

from .ingest import FakeExceptionless

__all__ = ["FakeExceptionless"]
