"""Fake vendors, to test an integration without an account: what each accepts, refuses and makes of events."""

from __future__ import annotations

from importlib import import_module
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # at run time the registry of backends knows the fakes
    from sojourn.backends.vendors.amplitude.fake import FakeAmplitude
    from sojourn.backends.vendors.clickhouse.fake import FakeClickHouse
    from sojourn.backends.vendors.dynatrace.fake import FakeDynatrace
    from sojourn.backends.vendors.exceptionless.fake import FakeExceptionless
    from sojourn.backends.vendors.ga4.fake import FakeGA4
    from sojourn.backends.vendors.matomo.fake import FakeMatomo
    from sojourn.backends.vendors.mparticle.fake import FakeMParticle
    from sojourn.backends.vendors.otel.fake import FakeOpenTelemetry
    from sojourn.backends.vendors.posthog.fake import FakePostHog
    from sojourn.backends.vendors.rudderstack.fake import FakeRudderStack
    from sojourn.backends.vendors.segment.fake import FakeSegment

    from ._fakes import make_fake
    from .fake import FakeVendor
    from .model import Received, Reply, VendorEvent, VendorSession

    FAKES: dict[str, str]
    """The class names of the fakes, by the scheme of their backend."""

__all__ = [
    "FAKES",
    "FakeAmplitude",
    "FakeClickHouse",
    "FakeDynatrace",
    "FakeExceptionless",
    "FakeGA4",
    "FakeMParticle",
    "FakeMatomo",
    "FakeOpenTelemetry",
    "FakePostHog",
    "FakeRudderStack",
    "FakeSegment",
    "FakeVendor",
    "Received",
    "Reply",
    "VendorEvent",
    "VendorSession",
    "make_fake",
]

_HOMES = {
    "FakeVendor": ".fake",
    "Received": ".model",
    "Reply": ".model",
    "VendorEvent": ".model",
    "VendorSession": ".model",
    "make_fake": "._fakes",
}


def __getattr__(name: str) -> Any:
    if home := _HOMES.get(name):
        return getattr(import_module(home, __name__), name)
    if name == "FAKES" or name.startswith("Fake"):
        from ._fakes import places

        classes = {place.rpartition(":")[2]: place for place in places().values()}
        if name == "FAKES":
            return {scheme: place.rpartition(":")[2] for scheme, place in places().items()}
        if name in classes:
            return resolve_name(classes[name])
    msg = f"module 'sojourn.testing.vendors' has no attribute {name!r}"
    raise AttributeError(msg)
