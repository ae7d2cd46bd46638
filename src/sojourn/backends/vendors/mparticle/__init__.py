"""mParticle: batches to its Events API."""

from .backend import MParticleBackend

__all__ = ["MParticleBackend"]
