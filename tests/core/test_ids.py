"""Ids: UUIDv7 with our time and chance, and event ids that are the same at every replay."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.ids import created_at, event_id, hashed_uuid, start_id, uuid7


def test_the_example_of_the_rfc() -> None:
    """RFC 9562, appendix A.6: its time, and its random bits with our version and variant put in their place."""
    chance = bytes.fromhex("0cc318c4dc0c0c07398f")
    assert uuid7(0x017F22E279B0, chance) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(at=st.integers(0, 2**48 - 1), chance=st.binary(min_size=10, max_size=16))
def test_a_session_key_is_a_uuid_of_version_7(at: int, chance: bytes) -> None:
    found = UUID(uuid7(at, chance))
    assert (found.version, found.variant) == (7, RFC_4122)
    assert found.int >> 80 == at
    bits = int.from_bytes(chance[:10], "big")
    assert found.int >> 64 & 0xFFF == bits >> 64 & 0xFFF
    assert found.int & (2**62 - 1) == bits & (2**62 - 1)


@given(first=st.integers(0, 2**48 - 2), chance=st.binary(min_size=10, max_size=10))
def test_session_keys_sort_by_time(first: int, chance: bytes) -> None:
    assert uuid7(first, b"\xff" * 10) < uuid7(first + 1, chance)


@pytest.mark.parametrize(("at", "shown"), [(-1, 0), (2**48, 2**48 - 1)], ids=["before the epoch", "beyond the field"])
def test_a_time_that_does_not_fit_is_cut(at: int, shown: int) -> None:
    assert UUID(uuid7(at, bytes(10))).int >> 80 == shown


@given(at=st.integers(0, 2**48 - 1), parts=st.lists(st.text(), min_size=1, max_size=4))
def test_an_event_id_is_a_uuid_of_version_8_that_repeats_and_begins_with_the_time(at: int, parts: list[str]) -> None:
    own_id = event_id(at, *parts)
    uuid = UUID(own_id)
    assert (uuid.version, uuid.variant) == (8, RFC_4122)
    assert str(uuid) == own_id == event_id(at, *parts)
    assert uuid.int >> 80 == at


@given(parts=st.lists(st.text(), min_size=1, max_size=4))
def test_a_hashed_uuid_is_of_version_8_and_repeats(parts: list[str]) -> None:
    uuid = UUID(hashed_uuid(*parts))
    assert (uuid.version, uuid.variant) == (8, RFC_4122)
    assert str(uuid) == hashed_uuid(*parts)


def test_start_of_a_session_has_an_id_of_its_own() -> None:
    assert start_id("k") == event_id(0, "k", "session.start") != start_id("l")


def test_different_parts_make_different_ids() -> None:
    every_parts = (("a", "b"), ("ab",), ("a", "b", ""), ("b", "a"), ("a\ud800",))
    assert len({event_id(0, *parts) for parts in every_parts}) == 5
    assert len({hashed_uuid(*parts) for parts in every_parts}) == 5


@given(at=st.integers(0, 2**48 - 1), chance=st.binary(min_size=10, max_size=10))
def test_the_time_of_a_session_key_can_be_read(at: int, chance: bytes) -> None:
    assert created_at(uuid7(at, chance)) == at


@pytest.mark.parametrize("other", ["", "k1", "zzzzzzzz-zzzz-7zzz-8zzz-zzzzzzzzzzzz"])
def test_another_text_than_a_key_has_no_time(other: str) -> None:
    assert created_at(other) == 0
