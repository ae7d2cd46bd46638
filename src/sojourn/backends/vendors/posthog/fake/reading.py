"""Read a call as PostHog's capture service does: a batch, a list or one event; as JSON or in a form, perhaps compressed."""

from __future__ import annotations

import zlib
from base64 import b64decode
from binascii import Error as NotBase64
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from sojourn.testing.vendors.fake import decompressed
from sojourn.testing.vendors.model import Received

BATCH: Final = "/batch"
PATHS: Final = frozenset({BATCH, "/capture", "/e", "/track", "/i/v0/e"})
"""Without a slash at their end. Each takes every form."""

_GZIP: Final = b"\x1f\x8b"
_FORM: Final = "application/x-www-form-urlencoded"


class RawEvent(msgspec.Struct, frozen=True):
    """An event as the capture service reads it; unknown names are ignored."""

    event: str
    distinct_id: Any = None
    uuid: str | None = None
    timestamp: str | None = None
    properties: dict[str, Any] = {}
    set_: Any = msgspec.field(default=None, name="$set")
    set_once: Any = msgspec.field(default=None, name="$set_once")
    api_key: str | None = None
    token: str | None = None

    @property
    def all_properties(self) -> dict[str, Any]:
        """The properties, with what clients write beside them."""
        beside = {"$set": self.set_, "$set_once": self.set_once}
        return self.properties | {name: value for name, value in beside.items() if value is not None}

    @property
    def key(self) -> str | None:
        """The project's key, if the event has one of its own."""
        own = self.api_key or self.token or self.properties.get("token")
        return own if isinstance(own, str) else None


@dataclass(frozen=True, slots=True)
class Call:
    """What a call holds: its events, each still as text, and the project's key."""

    key: str
    events: list[msgspec.Raw]
    sent_at: str | None = None


class _Batch(msgspec.Struct, frozen=True):
    batch: list[msgspec.Raw]
    api_key: str | None = None
    token: str | None = None
    sent_at: str | None = None
    historical_migration: bool | None = None


events: Final = msgspec.json.Decoder(RawEvent)
_batches: Final = msgspec.json.Decoder(_Batch)
_lists: Final = msgspec.json.Decoder(list[msgspec.Raw])
_names: Final = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read_call(request: Received) -> Call:
    """Return what a call holds; raise `ValueError` if it can be read in no way."""
    body = _unpacked(request)
    if body.lstrip().startswith(b"["):
        return _of_events(_lists.decode(body))
    if "batch" not in _names.decode(body):
        return _of_events([msgspec.Raw(body)])
    batch = _batches.decode(body)
    key = batch.api_key or batch.token
    own = _of_events(batch.batch).key if key is None and batch.batch else ""
    return Call(key or own, batch.batch, batch.sent_at)


def _of_events(raws: list[msgspec.Raw]) -> Call:
    keys = [events.decode(raw).key for raw in raws]
    return Call(next((key for key in keys if key), ""), raws)


def _unpacked(request: Received) -> bytes:
    body = request.body
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == _FORM and b"data=" in body:
        data = parse_qs(body.decode("utf-8")).get("data", [""])[0]
        try:
            body = b64decode(data, validate=True)
        except NotBase64:
            body = data.encode()
    if body.startswith(_GZIP):  # its script packs the body, and says so in the query if at all
        try:
            body = decompressed(body)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(str(error)) from None
    return body
