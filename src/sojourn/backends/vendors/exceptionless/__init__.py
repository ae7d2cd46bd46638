"""Exceptionless: sessions and errors."""
