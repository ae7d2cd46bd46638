"""JSON for the wire that never fails on hostile text."""

from __future__ import annotations

from typing import Final

import msgspec

_LEAST_INT: Final = -(2**63)
_GREATEST_INT: Final = 2**64 - 1

_encoder = msgspec.json.Encoder()


def to_json(value: object) -> bytes:
    """Encode `value`. What JSON cannot carry is replaced: one odd string must not block a backend."""
    try:
        return _encoder.encode(value)
    except (UnicodeEncodeError, OverflowError):
        return _encoder.encode(_replaced(msgspec.to_builtins(value)))


def _replaced(value: object) -> object:
    if isinstance(value, str):
        # A lone surrogate (`surrogateescape` makes them from undecodable bytes) has no UTF-8 form.
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in value)
    if isinstance(value, int) and not _LEAST_INT <= value <= _GREATEST_INT:
        return hex(value)  # beyond 64 bits; `str()` refuses very long ones
    if isinstance(value, dict):
        return {_replaced(key): _replaced(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(item) for item in value]
    return value
