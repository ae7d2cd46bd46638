"""How ids look: UUIDv7 for sessions (RFC 9562), deterministic ones for events. Time and random bytes are arguments.

See S4 and P16 in docs/internals.md.
"""

from __future__ import annotations

from hashlib import blake2b

from .events import SESSION_START

_VERSION_7 = 0x7 << 76
_VARIANT = 0b10 << 62
_LOW_62 = (1 << 62) - 1
_MID_12 = 0xFFF << 64
_MAX_MS = (1 << 48) - 1


def uuid7(at_ms: int, random_bytes: bytes) -> str:
    """The UUIDv7 of this millisecond and these (at least 10) random bytes, as text."""
    rest = int.from_bytes(random_bytes[:10], "big")
    value = (min(max(at_ms, 0), _MAX_MS) << 80) | _VERSION_7 | (rest & _MID_12) | _VARIANT | (rest & _LOW_62)
    return _text(value)


def created_at(key: str) -> int:
    """Return the milliseconds since the epoch in a UUIDv7; 0 if this is none."""
    try:
        return int(key[:8] + key[9:13], 16)
    except ValueError:
        return 0


def event_id(at_ms: int, *parts: str) -> str:
    """The id of the event that these parts describe: a UUIDv8 (RFC 9562, section 5.8), the same at every replay.

    It begins with `at_ms`, as a UUIDv7 does. So new ids lie side by side in an index, and a batch writes few of its pages.
    """
    time = f"{min(max(at_ms, 0), _MAX_MS):012x}"
    digest = _digest(parts, 9)
    return f"{time[:8]}-{time[8:]}-8{digest[:3]}-8{digest[3:6]}-{digest[6:]}"


def session_event_id(key: str, *parts: str) -> str:
    """The id of an event that a session has once: the same whichever record brought it."""
    return event_id(created_at(key), key, *parts)


def start_id(session_key: str) -> str:
    """The id of a session's `session.start`: what begins a session has one, whichever record it came with."""
    return session_event_id(session_key, SESSION_START)


def hashed_uuid(*parts: str) -> str:
    """The UUIDv8 that stands for these parts, and says nothing else."""
    digest = _digest(parts, 16)
    return f"{digest[:8]}-{digest[8:12]}-8{digest[13:16]}-8{digest[17:20]}-{digest[20:]}"


def _digest(parts: tuple[str, ...], size: int) -> str:
    return blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()


def _text(value: int) -> str:
    digits = f"{value:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
