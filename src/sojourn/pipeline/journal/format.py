"""The bytes of a segment: its header, its frames, and which frames are whole. Pure: no files.

A segment is a header of 64 bytes and then frames, each starting at a multiple of 8:

    word      8   length of the frame (low half) and CRC-32 of what follows the word (high half)
    body     32   mono, wall, accepted, refused
              n   payload, then zeros up to a multiple of 8

The word is stored last, in one piece, so a frame is there or it is not; a reader that sees the word before the body
(another processor, a crash, a short write) notices by the checksum. A word of zero is where the next frame will be; a
word of ones says that the writer went on to its next segment, so a finished segment is not taken for one that is about
to get another frame. Numbers are in the machine's own byte order: a journal never leaves its host.

See P5 in docs/internals.md.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final
from zlib import crc32

from .protocol import Frame

VERSION: Final = 1
SEGMENT_SIZE: Final = 4 * 1024 * 1024
MAX_PAYLOAD: Final = 64 * 1024

SEGMENT_HEADER: Final = 64
WORD: Final = 8
FRAME_HEADER: Final = 40
MAX_FRAME: Final = FRAME_HEADER + MAX_PAYLOAD
END_WORD: Final = 2**64 - 1

_MAGIC: Final = b"SJRNJRNL"
_UNRELEASED_MAGIC: Final = b"SOJOURNJ"
"""Of segments from before the first release. No release reads them."""
_HEADER: Final = struct.Struct("=8sIIQ16s16s")
_CHECK: Final = struct.Struct("=I")
_WORD: Final = struct.Struct("=Q")
_BODY: Final = struct.Struct("=QqQQ")

pack_body: Final = _BODY.pack
pack_word: Final = _WORD.pack


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """Whose segment this is: journal and boot as 32 hex digits, `created` in ms since the epoch, size in bytes."""

    journal: str
    boot: str
    created: int
    size: int


class HeaderFault(enum.Enum):
    TORN = "torn"
    UNKNOWN_VERSION = "unknown version"
    UNRELEASED = "from before the first release"


class Gap(enum.Enum):
    """Why there is no frame at an offset."""

    OPEN = "nothing was written here yet"
    SHORT = "the bytes at hand stop before its end"
    TORN = "it was not written to its end"
    ENDED = "the writer has left this segment"


def encode_header(header: SegmentHeader) -> bytes:
    packed = _HEADER.pack(
        _MAGIC, VERSION, header.size, header.created, bytes.fromhex(header.journal), bytes.fromhex(header.boot)
    )
    return (packed + _CHECK.pack(crc32(packed))).ljust(SEGMENT_HEADER, b"\0")


def decode_header(data: bytes) -> SegmentHeader | HeaderFault:
    if len(data) < SEGMENT_HEADER:
        return HeaderFault.TORN
    magic, version, size, created, journal, boot = _HEADER.unpack_from(data)
    if magic == _UNRELEASED_MAGIC:
        return HeaderFault.UNRELEASED
    if magic != _MAGIC:
        return HeaderFault.TORN
    if version != VERSION:  # before the checksum: another version may keep it elsewhere
        return HeaderFault.UNKNOWN_VERSION
    if _CHECK.unpack_from(data, _HEADER.size)[0] != crc32(data[: _HEADER.size]):
        return HeaderFault.TORN
    return SegmentHeader(journal=journal.hex(), boot=boot.hex(), created=created, size=size)


def frame_word(body: bytes) -> int:
    """Return the word that makes a frame of this body (fixed part and payload)."""
    return crc32(body) << 32 | (WORD + len(body))


def aligned(offset: int) -> int:
    return (offset + 7) & -8


def decode(data: bytes, at: int, *, journal: str, base: int) -> Frame | Gap:
    """Return the frame that starts at `at`, or why there is none; `base` is the position of `data[0]`."""
    available = len(data) - at
    if available < WORD:
        return Gap.SHORT
    word: int = _WORD.unpack_from(data, at)[0]
    if word == 0:
        return Gap.OPEN
    if word == END_WORD:
        return Gap.ENDED
    length = word & 0xFFFFFFFF
    if not FRAME_HEADER <= length <= MAX_FRAME:
        return Gap.TORN
    if available < length:
        return Gap.SHORT
    end = at + length
    if crc32(data[at + WORD : end]) != word >> 32:
        return Gap.TORN
    mono, wall, accepted, refused = _BODY.unpack_from(data, at + WORD)
    return Frame(journal, base + aligned(end), mono, wall, accepted, refused, data[at + FRAME_HEADER : end])
