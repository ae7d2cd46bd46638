"""Where events are forwarded to. What needs an HTTP client is imported on first use, not with this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .protocol import Backend, Receipt, Rejection

if TYPE_CHECKING:
    from .console import ConsoleBackend
    from .dynatrace import DynatraceBackend
    from .exceptionless import ExceptionlessBackend
    from .jsonlines import JSONLinesBackend
    from .mparticle import MParticleBackend
    from .otel import OpenTelemetryBackend
    from .posthog import PostHogBackend
    from .rudderstack import RudderStackBackend
    from .signatures import verify_signature
    from .urls import backend_from_url
    from .webhook import WebhookBackend

__all__ = [
    "Backend",
    "ConsoleBackend",
    "DynatraceBackend",
    "ExceptionlessBackend",
    "JSONLinesBackend",
    "MParticleBackend",
    "OpenTelemetryBackend",
    "PostHogBackend",
    "Receipt",
    "Rejection",
    "RudderStackBackend",
    "WebhookBackend",
    "backend_from_url",
    "verify_signature",
]

_HOMES: Final = {
    "ConsoleBackend": ".console",
    "DynatraceBackend": ".dynatrace",
    "ExceptionlessBackend": ".exceptionless",
    "JSONLinesBackend": ".jsonlines",
    "MParticleBackend": ".mparticle",
    "OpenTelemetryBackend": ".otel",
    "PostHogBackend": ".posthog",
    "RudderStackBackend": ".rudderstack",
    "WebhookBackend": ".webhook",
    "backend_from_url": ".urls",
    "verify_signature": ".signatures",
}


if not TYPE_CHECKING:  # a type checker that saw it would believe in every misspelt name

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(home, __name__), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
