"""Frames and headers as bytes: what is whole is read, and nothing else is."""

from __future__ import annotations

import sys
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.pipeline.journal.filesystem import filesystem_of
from sojourn.pipeline.journal.format import (
    FRAME_HEADER,
    MAX_PAYLOAD,
    SEGMENT_HEADER,
    VERSION,
    Gap,
    HeaderFault,
    SegmentHeader,
    aligned,
    decode,
    decode_header,
    encode_header,
    frame_word,
    pack_body,
    pack_word,
    place_of,
)
from sojourn.pipeline.journal.protocol import Frame

JOURNAL = "0123456789abcdef0123456789abcdef"
PLACE = place_of(JOURNAL, 0)
HEADER = SegmentHeader(journal=JOURNAL, boot="f" * 32, created=1_700_000_000_000, size=4096)


def frame_bytes(payload: bytes, *, offset: int = 0, wall: int = 1_700_000_000_000) -> bytes:
    body = pack_body(7, wall, 3, 1) + payload
    whole = pack_word(frame_word(body, offset, PLACE.key)) + body
    return whole.ljust(aligned(len(whole)), b"\0")


def test_header_round_trip() -> None:
    encoded = encode_header(HEADER)
    assert len(encoded) == SEGMENT_HEADER
    assert decode_header(encoded + b"frames") == HEADER


def with_byte(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def of_version(version: int) -> bytes:
    packed = with_byte(encode_header(HEADER), 8, version)[:56]
    return (packed + crc32(packed).to_bytes(4, sys.byteorder)).ljust(SEGMENT_HEADER, b"\0")


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(b"", HeaderFault.DAMAGED, id="empty file"),
        pytest.param(bytes(4096), HeaderFault.DAMAGED, id="zeros only"),
        pytest.param(encode_header(HEADER)[:-1], HeaderFault.DAMAGED, id="cut"),
        pytest.param(with_byte(encode_header(HEADER), 20, 255), HeaderFault.DAMAGED, id="damaged"),
        pytest.param(with_byte(encode_header(HEADER), 8, VERSION + 1), HeaderFault.DAMAGED, id="damaged version"),
        pytest.param(of_version(VERSION + 1), HeaderFault.UNKNOWN_VERSION, id="newer version"),
        pytest.param(
            b"SOJOURNJ" + encode_header(HEADER)[8:], HeaderFault.UNRELEASED, id="from before the first release"
        ),
    ],
)
def test_an_unusable_header_is_a_fault(data: bytes, fault: HeaderFault) -> None:
    assert decode_header(data) is fault


@given(payload=st.binary(max_size=200), before=st.integers(0, 4), wall=st.integers(-(2**60), 2**60))
def test_a_frame_comes_back_as_it_was(payload: bytes, before: int, wall: int) -> None:
    data = bytes(8 * before) + frame_bytes(payload, wall=wall, offset=1000 + 8 * before)
    frame = decode(data, 8 * before, PLACE, 1000)
    assert frame == Frame(JOURNAL, 1000 + len(data), 7, wall, 3, 1, payload)


@given(payload=st.binary(max_size=100), data=st.data())
def test_a_cut_or_changed_frame_is_no_frame(payload: bytes, data: st.DataObject) -> None:
    whole = frame_bytes(payload)
    end = FRAME_HEADER + len(payload)
    cut = data.draw(st.integers(0, end - 1), label="cut")
    assert decode(whole[:cut], 0, PLACE, 0) is Gap.SHORT
    at = data.draw(st.integers(0, end - 1), label="changed byte")
    changed = with_byte(whole, at, whole[at] ^ data.draw(st.integers(1, 255), label="by"))
    assert isinstance(decode(changed, 0, PLACE, 0), Gap)


@pytest.mark.parametrize(
    ("data", "gap"),
    [
        pytest.param(bytes(64), Gap.OPEN, id="zeros: nothing yet"),
        pytest.param(b"\xff" * 8 + bytes(64), Gap.ENDED, id="ones: the writer went on"),
        pytest.param(b"", Gap.SHORT, id="no bytes"),
        pytest.param(frame_bytes(b"x" * 50)[:48], Gap.SHORT, id="the rest is not at hand"),
        pytest.param(pack_word(5 ^ PLACE.key) + bytes(64), Gap.TORN, id="shorter than any frame"),
        pytest.param(pack_word((FRAME_HEADER + MAX_PAYLOAD + 1) ^ PLACE.key), Gap.TORN, id="longer than any frame"),
        pytest.param(frame_bytes(b"x" * 50)[:48] + bytes(64), Gap.TORN, id="word stored, payload not"),
    ],
)
def test_gaps(data: bytes, gap: Gap) -> None:
    assert decode(data, 0, PLACE, 0) is gap


MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /dev/shm tmpfs rw 0 0
server:/export /srv nfs4 rw 0 0
/dev/vdb /srv/app\\040data xfs rw 0 0
/dev/vdc /mnt btrfs rw 0 0
overlay /mnt overlay rw 0 0
broken
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        pytest.param("/var/lib/app", "ext4", id="on the root"),
        pytest.param("/", "ext4", id="the root itself"),
        pytest.param("/srv/app", "nfs4", id="below a mount"),
        pytest.param("/srv", "nfs4", id="the mount point itself"),
        pytest.param("/srv/app data/j", "xfs", id="a space in the mount point"),
        pytest.param("/srvother/x", "ext4", id="a name that only begins like one"),
        pytest.param("/mnt/x", "overlay", id="a mount that covers another"),
    ],
)
def test_filesystem_of(path: str, kind: str) -> None:
    assert filesystem_of(path, MOUNTS) == kind


def test_filesystem_of_an_empty_table() -> None:
    assert filesystem_of("/x", "") is None
