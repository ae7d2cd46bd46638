"""JSON for the wire, for text as hostile as a browser can make it. Knows nothing of events, vendors or transports."""

from __future__ import annotations

from typing import Final

import msgspec

_LEAST_INT: Final = -(2**63)
_GREATEST_INT: Final = 2**64 - 1

_encoder = msgspec.json.Encoder()


def to_json(value: object) -> bytes:
    """Encode `value`; what JSON cannot carry is mended, never raised: one odd string must not hold up a backend."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return _encoder.encode(_mend(msgspec.to_builtins(value)))


def _mend(value: object) -> object:
    if isinstance(value, str):
        # A lone surrogate (half a character; `surrogateescape` makes them of undecodable bytes) has no UTF-8.
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    if isinstance(value, int) and not _LEAST_INT <= value <= _GREATEST_INT:
        return hex(value)  # beyond 64 bits; `str` would refuse the very long ones
    if isinstance(value, dict):
        return {_mend(key): _mend(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mend(item) for item in value]
    return value
