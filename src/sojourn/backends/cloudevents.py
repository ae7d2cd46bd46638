"""Events as CloudEvents 1.0 in JSON: the format of webhook, file and console.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import quote

import msgspec

from sojourn.core.events import Event, Scalar

from ._json import to_json

MEDIA_TYPE: Final = "application/cloudevents+json"
BATCH_MEDIA_TYPE: Final = "application/cloudevents-batch+json"

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999, the last that RFC 3339 can write
_SEGMENT_SAFE: Final = "-._~!$&'()*+,;=:@"  # RFC 3986, pchar


class _Envelope(msgspec.Struct, frozen=True, kw_only=True):
    specversion: str
    id: str
    source: str
    type: str
    subject: str | msgspec.UnsetType
    time: str
    datacontenttype: str
    data: dict[str, Scalar]


def encode(event: Event, source: str | None = None) -> bytes:
    """Return one CloudEvent. `source` defaults to that of the event's service."""
    return to_json(_envelope(event, source))


def encode_batch(events: Iterable[Event], source: str | None = None) -> bytes:
    """Return a JSON array of CloudEvents, in the given order."""
    return to_json([_envelope(event, source) for event in events])


def source_of(event: Event) -> str:
    """Return `/sojourn/<service.name>`, percent-encoded as a URI reference must be."""
    service = event.attributes.get("service.name")
    return _source(str(service)) if service else "/sojourn"


def rfc3339(time_ms: int) -> str:
    """Return milliseconds since the epoch as `2026-01-31T12:00:00.000Z`."""
    seconds, ms = divmod(min(max(time_ms, 0), _LAST_MS), 1000)
    return f"{_second(seconds)}.{ms:03}Z"


def _envelope(event: Event, source: str | None) -> _Envelope:
    return _Envelope(
        specversion="1.0",
        id=event.id,
        source=source_of(event) if source is None else source,
        type=event.name,
        subject=event.session_id or msgspec.UNSET,  # may be absent, but not empty
        time=rfc3339(event.time),
        datacontenttype="application/json",
        data=dict(event.attributes),
    )


@lru_cache(maxsize=1024)  # the events of a batch share a few seconds
def _second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).isoformat().removesuffix("+00:00")


@lru_cache(maxsize=64)
def _source(service: str) -> str:
    return "/sojourn/" + quote(service, safe=_SEGMENT_SAFE, errors="replace")
