"""Fake vendors: what each one's ingest takes, refuses and makes of it, to test an integration without an account."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .dynatrace import FakeDynatrace
    from .exceptionless import FakeExceptionless
    from .fake import FakeVendor
    from .mparticle import FakeMParticle
    from .otel import FakeOpenTelemetry
    from .posthog import FakePostHog
    from .rudderstack import FakeRudderStack
    from .seen import Received, Reply, VendorEvent, VendorSession

__all__ = [
    "FAKES",
    "FakeDynatrace",
    "FakeExceptionless",
    "FakeMParticle",
    "FakeOpenTelemetry",
    "FakePostHog",
    "FakeRudderStack",
    "FakeVendor",
    "Received",
    "Reply",
    "VendorEvent",
    "VendorSession",
]

_HOMES = {
    "FakeDynatrace": ".dynatrace",
    "FakeExceptionless": ".exceptionless",
    "FakeMParticle": ".mparticle",
    "FakeOpenTelemetry": ".otel",
    "FakePostHog": ".posthog",
    "FakeRudderStack": ".rudderstack",
    "FakeVendor": ".fake",
    "Received": ".seen",
    "Reply": ".seen",
    "VendorEvent": ".seen",
    "VendorSession": ".seen",
}

FAKES = {
    "dynatrace": "FakeDynatrace",
    "exceptionless": "FakeExceptionless",
    "mparticle": "FakeMParticle",
    "otel": "FakeOpenTelemetry",
    "posthog": "FakePostHog",
    "rudderstack": "FakeRudderStack",
}
"""The fakes by the scheme of their backend."""


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        msg = f"module 'sojourn.testing.vendors' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(home, __name__), name)
