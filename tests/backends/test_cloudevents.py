"""Events as CloudEvents 1.0: the golden file, and what hostile values become."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends.cloudevents import encode, encode_batch, rfc3339, source_of
from sojourn.core.events import RESERVED_NAMES, Event, Scalar
from sojourn.testing.backend_contract import hostile_events, sample_events

GOLDEN = Path(__file__).with_name("golden") / "cloudevents.json"


def event_with(attributes: dict[str, Scalar]) -> Event:
    return msgspec.structs.replace(sample_events()[0], attributes=attributes)


def test_the_golden_file_has_every_name() -> None:
    assert {document["type"] for document in json.loads(GOLDEN.read_bytes())} >= RESERVED_NAMES


@pytest.mark.parametrize("number", range(len(sample_events())), ids=[event.name for event in sample_events()])
def test_an_event_is_the_golden_cloud_event(number: int) -> None:
    assert json.loads(encode(sample_events()[number])) == json.loads(GOLDEN.read_bytes())[number]


def test_a_batch_is_the_golden_file() -> None:
    assert json.loads(encode_batch(sample_events())) == json.loads(GOLDEN.read_bytes())


def test_an_empty_batch_is_an_empty_array() -> None:
    assert encode_batch([]) == b"[]"


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        pytest.param(0, "1970-01-01T00:00:00.000Z", id="epoch"),
        pytest.param(1_769_860_800_007, "2026-01-31T12:00:00.007Z", id="milliseconds"),
        pytest.param(1_769_860_800_120, "2026-01-31T12:00:00.120Z", id="trailing zeros stay"),
        pytest.param(-1, "1970-01-01T00:00:00.000Z", id="before the epoch"),
        pytest.param(10**18, "9999-12-31T23:59:59.999Z", id="nanoseconds by mistake"),
    ],
)
def test_time_is_rfc_3339_in_utc(time_ms: int, text: str) -> None:
    assert rfc3339(time_ms) == text


@pytest.mark.parametrize(
    ("service", "source"),
    [
        pytest.param(None, "/sojourn", id="no service"),
        pytest.param("", "/sojourn", id="empty"),
        pytest.param("shop", "/sojourn/shop", id="plain"),
        pytest.param("my shop/eu?x#y", "/sojourn/my%20shop%2Feu%3Fx%23y", id="reserved characters"),
        pytest.param("caffè", "/sojourn/caff%C3%A8", id="not ascii"),
        pytest.param("\ud83d", "/sojourn/%3F", id="lone surrogate"),
        pytest.param("a%b", "/sojourn/a%25b", id="percent"),
    ],
)
def test_source_is_the_service_as_a_uri_reference(service: str | None, source: str) -> None:
    assert source_of(event_with({} if service is None else {"service.name": service})) == source


def test_source_argument_wins() -> None:
    assert json.loads(encode(sample_events()[0], "/elsewhere"))["source"] == "/elsewhere"


def test_an_event_without_a_session_has_no_subject() -> None:
    document = json.loads(encode(msgspec.structs.replace(sample_events()[0], session_id="")))
    assert "subject" not in document


def test_a_lone_surrogate_is_replaced_and_its_neighbours_stay() -> None:
    data = json.loads(encode(event_with({"a": "half \ud83d!", "é": "whole", "n": 7, "b": True})))["data"]
    assert data == {"a": "half \ufffd!", "é": "whole", "n": 7, "b": True}


def test_one_hostile_event_leaves_the_rest_of_its_batch_intact() -> None:
    good = sample_events()
    documents = json.loads(encode_batch([good[0], *hostile_events(), good[1]]))
    assert [documents[0], documents[-1]] == json.loads(GOLDEN.read_bytes())[:2]


scalars = st.one_of(
    st.text(st.characters(exclude_categories=())),
    st.integers(),
    st.floats(),
    st.booleans(),
)


@given(attributes=st.dictionaries(st.text(st.characters(exclude_categories=()), max_size=20), scalars, max_size=8))
def test_any_attributes_become_one_line_of_json(attributes: dict[str, Scalar]) -> None:
    line = encode(event_with(attributes))
    assert b"\n" not in line
    assert json.loads(line)["specversion"] == "1.0"
