"""Backends: where events are forwarded to. Everything that needs an HTTP client is imported on first use."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

from .protocol import Backend, Batch, BatchBackend, BatchReceipt, Receipt, Rejection

if TYPE_CHECKING:  # at run time the registry knows the backends
    from .calls import BatchEncoder, Encoder, HttpCall, LastCall, Unsendable
    from .filters import EventFilter
    from .outcomes import Delivered, Outcome, Pause, Reject, Response, RetryLater, Split
    from .packing import CallLimits, Pack, Piece, packed_calls
    from .plain.console import ConsoleBackend
    from .plain.jsonl import JSONLinesBackend
    from .plain.webhook import WebhookBackend
    from .receipts import not_a_receipt
    from .signatures import verify_signature
    from .urls import backend_from_url
    from .vendor import BatchVendorBackend, VendorBackend, VendorOptions
    from .vendor_url import VendorURL, checked_address, checked_key
    from .vendors.amplitude import AmplitudeBackend
    from .vendors.clickhouse import ClickHouseBackend
    from .vendors.dynatrace import DynatraceBackend
    from .vendors.exceptionless import ExceptionlessBackend
    from .vendors.ga4 import GA4Backend
    from .vendors.matomo import MatomoBackend
    from .vendors.mparticle import MParticleBackend
    from .vendors.otel import OpenTelemetryBackend
    from .vendors.posthog import PostHogBackend
    from .vendors.rudderstack import RudderStackBackend
    from .vendors.segment import SegmentBackend

__all__ = [
    "AmplitudeBackend",
    "Backend",
    "Batch",
    "BatchBackend",
    "BatchEncoder",
    "BatchReceipt",
    "BatchVendorBackend",
    "CallLimits",
    "ClickHouseBackend",
    "ConsoleBackend",
    "Delivered",
    "DynatraceBackend",
    "Encoder",
    "EventFilter",
    "ExceptionlessBackend",
    "GA4Backend",
    "HttpCall",
    "JSONLinesBackend",
    "LastCall",
    "MParticleBackend",
    "MatomoBackend",
    "OpenTelemetryBackend",
    "Outcome",
    "Pack",
    "Pause",
    "Piece",
    "PostHogBackend",
    "Receipt",
    "Reject",
    "Rejection",
    "Response",
    "RetryLater",
    "RudderStackBackend",
    "SegmentBackend",
    "Split",
    "Unsendable",
    "VendorBackend",
    "VendorOptions",
    "VendorURL",
    "WebhookBackend",
    "backend_from_url",
    "checked_address",
    "checked_key",
    "not_a_receipt",
    "packed_calls",
    "verify_signature",
]

_HOMES: Final = {
    name: home
    for home, names in {
        ".calls": ("BatchEncoder", "Encoder", "HttpCall", "LastCall", "Unsendable"),
        ".filters": ("EventFilter",),
        ".outcomes": ("Delivered", "Outcome", "Pause", "Reject", "Response", "RetryLater", "Split"),
        ".packing": ("CallLimits", "Pack", "Piece", "packed_calls"),
        ".receipts": ("not_a_receipt",),
        ".signatures": ("verify_signature",),
        ".urls": ("backend_from_url",),
        ".vendor": ("BatchVendorBackend", "VendorBackend", "VendorOptions"),
        ".vendor_url": ("VendorURL", "checked_address", "checked_key"),
    }.items()
    for name in names
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
