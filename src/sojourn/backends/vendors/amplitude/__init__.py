"""Amplitude: events to its HTTP V2 API."""

from .backend import AmplitudeBackend

__all__ = ["AmplitudeBackend"]
