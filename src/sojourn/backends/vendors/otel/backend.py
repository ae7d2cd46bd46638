"""OpenTelemetry: send events as log records over OTLP/HTTP in JSON, named by the semantic conventions.

https://opentelemetry.io/docs/specs/otlp/#otlphttp
https://opentelemetry.io/docs/specs/semconv/general/session/
"""

from __future__ import annotations

import json
import logging
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import ClassVar, Final, Self, Unpack

from sojourn.backends.http import HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Reject, Response
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.protocol import Rejection
from sojourn.backends.receipts import is_empty, is_web_page, json_object, not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import VendorURL, checked_address, checked_key
from sojourn.core.events import Event
from sojourn.errors import SettingsError

from .otlp import encoded, frame, resource

log = logging.getLogger("sojourn")

PATH: Final = "/v1/logs"
# The specification has no limits; collectors accept 20 MiB, and gRPC receivers behind them 4 MiB.
LIMITS: Final = CallLimits(bytes=4_000_000, events=1_000, frame=4_096)

_PROTOBUF: Final = "application/x-protobuf"
_RETRIED: Final = frozenset({429, 502, 503, 504})
_RETRIED_ELSEWHERE: Final = frozenset({408, 425})
_HEADER: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[:=]\s*([\x20-\x7e]+)")


class OpenTelemetryBackend(VendorBackend):
    """Sends to an OTLP/HTTP receiver, such as a collector at `http://host:4318`. `/v1/logs` is appended.

    `key` is sent as `Authorization: Bearer`. `headers` go with every call, for receivers that expect a key elsewhere.
    """

    scheme = "otel"
    url_form = "{scheme}+http://<host>:4318"
    fake = "sojourn.backends.vendors.otel.fake:FakeOpenTelemetry"
    wants_context = True
    heartbeats_by_default = True
    takes_revised_ends = True
    # OTLP has no limit; `oldest_accepted=` is for what stands behind the receiver. The duration is an attribute.
    moves_old_ends = True
    own_options: ClassVar[Mapping[str, type]] = {"header": list}

    def __init__(
        self,
        address: str = "http://127.0.0.1:4318",
        key: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **options: Unpack[VendorOptions],
    ) -> None:
        url = checked_address(address, self.scheme)
        if not url.endswith(PATH):
            url += PATH
        own = {} if key is None else {"authorization": f"Bearer {checked_key(key, self.scheme)}"}
        name = options.get("name") or self.scheme
        super().__init__(_Encoder(name, url, own | _checked(headers or {})), **options)

    @classmethod
    def build(cls, url: VendorURL, **options: Unpack[VendorOptions]) -> Self:
        """Build the backend from a URL with nothing, a key, or user and password before the host."""
        headers: dict[str, str] = {}
        for text in url.own.get("header", ()):
            match = _HEADER.fullmatch(text)
            if match is None:
                raise SettingsError("otel: the option header reads header=name:value")
            headers[match[1]] = match[2]
        key = url.key
        if url.key is not None and url.secret is not None:
            pair = f"{url.key}:{url.secret}".encode()
            key, headers["authorization"] = None, f"Basic {b64encode(pair).decode()}"
        return cls(url.address, key, headers=headers, **options)


class _Encoder:
    def __init__(self, name: str, url: str, headers: Mapping[str, str]) -> None:
        self._name = name
        self._url = url
        self._headers = {**headers, "content-type": "application/json"}

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        for start, end in _runs(batch):
            events = batch[start:end]
            head, tail = frame(resource(events[0]))
            pieces = (Piece(encoded(event), (event,)) for event in events)
            yield from packed_calls(pieces, LIMITS, partial(self._call, head, tail))

    def _call(self, head: bytes, tail: bytes, pack: Pack) -> HttpCall:
        return HttpCall(
            "POST",
            self._url,
            pack.events,
            body=pack.joined(head, tail),
            headers=self._headers,
            interpret=partial(_outcome, self._name, pack.events),
        )


def _runs(batch: Sequence[Event]) -> Iterator[tuple[int, int]]:
    """Split the batch where the resource changes (at a deployment), keeping the order of the log."""
    start = 0
    for index in range(1, len(batch) + 1):
        if index == len(batch) or resource(batch[index]) != resource(batch[start]):
            if index > start:
                yield start, index
            start = index


def _outcome(name: str, events: Sequence[Event], response: Response) -> Outcome | None:
    """Apply the rules of OTLP/HTTP: four statuses are retried, and a success may report how many records were rejected."""
    status = response.status
    if 200 <= status < 300:
        if not _is_receipt(response):
            return not_a_receipt(response, "an OTLP receiver responds with an ExportLogsServiceResponse")
        return _partial_success(name, events, response.body)
    if status in _RETRIED_ELSEWHERE or (status >= 500 and status not in _RETRIED):
        return Reject(reason=f"HTTP {status}: OTLP calls this final; check the receiver's log")
    return None


def _is_receipt(response: Response) -> bool:
    """Return whether it is an `ExportLogsServiceResponse`: all of its fields are optional, and it may be in protobuf.

    Grafana Loki responds with 204, and VictoriaLogs with 200 and no body.
    """
    if is_web_page(response):
        return False
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    return is_empty(response.body) or kind == _PROTOBUF or "partialSuccess" in (json_object(response.body) or {})


def _partial_success(name: str, events: Sequence[Event], body: bytes) -> Outcome | None:
    """Read a partial success. It says how many records were rejected, never which, and OTLP forbids sending any again."""
    try:
        partial = json.loads(body)["partialSuccess"]
        count = int(partial.get("rejectedLogRecords", 0))
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    if count >= len(events):
        reason = "the receiver accepted the call and rejected all of its events; check its log"
        return Delivered(rejected=tuple(Rejection(event_id=event.id, reason=reason) for event in events))
    if count > 0:
        log.warning(
            "backend %s: the receiver rejected %s of %s events, and does not say which", name, count, len(events)
        )
    return None


def _checked(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER.fullmatch(f"{name}:{value}"):
            raise SettingsError(f"otel: headers: {name[:40]!r} or its value has characters that HTTP does not allow")
    return {name.lower(): value for name, value in headers.items()}
