"""The payload of a frame: its kind stands first, and a kind that is not read here is no error."""

from __future__ import annotations

import msgspec
import pytest

from sojourn.core.agent_hits import AgentHit
from sojourn.core.records import ACTIVITY, Entry, Record
from sojourn.pipeline.payloads import PayloadKind, decode, encode, encode_hit

RECORD = Record(1, "key", "visitor", 1, ACTIVITY, entries=(Entry("page_view", 1, {"url.path": "/"}),))


def test_numbers_of_kinds_never_change() -> None:
    """Journals on disk carry them, also those that a newer or an older version has written."""
    assert {kind.name: kind.value for kind in PayloadKind} == {
        "REQUEST": 1,
        "AGENT_HIT": 2,
        "INBOX": 3,
        "IMPORT": 4,
        "DIAGNOSTICS": 5,
    }


def test_a_record_comes_back_as_it_was() -> None:
    assert encode(RECORD)[0] == PayloadKind.REQUEST
    assert decode(encode(RECORD)) == RECORD


def test_a_hit_comes_back_as_it_was() -> None:
    hit = AgentHit(1, "GPTBot", "ai_training", "/a", 404)
    assert encode_hit(hit)[0] == PayloadKind.AGENT_HIT
    assert decode(encode_hit(hit)) == hit


READ = (PayloadKind.REQUEST, PayloadKind.AGENT_HIT)


@pytest.mark.parametrize("kind", [0, *(kind for kind in PayloadKind if kind not in READ), 255])
def test_another_kind_is_no_record(kind: int) -> None:
    assert decode(bytes([kind]) + b"whatever that kind holds") is None


@pytest.mark.parametrize(
    "payload", [b"", b"\x01", b"\x01\xff", b"\x02", b"\x02\xff", b"\x01" + msgspec.msgpack.encode({"at": 1})]
)
def test_a_broken_payload_is_an_error(payload: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        decode(payload)
