"""Whether a request is a sign of a person, or what a page does by itself (`presence="person"`). Pure.

A server cannot see a click. It can see what was asked for and when:

- a navigation, a form, media that is played: a person;
- a `fetch()` of a target that is new since the last page: a person, or at least a page in use;
- a `fetch()` of a known target: at even intervals a poll, at uneven ones a person;
- what keeps a connection alive, refreshes a token or reports an error: the page by itself.

A passive request is counted as a request of its session. It neither extends the session nor begins the next one. In
doubt a request is a sign of a person.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, Protocol
from zlib import crc32

import msgspec

from .facts import RequestFacts

PASSIVE_HEADER: Final = "sojourn-passive"
"""A page marks its own background requests with `Sojourn-Passive: 1`."""

_SUBRESOURCES: Final = frozenset(
    {
        *("audioworklet", "font", "image", "manifest", "paintworklet", "script", "serviceworker", "sharedworker"),
        *("style", "track", "worker", "xslt"),
    }
)
_MEDIA: Final = frozenset({"audio", "video"})
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})

_CLOCK_NAMES: Final = frozenset(
    {
        "_",
        "_dc",
        "_t",
        "_ts",
        "cachebust",
        "cachebuster",
        "cb",
        "nocache",
        "rand",
        "random",
        "rnd",
        "t",
        "timestamp",
        "ts",
    }
)
"""Parameters that only keep a cache from replying."""
_CLOCK: Final = re.compile(r"\d{10}(?:\d{3}){0,2}(?:\.\d+)?|0\.\d{6,}")
"""A moment in seconds, milliseconds or microseconds since the epoch, or what `Math.random()` gives."""
_LONGEST_QUERY: Final = 2048

_SECONDS: Final = 0xFFFF
_EVEN: Final = 2
"""How far two interval codes may lie apart, an eighth of an octave each: about a fifth of the interval."""
_ENOUGH_TARGETS: Final = 3


class Sign(Enum):
    """What a request says about a person, by itself."""

    PERSON = auto()
    FETCH = auto()
    """A safe fetch: it depends on what was fetched before."""
    WRITE = auto()
    """An unsafe fetch: a person, unless it is repeated at even intervals."""
    PASSIVE = auto()
    SUBRESOURCE = auto()
    """A script, a style, a picture, a font: no request of the visit at all."""


class Pace(Enum):
    """How a fetch compares with those before it."""

    NEW = auto()
    UNEVEN = auto()
    EVEN = auto()


class TargetMemory(Protocol):
    """The latest fetch targets of a session, shared by the processes of the host. Each value has 48 bits; 0 is free."""

    def targets(self) -> list[int]: ...

    def put_target(self, place: int, value: int, at: int) -> None: ...


def sign_of(
    request: RequestFacts, *, is_fetch: Callable[[RequestFacts], bool], is_passive_path: Callable[[str, str], bool]
) -> Sign:
    """What this request says by itself. `is_fetch`: whether a script made it; `is_passive_path`: of path and mount."""
    destination = request.header("sec-fetch-dest")
    if destination == "document" and request.header("sec-fetch-mode") == "navigate":
        return Sign.PERSON
    if destination in _SUBRESOURCES:
        return Sign.SUBRESOURCE
    if request.header(PASSIVE_HEADER):
        return Sign.PASSIVE
    if not is_fetch(request):
        return Sign.PERSON
    if (
        destination == "report"
        or is_passive_path(request.path, request.mount)
        or request.header("sec-fetch-mode") == "websocket"
    ):
        return Sign.PASSIVE
    if destination in _MEDIA or (request.header("range") and request.method == "GET"):
        return Sign.PERSON
    return Sign.FETCH if request.method in _SAFE else Sign.WRITE


def target_of(request: RequestFacts) -> int:
    """The target of a fetch as a number of 16 bits: method, path and query, without clocks and cache busters."""
    query = request.query[:_LONGEST_QUERY]
    if query:
        query = "&".join(pair for pair in query.split("&") if not _is_clock(pair))
    text = f"{request.method} {request.path}?{query}"
    return crc32(text.encode("utf-8", "surrogatepass")) & 0xFFFF or 1


def note_fetch(memory: TargetMemory, target: int, at: int) -> Pace:
    """Remember a fetch of this target at this time (milliseconds), and say how it compares with those before it.

    Two intervals are remembered, so that two tabs which poll the same target look even too.
    """
    seconds = at // 1000 & _SECONDS
    values = memory.targets()
    for place, value in enumerate(values):
        if value >> 32 == target:
            latest, before = value >> 8 & 0xFF, value & 0xFF
            interval = _interval_code(seconds - (value >> 16 & _SECONDS) & _SECONDS)
            memory.put_target(place, _packed(target, seconds, interval, latest), at)
            known = [code for code in (latest, before) if code]
            return Pace.UNEVEN if known and all(abs(interval - code) > _EVEN for code in known) else Pace.EVEN
    free = next((place for place, value in enumerate(values) if not value), None)
    if free is None:  # the one fetched longest ago gives way
        free = max(range(len(values)), key=lambda place: seconds - (values[place] >> 16 & _SECONDS) & _SECONDS)
    memory.put_target(free, _packed(target, seconds, 0, 0), at)
    return Pace.NEW


def is_in_use(memory: TargetMemory) -> bool:
    """Whether enough different targets were fetched since the last page to say that a person uses it."""
    return sum(value != 0 for value in memory.targets()) >= _ENOUGH_TARGETS


def _packed(target: int, seconds: int, interval: int, before: int) -> int:
    return target << 32 | seconds << 16 | interval << 8 | before


def _interval_code(seconds: int) -> int:
    return 1 + round(8 * math.log2(seconds + 1))


def _is_clock(pair: str) -> bool:
    name, _, value = pair.partition("=")
    return name.lower() in _CLOCK_NAMES or _CLOCK.fullmatch(value) is not None


_KEEP_ALIVE_KINDS: Final = frozenset({"heartbeat", "ka", "keepalive", "keep-alive", "ping", "pong"})
_LONGEST_KEEP_ALIVE: Final = 200
_SHORT: Final = frozenset(
    {"", "2", "3", "2probe", "3probe", "\n", "h", "p", "ping", "pong", '{"type":6}\x1e', "[]", "{}"}
)
"""engine.io, STOMP, SockJS and SignalR, and what people write by hand."""
_MQTT: Final = frozenset({b"\xc0\x00", b"\xd0\x00"})


def is_keep_alive(message: str | bytes) -> bool:
    """Whether a socket message only keeps the connection open: engine.io, SignalR, Phoenix, graphql-ws, STOMP, MQTT ..."""
    if isinstance(message, bytes):
        if message in _MQTT or not message:
            return True
        if len(message) > _LONGEST_KEEP_ALIVE:
            return False
        message = message.decode("utf-8", "replace")
    if len(message) > _LONGEST_KEEP_ALIVE:
        return False
    text = message.strip(" \t\r")
    return text in _SHORT or text.lower() in _SHORT or _names_keep_alive(text)


def _names_keep_alive(text: str) -> bool:
    """JSON whose type, event or operation is a keep-alive; Phoenix puts it into a list."""
    if text[:1] not in {"{", "["}:
        return False
    try:
        content = msgspec.json.decode(text.removesuffix("\x1e"))
    except msgspec.DecodeError:
        return False
    if isinstance(content, list):
        return len(content) == _PHOENIX_PARTS and content[2:4] == ["phoenix", "heartbeat"]
    if not isinstance(content, dict):
        return False
    kinds = (content.get(name) for name in ("type", "event", "op", "action", "cmd", "method"))
    return any(isinstance(kind, str) and kind.lower() in _KEEP_ALIVE_KINDS for kind in kinds)


_PHOENIX_PARTS: Final = 5
