"""Where events are forwarded to. What needs an HTTP client is imported on first use, not with this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .protocol import Backend, Receipt, Rejection

if TYPE_CHECKING:
    from .console import ConsoleBackend
    from .jsonlines import JSONLinesBackend
    from .signatures import verify_signature
    from .urls import backend_from_url
    from .vendors.dynatrace.backend import DynatraceBackend
    from .vendors.exceptionless.backend import ExceptionlessBackend
    from .vendors.mparticle.backend import MParticleBackend
    from .vendors.otel.backend import OpenTelemetryBackend
    from .vendors.posthog.backend import PostHogBackend
    from .vendors.rudderstack.backend import RudderStackBackend
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
    "DynatraceBackend": ".vendors.dynatrace.backend",
    "ExceptionlessBackend": ".vendors.exceptionless.backend",
    "JSONLinesBackend": ".jsonlines",
    "MParticleBackend": ".vendors.mparticle.backend",
    "OpenTelemetryBackend": ".vendors.otel.backend",
    "PostHogBackend": ".vendors.posthog.backend",
    "RudderStackBackend": ".vendors.rudderstack.backend",
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
