"""Fake vendors: what each one's ingest takes, refuses and makes of it, to test an integration without an account."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sojourn.backends.vendors.dynatrace.fake import FakeDynatrace
    from sojourn.backends.vendors.exceptionless.fake import FakeExceptionless
    from sojourn.backends.vendors.mparticle.fake import FakeMParticle
    from sojourn.backends.vendors.otel.fake import FakeOpenTelemetry
    from sojourn.backends.vendors.posthog.fake import FakePostHog
    from sojourn.backends.vendors.rudderstack.fake import FakeRudderStack

    from .fake import FakeVendor
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
    "FakeDynatrace": "sojourn.backends.vendors.dynatrace.fake",
    "FakeExceptionless": "sojourn.backends.vendors.exceptionless.fake",
    "FakeMParticle": "sojourn.backends.vendors.mparticle.fake",
    "FakeOpenTelemetry": "sojourn.backends.vendors.otel.fake",
    "FakePostHog": "sojourn.backends.vendors.posthog.fake",
    "FakeRudderStack": "sojourn.backends.vendors.rudderstack.fake",
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
