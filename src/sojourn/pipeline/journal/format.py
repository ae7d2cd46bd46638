"""The bytes of a segment: its header, its frames, and which frames are whole. Pure: no files.

A segment is a header of 64 bytes and then frames, each starting at a multiple of 8:

    word      8   length of the frame (low half) and CRC-32 of what follows the word (high half), under the key
    body     32   mono, wall, accepted, refused
              n   payload, then zeros up to a multiple of 8

The word is stored last, in one piece, so a frame is there or it is not; a reader that sees the word before the body
(another processor, a crash, a short write) notices by the checksum. A word of zero is where the next frame will be; a
word of ones says that the writer went on to its next segment, so a finished segment is not taken for one that is about
to get another frame. Numbers are in the machine's own byte order: a journal never leaves its host.

Behind damaged bytes a reader looks for the next frame, and visitors choose some of the bytes that it meets. So a word is
XORed with a key that is made of the journal's random id and the segment's number, and the checksum starts from the
frame's offset: content that looks like a frame is none, and nor is a frame that was moved.

An erased frame keeps its place, times and counts. A bit of its word says so, and its checksum does not cover the payload.
One store makes it that; the payload can be overwritten afterwards.

See P5 in docs/internals.md.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final, NamedTuple
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
POSITION_BITS: Final = 32
"""A position is the segment's number, and in these bits the offset there. No damage of a file makes them another."""
ERASED: Final = b"\xff"
"""The payload of an erased frame: of a kind that nothing else has."""

_MAGIC: Final = b"SJRNJRNL"
_UNRELEASED_MAGIC: Final = b"SOJOURNJ"
"""Of segments from before the first release. No release reads them."""
_HEADER: Final = struct.Struct("=8sHHIQ16s16s")
_CHECK: Final = struct.Struct("=I")
_WORD: Final = struct.Struct("=Q")
_BODY: Final = struct.Struct("=QqQQ")
_LENGTH: Final = 0xFFFFFFFF
_ERASED_BIT: Final = 1 << 31
_FREE_BITS: Final = 0x7FFE0000
"""What no length and no `_ERASED_BIT` uses. Under the key these bits tell words of frames from others at a glance."""
_STRIDE: Final = 64 * 1024
_ONE_BIT: Final = 1 << 30
_ZERO_BIT: Final = 1 << 29

pack_body: Final = _BODY.pack
pack_word: Final = _WORD.pack


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentHeader:
    """Whose segment this is: journal and boot as 32 hex digits, `created` in ms since the epoch, size in bytes.

    A mapped segment has its whole size from the beginning; one that is shorter was cut.
    """

    journal: str
    boot: str
    created: int
    size: int
    is_mapped: bool = False


class Place(NamedTuple):
    """Which segment of which journal some bytes are from, and the key of its words."""

    journal: str
    number: int
    key: int


class HeaderFault(enum.Enum):
    DAMAGED = "damaged"
    UNKNOWN_VERSION = "unknown version"
    UNRELEASED = "from before the first release"


class Gap(enum.Enum):
    """Why there is no frame at an offset."""

    OPEN = "nothing was written here yet"
    SHORT = "the bytes at hand stop before its end"
    TORN = "it was not written to its end"
    ENDED = "the writer has left this segment"


def place_of(journal: str, number: int) -> Place:
    """Return the place of a segment. Its key survives every damage: the file's name has what it is made of."""
    digest = blake2b(bytes.fromhex(journal), key=number.to_bytes(8), digest_size=8).digest()
    # Neither nothing (zeros) nor the end of a segment (ones) may look like the word of a frame.
    return Place(journal, number, (int.from_bytes(digest) | _ONE_BIT) & ~_ZERO_BIT)


def encode_header(header: SegmentHeader) -> bytes:
    journal, boot = bytes.fromhex(header.journal), bytes.fromhex(header.boot)
    packed = _HEADER.pack(_MAGIC, VERSION, header.is_mapped, header.size, header.created, journal, boot)
    return (packed + _CHECK.pack(crc32(packed))).ljust(SEGMENT_HEADER, b"\0")


def decode_header(data: bytes) -> SegmentHeader | HeaderFault:
    if len(data) < SEGMENT_HEADER:
        return HeaderFault.DAMAGED
    magic, version, is_mapped, size, created, journal, boot = _HEADER.unpack_from(data)
    if magic == _UNRELEASED_MAGIC:
        return HeaderFault.UNRELEASED
    # Magic, version and checksum have these places in every version: else damage would look like another one.
    if magic != _MAGIC or _CHECK.unpack_from(data, _HEADER.size)[0] != crc32(data[: _HEADER.size]):
        return HeaderFault.DAMAGED
    if version != VERSION:
        return HeaderFault.UNKNOWN_VERSION
    return SegmentHeader(journal=journal.hex(), boot=boot.hex(), created=created, size=size, is_mapped=bool(is_mapped))


def frame_word(body: bytes, offset: int, key: int) -> int:
    """Return the word that makes a frame of this body (fixed part and payload) at this offset of the segment."""
    return (crc32(body, offset) << 32 | (WORD + len(body))) ^ key


def erased_word(length: int, fixed: bytes, offset: int, key: int) -> int:
    """Return the word of an erased frame of this length: `fixed` is the part of its body before the payload."""
    return (crc32(fixed, offset) << 32 | _ERASED_BIT | length) ^ key


def aligned(offset: int) -> int:
    return (offset + 7) & -8


def decode(data: bytes, at: int, place: Place, offset: int) -> Frame | Gap:
    """Return the frame that starts at `at`, or why there is none; `offset` is where in its segment the data begins."""
    available = len(data) - at
    if available < WORD:
        return Gap.SHORT
    word: int = _WORD.unpack_from(data, at)[0]
    if word == 0:
        return Gap.OPEN
    if word == END_WORD:
        return Gap.ENDED
    word ^= place.key
    length = word & _LENGTH
    if not FRAME_HEADER <= length <= MAX_FRAME:
        return _decode_erased(data, at, place, offset, word) if length & _ERASED_BIT else Gap.TORN
    if available < length:
        return Gap.SHORT
    end = at + length
    if crc32(data[at + WORD : end], offset + at) != word >> 32:
        return Gap.TORN
    mono, wall, accepted, refused = _BODY.unpack_from(data, at + WORD)
    position = place.number << POSITION_BITS | offset + ((end + 7) & -8)
    return Frame(place.journal, position, mono, wall, accepted, refused, data[at + FRAME_HEADER : end])


def _decode_erased(data: bytes, at: int, place: Place, offset: int, word: int) -> Frame | Gap:
    length = word & _LENGTH ^ _ERASED_BIT
    if not FRAME_HEADER <= length <= MAX_FRAME:
        return Gap.TORN
    if len(data) - at < length:
        return Gap.SHORT
    if crc32(data[at + WORD : at + FRAME_HEADER], offset + at) != word >> 32:
        return Gap.TORN
    position = place.number << POSITION_BITS | offset + aligned(at + length)
    mono, wall, accepted, refused = _BODY.unpack_from(data, at + WORD)
    return Frame(place.journal, position, mono, wall, accepted, refused, ERASED)


def length_of(data: bytes, place: Place) -> int | None:
    """Return the length that the word at the beginning says; `None` if no frame has that length, or it is erased."""
    length = (_WORD.unpack_from(data)[0] ^ place.key) & _LENGTH
    return length if FRAME_HEADER <= length <= MAX_FRAME else None


def find_frame(data: bytes, at: int, place: Place, offset: int) -> int | None:
    """Return where the next frame at or after `at` (a multiple of 8) starts; `None`: there is none.

    Takes time in proportion to the data, whatever it contains: of foreign words one in thousands gets as far as the
    checksum, and if somebody has guessed the key's free bits, the budget ends it.
    """
    tag, budget = place.key & _FREE_BITS, 8 * (len(data) + MAX_FRAME)
    for start in range(at, len(data) - FRAME_HEADER + 1, _STRIDE):
        piece = data[start : start + _STRIDE]
        if piece == bytes(len(piece)):
            continue
        words = memoryview(piece)[: len(piece) & -WORD].cast("Q").tolist()
        for index in [index for index, word in enumerate(words) if word & _FREE_BITS == tag]:
            budget -= (words[index] ^ place.key) & _LENGTH & ~_ERASED_BIT
            if budget < 0:
                return None
            if isinstance(decode(data, start + index * WORD, place, offset), Frame):
                return start + index * WORD
    return None
