"""What of an address is kept as a view."""

from __future__ import annotations

import pytest

from sojourn.core.saved_views import LONGEST_QUERY, parse_query


@pytest.mark.parametrize(
    "text",
    [
        "range=30d&campaign=spring",
        " range=30d&campaign=spring\n",
        "?range=30d&campaign=spring",
        "/_sojourn/?range=30d&campaign=spring",
        "https://shop.example/_sojourn/?range=30d&campaign=spring#chart",
    ],
)
def test_a_copied_address_and_its_query_are_the_same_view(text: str) -> None:
    assert parse_query(text) == "range=30d&campaign=spring"


@pytest.mark.parametrize("text", ["", "   ", "https://shop.example/_sojourn/", "/", "a=\x00", "a=\ud800", "a=b\nc=d"])
def test_what_holds_no_query_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="range=30d&campaign=spring"):
        parse_query(text)


def test_an_address_has_a_longest_length() -> None:
    assert len(parse_query("a=" + "x" * (LONGEST_QUERY - 2))) == LONGEST_QUERY
    with pytest.raises(ValueError, match="longer than 2,000"):
        parse_query("a=" + "x" * (LONGEST_QUERY - 1))
