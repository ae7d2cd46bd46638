"""What our vendor backends share: their options, what they are given, and the HTTP layer under their encoder.

A vendor file has an encoder (events in, calls out: pure) and a subclass that builds it from an address and keys.
Knows no vendor.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Self, TypedDict, Unpack

import httpx

from sojourn.core.events import Event

from .filters import EventFilter, Patterns
from .http import DEADLINE_S, Clock, Encoder, HttpCall, HttpLayer, LastCall, Unsendable
from .protocol import Receipt
from .vendor_url import VendorURL, parsed


class VendorOptions(TypedDict, total=False):
    """Keyword arguments of every vendor backend, and options of its URL."""

    name: str | None
    third_party: bool
    events: Patterns | None
    heartbeats: bool | None
    resend_ends: bool | None
    timeout: float
    transport: httpx.BaseTransport | None
    monotonic: Clock
    wall: Clock


class VendorBackend:
    """An encoder over the HTTP layer, as a backend. To inherit from; what stands before the host of its URL is its key.

    `heartbeats_by_default`: whether they are of use to this vendor. `takes_revised_ends`: whether it can be told that a
    session ended later than said before; else it gets the first end only. `heartbeats=` and `resend_ends=` overrule.
    """

    scheme: ClassVar[str]
    url_form: ClassVar[str] = "{scheme}+https://<key>@<host>"
    """How its URL looks, for error messages."""
    fake: ClassVar[str | None] = None
    """Where its fake is (`package.module:Class`), for `sojourn fake <scheme>` and for tests."""
    heartbeats_by_default: ClassVar[bool] = False
    takes_revised_ends: ClassVar[bool] = False
    own_options: ClassVar[tuple[str, ...]] = ()
    """Options of this vendor's URL beside the common ones."""

    def __init__(self, encoder: Encoder, **common: Unpack[VendorOptions]) -> None:
        name = common.get("name")
        self.name = self.scheme if name is None else name
        self.third_party = common.get("third_party", True)
        self._choice = EventFilter(
            common.get("events"),
            has_heartbeats=_first(common.get("heartbeats"), self.heartbeats_by_default),
            has_ends_once=not _first(common.get("resend_ends"), self.takes_revised_ends),
        )
        self._encoder: Final = encoder
        self._layer: Final = HttpLayer(
            encoder,
            name=self.name,
            timeout=common.get("timeout", DEADLINE_S),
            transport=common.get("transport"),
            monotonic=common.get("monotonic", time.monotonic),
            wall=common.get("wall", time.time),
        )

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Build from `<scheme>+https://KEY@host?option=value`."""
        given = parsed(url, cls.scheme, cls.own_options)
        common: Any = given.common
        return cls._from_parts(given, common)

    @classmethod
    def _from_parts(cls, given: VendorURL, common: VendorOptions) -> Self:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    @property
    def last_call(self) -> LastCall | None:
        """What the last call came to; `sojourn check` tells it."""
        return self._layer.last_call

    def accepts(self, event: Event) -> bool:
        return self._choice.accepts(event)

    def encode(self, batch: Sequence[Event]) -> Iterable[HttpCall | Unsendable]:
        """Return the calls that a batch makes, without making them."""
        return self._encoder.encode(batch)

    def send(self, batch: Sequence[Event]) -> Receipt:
        return self._layer.send(batch)

    def close(self) -> None:
        self._layer.close()


def _first(given: bool | None, default: bool) -> bool:  # noqa: FBT001 - a fallback, not an option
    return default if given is None else given
