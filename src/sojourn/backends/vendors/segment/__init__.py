"""Segment: events to its HTTP tracking API."""

from .backend import SegmentBackend

__all__ = ["SegmentBackend"]
