"""OpenTelemetry: log records over OTLP/HTTP."""

from .backend import OpenTelemetryBackend

__all__ = ["OpenTelemetryBackend"]
