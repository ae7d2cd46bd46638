"""ClickHouse: rows in a database of your own."""

from .backend import ClickHouseBackend

__all__ = ["ClickHouseBackend"]
