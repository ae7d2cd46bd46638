"""A fake of mParticle: its ingest and its schema."""

from .ingest import FakeMParticle

__all__ = ["FakeMParticle"]
