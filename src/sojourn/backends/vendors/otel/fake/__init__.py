"""A fake OTLP/HTTP receiver of logs."""

from .ingest import FakeOpenTelemetry

__all__ = ["FakeOpenTelemetry"]
