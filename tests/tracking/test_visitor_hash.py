"""The hash by which a visitor without a cookie is known for a day."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.ids import created_at
from sojourn.tracking.visitor_hash import SALT_BYTES, DailyVisitor, hash_key, visitor_hash

SECRET, SALT = b"a secret of the app", bytes(range(SALT_BYTES))
KEY = hash_key(SECRET, SALT)
MINUTES = 60_000
TEXT = st.text(st.characters(codec=None), max_size=40)


@pytest.mark.parametrize(
    ("network", "user_agent", "host"),
    [
        pytest.param("198.51.100.0", "Firefox", "shop.example", id="another network"),
        pytest.param("192.0.2.0", "Chrome", "shop.example", id="another user agent"),
        pytest.param("192.0.2.0", "Firefox", "blog.example", id="another host"),
        pytest.param("192.0.2.0F", "irefox", "shop.example", id="the same letters, parted elsewhere"),
        pytest.param("192.0.2.0", "Firefoxshop.example", "", id="one part in another"),
    ],
)
def test_who_looks_different_has_another_hash(network: str, user_agent: str, host: str) -> None:
    assert visitor_hash(KEY, network, user_agent, host) != visitor_hash(KEY, "192.0.2.0", "Firefox", "shop.example")


def test_who_looks_alike_has_the_same_hash_and_id() -> None:
    one, other = (DailyVisitor(visitor_hash(KEY, "192.0.2.0", "Firefox", "shop.example")) for _ in range(2))
    assert one.visitor_id == other.visitor_id
    assert str(UUID(one.visitor_id)) == one.visitor_id, "the cookie has room for a UUID"


@pytest.mark.parametrize(
    "key", [hash_key(SECRET, bytes(SALT_BYTES)), hash_key(b"another secret", SALT)], ids=["salt", "secret"]
)
def test_neither_another_salt_nor_another_secret_leads_to_it(key: bytes) -> None:
    assert visitor_hash(key, "192.0.2.0", "Firefox", "shop.example") != visitor_hash(
        KEY, "192.0.2.0", "Firefox", "shop.example"
    )


@given(TEXT, TEXT, TEXT)
def test_hostile_text_has_a_hash_of_sixteen_bytes(network: str, user_agent: str, host: str) -> None:
    hashed = visitor_hash(KEY, network, user_agent * 1000, host)
    assert len(hashed) == 16
    assert hashed == visitor_hash(KEY, network, (user_agent * 1000)[:512], host)


def test_sessions_that_begin_in_one_span_have_one_key() -> None:
    visitor = DailyVisitor(b"v" * 16)
    begins_at = 1_800_000_000_000 // (30 * MINUTES) * 30 * MINUTES
    key = visitor.first_key(begins_at, 30 * MINUTES)
    assert created_at(key) == begins_at
    assert visitor.first_key(begins_at + 30 * MINUTES - 1, 30 * MINUTES) == key
    assert visitor.first_key(begins_at + 30 * MINUTES, 30 * MINUTES) != key


def test_who_comes_after_somebody_has_left_these_looks_is_another_visitor() -> None:
    first, second = DailyVisitor(b"v" * 16), DailyVisitor(b"v" * 16, 1)
    assert first.visitor_id != second.visitor_id
    assert first.first_key(0, MINUTES) != second.first_key(0, MINUTES)
