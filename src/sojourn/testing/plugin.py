"""The pytest plugin: the fixture `sojourn_events`. Imports nothing of Sojourn until a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .visits import RecordedEvents

pytest.register_assert_rewrite("sojourn.testing.backend_contract")


@pytest.fixture
def sojourn_events() -> Iterator[RecordedEvents]:
    """The events of this test's `fake_visit()` blocks, in order: a sequence of `sojourn.Event`, with `.named(name)`."""
    from .visits import shared_visits

    with shared_visits() as visits:
        yield visits.events
