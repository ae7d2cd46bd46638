"""Which events a backend gets: names, patterns, heartbeats, revised ends."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends.filters import EventFilter, Patterns, parse_patterns
from sojourn.core.events import Event
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import many_events


def named(name: str, **attributes: int) -> Event:
    return msgspec.structs.replace(many_events(1)[0], name=name, attributes=attributes)


NAMES = ("session.start", "session.heartbeat", "session.end", "page_view", "purchase")


@pytest.mark.parametrize(
    ("events", "accepted"),
    [
        pytest.param(None, NAMES, id="all"),
        pytest.param("session.*", NAMES[:3], id="a pattern"),
        pytest.param("session.*, purchase", (*NAMES[:3], "purchase"), id="a list in a text"),
        pytest.param(["session.start", "page_view"], ("session.start", "page_view"), id="names"),
        pytest.param(["!page_view"], (*NAMES[:3], "purchase"), id="all but one"),
        pytest.param(["session.*", "!session.heartbeat"], ("session.start", "session.end"), id="some but one"),
        pytest.param(["SESSION.*"], (), id="the case counts"),
    ],
)
def test_names_and_patterns(events: Patterns | None, accepted: tuple[str, ...]) -> None:
    choice = EventFilter(events)
    assert tuple(name for name in NAMES if choice.accepts(named(name))) == accepted


def test_heartbeats_can_be_excluded_with_any_patterns() -> None:
    choice = EventFilter("session.*", has_heartbeats=False)
    assert [name for name in NAMES if choice.accepts(named(name))] == ["session.start", "session.end"]


@pytest.mark.parametrize(
    ("has_ends_once", "revisions"),
    [pytest.param(True, [0], id="first only"), pytest.param(False, [0, 1, 2], id="all")],
)
def test_revised_end(has_ends_once: bool, revisions: list[int]) -> None:
    choice = EventFilter(has_ends_once=has_ends_once)
    ends = [named("session.end", **({"session.end_revision": n} if n else {})) for n in range(3)]
    assert [n for n, end in enumerate(ends) if choice.accepts(end)] == revisions


def test_revision_matters_for_ends_only() -> None:
    assert EventFilter(has_ends_once=True).accepts(named("purchase", **{"session.end_revision": 1}))


@pytest.mark.parametrize("events", ["", " , ", [], [""], ["!"], ["a\nb"], ["x" * 101], [7]])
def test_empty_and_malformed_patterns_are_refused(events: Patterns) -> None:
    with pytest.raises(SettingsError, match="events"):
        parse_patterns(events)


@given(st.lists(st.text(st.characters(categories=["Lu", "Ll"], include_characters="_."), min_size=1, max_size=20)))
def test_plain_name_matches_itself_only(names: list[str]) -> None:
    for name in names:
        assert [other for other in {*names, "else"} if EventFilter([name]).accepts(named(other))] == [name]
