"""Flags in text: the same words in settings and in backends' URLs."""

from __future__ import annotations

import pytest

from sojourn.core.flags import flag_of


@pytest.mark.parametrize(
    ("text", "flag"),
    [("1", True), (" True ", True), ("YES", True), ("on", True), ("0", False), ("off", False), ("", None), ("2", None)],
)
def test_a_flag_is_read_in_any_case(text: str, flag: bool | None) -> None:
    assert flag_of(text) is flag
