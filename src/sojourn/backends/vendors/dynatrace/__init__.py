"""Dynatrace: business events."""

from .backend import DynatraceBackend

__all__ = ["DynatraceBackend"]
