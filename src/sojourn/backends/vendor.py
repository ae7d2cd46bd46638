"""The base class of vendor backends: their options, their URL, their filter, and the HTTP layer under their encoder.

A vendor is an encoder (events in, HTTP calls out; pure) and a subclass of `VendorBackend` that builds it from an address and
a key. docs/backends.md shows a whole one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Final, Self, TypedDict, Unpack

import httpx

from sojourn.core.events import Event
from sojourn.core.in_flight import InFlight
from sojourn.errors import SettingsError

from .ages import checked_age
from .batches import Sent, front, to_send
from .calls import BatchEncoder
from .filters import EventFilter, Patterns
from .http import DEADLINE_S, Clock, Encoder, HttpCall, HttpLayer, LastCall, Unsendable
from .protocol import Batch, BatchReceipt, Receipt
from .vendor_url import VendorURL


class VendorOptions(TypedDict, total=False):
    """Keyword arguments of every vendor backend. All but the last three can also be set in its URL."""

    name: str | None
    """Its place in the event log. Default: the scheme."""
    third_party: bool
    """Whether the data leaves the team's hands, so that `Sec-GPC` and consent hold events back. Default: true."""
    events: Patterns | None
    """Names of the events to send, or patterns; `!page_view` leaves one out. Default: all."""
    heartbeats: bool | None
    """Whether to send `session.heartbeat`. Default: `heartbeats_by_default`."""
    resend_ends: bool | None
    """Whether to send the later end of a session that ended anew. Default: `takes_revised_ends`."""
    timeout: float
    """Seconds for a whole send, at most 15."""
    gzip: bool | None
    """Whether to compress bodies from 1 KiB on. Default: `compresses_by_default`."""
    oldest_accepted: timedelta | float | None
    """The greatest age of an event that the receiver accepts; a number means seconds. Default: the vendor's, if it has one."""
    transport: httpx.BaseTransport | None
    """The HTTP transport; tests pass `fake.transport()`."""
    monotonic: Clock
    wall: Clock


class VendorBackend:
    """A backend for one vendor: an encoder on top of the HTTP layer.

    To subclass: set `scheme`, and in `__init__` take `address`, `key`, the vendor's own options and `**options`, then call
    `super().__init__(encoder, **options)`. Wrong values raise `SettingsError`, in which no key appears.
    """

    scheme: ClassVar[str]
    """What its URL begins with (`scheme+https://...`), and its default `name`."""
    key_name: ClassVar[str] = "key"
    """What the vendor calls the key before the host, for error messages."""
    url_form: ClassVar[str] = "{scheme}+https://<key>@<host>"
    """How its URL looks, for error messages."""
    heartbeats_by_default: ClassVar[bool] = False
    """Whether the vendor gets `session.heartbeat` unless `heartbeats=` says otherwise."""
    takes_revised_ends: ClassVar[bool] = False
    """Whether the vendor can correct the end of a session. If not, it gets the first end only."""
    wants_context: ClassVar[bool] = False
    """Whether each event comes with its session's `context`: the client's agent and address, and the referrer."""
    wants_elapsed: ClassVar[bool] = False
    """Whether each event comes with `elapsed_ms`: the time since its session's preceding event."""
    compresses_by_default: ClassVar[bool] = True
    """Whether bodies are compressed unless `gzip=` says otherwise: false for an endpoint not documented to accept that."""
    oldest_accepted: timedelta | None = None
    """The greatest age of an event that the vendor accepts. Older ones are counted as expired instead of sent."""
    moves_old_ends: ClassVar[bool] = False
    """Whether the end of a session that is older is sent all the same: dated as late as needed, with its true time beside it.

    For vendors that drop old events, and take the duration of a session from an attribute.
    """
    unseen_by_check: ClassVar[str] = ""
    """What the vendor's response does not prove, for `sojourn check`: it is shown as a warning beside a success."""
    own_options: ClassVar[Mapping[str, type]] = {}
    """The vendor's own keyword arguments that its URL can set: `str`, `bool`, or `list` for one that may be repeated."""
    fake: ClassVar[str | None] = None
    """Its `sojourn.testing.vendors.FakeVendor`, as `package.module:Class`: what `sojourn fake <scheme>` runs."""

    def __init__(self, encoder: Encoder, **options: Unpack[VendorOptions]) -> None:
        name = options.get("name")
        self.name = self.scheme if name is None else name
        self.third_party = options.get("third_party", True)
        self.oldest_accepted = checked_age(options.get("oldest_accepted")) or self.oldest_accepted
        self._filter = EventFilter(
            options.get("events"),
            has_heartbeats=_or_default(options.get("heartbeats"), self.heartbeats_by_default),
            has_ends_once=not _or_default(options.get("resend_ends"), self.takes_revised_ends),
        )
        self._encoder: Final = encoder
        self._layer: Final = HttpLayer(
            encoder,
            name=self.name,
            timeout=options.get("timeout", DEADLINE_S),
            gzip=_or_default(options.get("gzip"), self.compresses_by_default),
            transport=options.get("transport"),
            monotonic=options.get("monotonic", time.monotonic),
            wall=options.get("wall", time.time),
        )

    @classmethod
    def from_url(cls, url: str, **options: Unpack[VendorOptions]) -> Self:
        """Build the backend from `<scheme>+https://KEY@host?option=value`. Arguments override the URL's options."""
        parsed = VendorURL.parse(url, cls.scheme, cls.own_options)
        merged: Any = {**parsed.options, **options}
        return cls.build(parsed, **merged)

    @classmethod
    def build(cls, url: VendorURL, **options: Unpack[VendorOptions]) -> Self:
        """Build the backend from its parsed URL. Override it if the constructor takes more than an address and one key."""
        if url.secret:
            name = cls.key_name
            raise SettingsError(
                f"{cls.scheme}: there is one {name} before the host: {cls.scheme}+https://{name.upper()}@host"
            )
        construct: Callable[..., Self] = cls
        return construct(url.address, url.key or "", **url.own, **options)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(name={self.name!r})"

    @property
    def last_call(self) -> LastCall | None:
        """The result of the last HTTP call, for `sojourn check`."""
        return self._layer.last_call

    def accepts(self, event: Event) -> bool:
        """Return whether the event passes the filter."""
        return self._filter.accepts(event)

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        """Return the calls that `send(batch)` would make."""
        for call in self._encoder.encode(batch):
            if isinstance(call, HttpCall) and not self._layer.is_compressing:
                yield replace(call, has_gzip=False)
            else:
                yield call

    def send(self, batch: Sequence[Event]) -> Receipt:
        """Send a batch, within `timeout` seconds."""
        return self._layer.send(batch)

    @property
    def is_compressing(self) -> bool:
        """Whether bodies from 1 KiB on are compressed: as set, until the receiver refused one."""
        return self._layer.is_compressing

    def send_as(self, batch: Sequence[Event], *, gzip: bool) -> Receipt:
        """Send a batch with compressed bodies, however small, or with plain ones: `sojourn check` tries both."""
        return self._layer.send_as(batch, gzip=gzip)

    def close(self) -> None:
        """Close the connection."""
        self._layer.close()


class BatchVendorBackend(VendorBackend):
    """A backend for a vendor that drops repeated batches by their ids. Its encoder is a `BatchEncoder`.

    A batch whose response was lost is sent again with the same id and events, also after a restart and by another process.
    """

    def __init__(self, encoder: BatchEncoder, **options: Unpack[VendorOptions]) -> None:
        super().__init__(encoder, **options)
        self._batch_encoder: Final = encoder
        self._in_flight = InFlight()

    def divide(self, events: Sequence[Event]) -> Sequence[Batch]:
        """Divide events into the vendor's batches."""
        return self._batch_encoder.divide(events)

    def send_batches(self, batches: Sequence[Batch]) -> BatchReceipt:
        """Send batches with the ids that they have, within `timeout` seconds."""
        return self._layer.send_batches(batches)

    def send(self, batch: Sequence[Event]) -> Receipt:
        """Send events, first those of batches that this object could not confirm. The dispatcher sends batches instead."""
        batches = to_send(batch, self._in_flight, self.divide)
        receipt = self.send_batches(batches)
        sent = Sent.of(batches, receipt, self._in_flight)
        result = front(batch, sent, receipt)
        self._in_flight = sent.in_flight({event.id for event in batch[: result.delivered + len(result.rejected)]})
        return result


def _or_default(value: bool | None, default: bool) -> bool:  # noqa: FBT001 - a fallback, not an option
    return default if value is None else value
