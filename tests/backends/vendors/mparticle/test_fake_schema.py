"""The fake mParticle accepts and refuses what the published schema does."""

from __future__ import annotations

import pytest

from sojourn.testing.vendors import FakeMParticle
from tests.backends.vendors.mparticle.calls import (
    CUSTOM,
    END,
    GOOD,
    OPT_OUT,
    START,
    UUID,
    Change,
    beside,
    call,
    changed,
    crash,
    inside,
    message,
    top,
    without,
)

OTHER_TYPES = (
    "first_run",
    "pre_attribution",
    "push_registration",
    "application_state_transition",
    "push_message",
    "network_performance",
    "breadcrumb",
    "profile",
    "push_reaction",
    "commerce_event",
    "user_attribute_change",
    "user_identity_change",
    "uninstall",
)


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(without(END, "session_duration_ms"), id="end without its duration"),
        pytest.param(inside(END, session_duration_ms=1.5), id="duration with a fraction"),
        pytest.param(inside(END, session_duration_ms=True), id="duration is a flag"),
        pytest.param(inside(START, session_uuid="5F0C6C1E"), id="session is no UUID"),
        pytest.param(inside(START, timestamp_unixtime_ms="now"), id="time is a text"),
        pytest.param(inside(START, source_message_id=7), id="message id is a number"),
        pytest.param(top(user_identities={"customer_id": ["u"]}), id="a list of ids"),
        pytest.param(top(heartbeat=1), id="unknown key of a batch"),
        pytest.param(top(mp_deviceid="x"), id="device is no UUID"),
        pytest.param(top(mpid="7"), id="mpid is a text"),
        pytest.param(top(ip="localhost"), id="ip is none"),
        pytest.param(top(environment="test"), id="environment is unknown"),
        pytest.param(top(user_attributes={"a": {"b": 1}}), id="user attribute is an object"),
        pytest.param(top(user_attributes={"a": "x" * 4_097}), id="user attribute is too long"),
        pytest.param(top(user_attributes={f"a{n}": 1 for n in range(101)}), id="101 user attributes"),
        pytest.param(top(device_info={"platform": "Web"}), id="platform is unknown"),
        pytest.param(top(application_info={"name": "shop"}), id="unknown key of the application"),
        pytest.param(top(events={}), id="events is no list"),
        pytest.param(inside(CUSTOM, custom_attributes={"a": {"b": 1}}), id="attribute is an object"),
        pytest.param(inside(CUSTOM, custom_attributes={"a": [1]}), id="attribute is a list"),
        pytest.param(inside(CUSTOM, custom_attributes={"a": "x" * 4_097}), id="attribute is too long"),
        pytest.param(without(CUSTOM, "event_name"), id="custom event without a name"),
        pytest.param(without(CUSTOM, "custom_event_type"), id="custom event without a type"),
        pytest.param(inside(CUSTOM, custom_event_type="heartbeat"), id="custom event of an unknown type"),
        pytest.param(beside(CUSTOM, timestamp=1), id="key beside the data of a custom event"),
        pytest.param(beside(CUSTOM, event_type="heartbeat"), id="unknown type of event"),
        pytest.param(lambda batch: batch["events"][0].pop("data"), id="event without data"),
        pytest.param(lambda batch: batch["events"][0].pop("event_type"), id="event without a type"),
        pytest.param(beside(CUSTOM, event_type="screen_view"), id="screen without a name"),
        pytest.param(crash(severity="error"), id="crash without a message"),
        pytest.param(crash(message="x"), id="crash without a severity"),
        pytest.param(without(OPT_OUT, "is_opted_out"), id="opt-out that does not say which"),
    ],
)
def test_schema_refuses_invalid_batches(change: Change) -> None:
    fake = FakeMParticle()
    reply = call(fake, changed(change))
    assert reply.status == 400
    assert message(reply)
    assert (fake.events(), fake.users()) == ([], {})


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(inside(CUSTOM, session_uuid=UUID.lower()), id="lower case"),
        pytest.param(without(START, "timestamp_unixtime_ms"), id="no time"),
        pytest.param(top(events=[]), id="no events"),
        pytest.param(top(events=None), id="events are null"),
        pytest.param(top(user_identities={"customer_id": 7}), id="id is a number"),
        pytest.param(top(user_identities={"customer_id": None}), id="id is null"),
        pytest.param(
            top(user_attributes={"a": 1, "b": True, "c": None, "d": ["x", 1]}), id="user attributes of all kinds"
        ),
        pytest.param(top(user_attributes=None), id="user attributes are null"),
        pytest.param(
            inside(CUSTOM, custom_attributes={"a": 1, "b": 1.5, "c": True, "d": None}), id="attributes of all kinds"
        ),
        pytest.param(inside(CUSTOM, anything={"x": [1]}), id="unknown key of the data"),
        pytest.param(inside(END, session_duration_ms=-1), id="negative duration"),
        pytest.param(top(schema_version=2), id="the quick start's version"),
        pytest.param(top(ip="2001:db8::1"), id="v6"),
        pytest.param(top(mpid=-(2**63)), id="mpid"),
        pytest.param(crash(severity="error", message="x"), id="crash"),
        *(pytest.param(beside(CUSTOM, event_type=kind), id=kind) for kind in OTHER_TYPES),
    ],
)
def test_schema_accepts_valid_batches(change: Change) -> None:
    assert call(FakeMParticle(), changed(change)).status == 202


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(
            lambda batch: batch.pop("environment"),
            'Required event field "environment" is missing or empty.',
            id="no environment",
        ),
        pytest.param(
            without(START, "session_id"), 'Required event field "session_id" is missing or empty.', id="no number"
        ),
        pytest.param(
            top(user_identities={"customerid": "anna"}),
            "Object contains unknown field `customerid` - at `$.user_identities`",
            id="the libraries' name of the user",
        ),
        pytest.param(inside(END, session_id=7), "session_id is not that of its session_uuid.", id="another number"),
    ],
)
def test_strict_mode_requires_more(change: Change, says: str) -> None:
    reply = call(FakeMParticle(is_strict=True), changed(change))
    assert (reply.status, message(reply)) == (400, says)
    assert call(FakeMParticle(), changed(change)).status == 202


def test_batch_needs_a_user_or_device() -> None:
    batch = {name: value for name, value in GOOD.items() if name not in ("mp_deviceid", "user_identities")}
    assert call(FakeMParticle(), batch).status == 400
