"""Positions in the event log: opaque, and written as text in commands and exports."""

from __future__ import annotations

import pytest

from sojourn.core.events import START, Position


@pytest.mark.parametrize(
    "position", [Position(4711), Position(-4711), START], ids=["recorded", "imported", "before all"]
)
def test_a_position_is_read_back_from_its_text(position: Position) -> None:
    assert Position.from_text(str(position)) == position


@pytest.mark.parametrize("text", ["", "-", "--1", "1.5", "x", "\u0661", "1" * 16])
def test_other_text_is_no_position(text: str) -> None:
    assert Position.from_text(text) is None
