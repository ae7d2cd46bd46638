"""mParticle: send batches, each of one user in one session, to the server-to-server Events API.

https://docs.mparticle.com/developers/apis/http/
"""

from __future__ import annotations

import json
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final, Literal, Self, Unpack

from sojourn.backends.http import Clock, HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, Split
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.protocol import Batch
from sojourn.backends.receipts import is_empty, not_a_receipt
from sojourn.backends.vendor import BatchVendorBackend, VendorOptions
from sojourn.backends.vendor_url import VendorURL, checked_address, checked_key
from sojourn.core.events import Event
from sojourn.errors import SettingsError

from .batches import divided, pieces_of
from .events import is_silent

VERSION: Final = "/v2"
ONE: Final = "/events"
MANY: Final = "/bulkevents"
OLD: Final = "/bulkevents/historical"
LIMITS: Final = CallLimits(bytes=256_000, pieces=100)
OLD_AFTER_MS: Final = 30 * 24 * 3600 * 1000
"""Older events go to the address for historical data."""

Environment = Literal["production", "development"]

_LONGEST_MESSAGE: Final = 200


class MParticleBackend(BatchVendorBackend):
    """Sends to a pod (`https://s2s.us1.mparticle.com`, `us2`, `eu1`, `au1`) or to `https://s2s.mparticle.com`.

    `key` and `secret` are those of an input of your workspace. `environment="development"` shows events in its live stream
    and keeps them out of production data.
    """

    scheme = "mparticle"
    url_form = "{scheme}+https://<key>:<secret>@<host>"
    fake = "sojourn.backends.vendors.mparticle.fake:FakeMParticle"
    compresses_by_default = False  # the documentation does not say that it accepts compressed bodies
    wants_context = True
    own_options: ClassVar[Mapping[str, type]] = {"environment": str}

    def __init__(
        self,
        address: str,
        key: str,
        secret: str,
        *,
        environment: Environment = "production",
        **options: Unpack[VendorOptions],
    ) -> None:
        url = checked_address(address, self.scheme).removesuffix(VERSION) + VERSION
        pair = f"{checked_key(key, self.scheme)}:{checked_key(secret, self.scheme, 'secret')}"
        encoder = _Encoder(url, pair, _checked(environment), options.get("wall", time.time))
        super().__init__(encoder, **options)

    @classmethod
    def build(cls, url: VendorURL, **options: Unpack[VendorOptions]) -> Self:
        """Build the backend from a URL with key and secret before the host."""
        return cls(url.address, url.key or "", url.secret or "", **url.own, **options)

    def accepts(self, event: Event) -> bool:
        return not is_silent(event) and super().accepts(event)


def _checked(environment: str) -> Environment:
    if environment == "production":
        return "production"
    if environment == "development":
        return "development"
    raise SettingsError(f"mparticle: environment must be production or development, got {environment[:40]!r}")


class _Encoder:
    def __init__(self, url: str, pair: str, environment: Environment, wall: Clock) -> None:
        self._url = url
        self._headers = {
            "content-type": "application/json",
            "authorization": f"Basic {b64encode(pair.encode()).decode()}",
        }
        self._environment = environment
        self._wall = wall

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        return self.encode_batches(self.divide(batch))

    def divide(self, events: Sequence[Event]) -> list[Batch]:
        return divided(events, self._environment, old_before=self._old_before())

    def encode_batches(self, batches: Sequence[Batch]) -> Iterator[HttpCall | Unsendable]:
        old: list[Piece] = []
        recent: list[Piece] = []
        old_before = self._old_before()
        for batch in batches:
            # A batch that has waited long keeps its boundaries; the oldest of its events says where it goes.
            is_old = min(event.time for event in batch.events) < old_before
            for piece in pieces_of(batch, self._environment, old_before=old_before):
                if isinstance(piece, Unsendable):
                    yield piece
                else:
                    (old if is_old else recent).append(piece)
        for pieces, address in ((old, OLD), (recent, MANY)):
            yield from packed_calls(pieces, LIMITS, partial(self._call, address))

    def _old_before(self) -> int:
        return int(self._wall() * 1000) - OLD_AFTER_MS

    def _call(self, address: str, pack: Pack) -> HttpCall:
        is_alone = address == MANY and len(pack.bodies) == 1
        return HttpCall(
            "POST",
            self._url + (ONE if is_alone else address),
            pack.events,
            body=pack.bodies[0] if is_alone else pack.joined(),
            headers=self._headers,
            interpret=_outcome,
            batches=tuple(pack.batches),
        )


def _outcome(response: Response) -> Outcome | None:
    match response.status:
        case 202 if is_empty(response.body):
            return Delivered()
        case status if 200 <= status < 300:
            return not_a_receipt(response, "mParticle responds with 202 and an empty body")
        case 400:
            return Split(reason=f"HTTP 400: the batch is invalid{_message(response.body)}")
        case 401:
            return Pause(
                reason="HTTP 401: the credentials are missing; check key and secret, and that no proxy drops the header"
            )
        case 403:
            return Pause(reason="HTTP 403: key and secret do not belong to one input of this pod; copy them again")
        case _:
            return None


def _message(body: bytes) -> str:
    try:
        message = str(json.loads(body)["errors"][0]["message"])[:_LONGEST_MESSAGE]
    except (ValueError, LookupError, TypeError):
        return ""
    return f": {message}" if message and message.isprintable() else ""
