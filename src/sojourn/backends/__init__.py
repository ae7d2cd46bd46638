"""Where events are forwarded to. What needs an HTTP client is imported on first use, not with this package."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .protocol import Backend, Receipt, Rejection

if TYPE_CHECKING:  # at run time the registry knows the backends
    from .plain.console import ConsoleBackend
    from .plain.jsonl import JSONLinesBackend
    from .plain.webhook import WebhookBackend
    from .signatures import verify_signature
    from .urls import backend_from_url
    from .vendors.dynatrace import DynatraceBackend
    from .vendors.exceptionless import ExceptionlessBackend
    from .vendors.mparticle import MParticleBackend
    from .vendors.otel import OpenTelemetryBackend
    from .vendors.posthog import PostHogBackend
    from .vendors.rudderstack import RudderStackBackend

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
    "backend_from_url": ".urls",
    "verify_signature": ".signatures",
}


if not TYPE_CHECKING:  # a type checker that saw it would accept every misspelt name

    def __getattr__(name: str) -> object:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        if home := _HOMES.get(name):
            value = getattr(import_module(home, __name__), name)
        else:
            from .registry import built_in_class

            value = built_in_class(name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
