"""Exceptionless: sessions and errors."""

from .backend import ExceptionlessBackend

__all__ = ["ExceptionlessBackend"]
