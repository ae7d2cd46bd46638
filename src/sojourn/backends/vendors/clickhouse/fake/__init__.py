"""A fake of ClickHouse's HTTP interface."""

from .ingest import FakeClickHouse

__all__ = ["FakeClickHouse"]
