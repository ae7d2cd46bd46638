"""Matomo: visits, page views and events to its tracking API."""

from .backend import MatomoBackend

__all__ = ["MatomoBackend"]
