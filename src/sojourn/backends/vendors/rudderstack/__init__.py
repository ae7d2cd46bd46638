"""RudderStack: events to a data plane."""

from .backend import RudderStackBackend

__all__ = ["RudderStackBackend"]
