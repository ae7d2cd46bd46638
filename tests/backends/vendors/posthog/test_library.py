"""PostHog's own library sends the same keys for the same event, and the fake accepts its calls."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import posthog
import pytest

from sojourn.backends import PostHogBackend
from sojourn.testing.vendors import FakePostHog
from tests.backends.golden_files import shown
from tests.backends.vendors.connected import sample
from tests.backends.vendors.posthog.samples import ADDRESS, KEY
from tests.backends.vendors.recorded_visit import visit_events


@pytest.fixture
def library() -> Iterator[tuple[FakePostHog, posthog.Posthog]]:
    fake = FakePostHog()
    with fake.serve():
        client = posthog.Posthog(KEY, host=fake.address, sync_mode=True, gzip=True)
        yield fake, client
        client.shutdown()
        posthog.request.reset_sessions()  # closes its connections, which outlive a client


# What it knows of the machine that it runs on: a visitor's system would be ours.
_OF_THE_SERVER = {"$os", "$os_version", "$os_distro"}
# Ours alone: the browser, and that our times need no mending.
_OURS = {
    "$device_id",
    "$ignore_sent_at",
    "service.name",
    "service.version",
    "deployment.environment.name",
    "visitor.id",
}


def body_of(fake: FakePostHog) -> dict[str, Any]:
    request = fake.requests[-1]
    assert (request.status, request.path) == (200, "/batch/")
    body = gzip.decompress(request.body) if "content-encoding" in request.headers else request.body
    return dict(json.loads(body))


@pytest.mark.parametrize("name", ["cart.add", "page_view", "exception"])
def test_its_library_sends_the_same_keys(library: tuple[FakePostHog, posthog.Posthog], name: str) -> None:
    fake, client = library
    event = msgspec.structs.replace(sample(name), id=visit_events()[0].id)
    (ours_body,) = [call["body"] for call in shown(PostHogBackend(ADDRESS, KEY), [event])]
    (ours,) = ours_body["batch"]
    own = {key: value for key, value in ours["properties"].items() if not key.startswith("$")}
    own |= {
        key: ours["properties"][key]
        for key in ("$session_id", "$pathname", "$current_url")
        if key in ours["properties"]
    }
    given: dict[str, Any] = {
        "distinct_id": event.user_id,
        "properties": own,
        "timestamp": datetime.fromtimestamp(event.time / 1000, UTC),
        "uuid": ours["uuid"],
    }
    if name == "exception":
        try:
            raise LookupError
        except LookupError as error:
            client.capture_exception(error, **given)
    else:
        client.capture(ours["event"], **given)
    theirs_body = body_of(fake)
    (theirs,) = theirs_body["batch"]
    assert theirs_body.keys() == ours_body.keys()
    assert theirs.keys() == ours.keys()
    assert theirs["properties"].keys() - _OF_THE_SERVER == ours["properties"].keys() - _OURS | own.keys()
    assert (theirs["event"], theirs["uuid"]) == (ours["event"], ours["uuid"])
    if name == "exception":
        (one,), (other,) = theirs["properties"]["$exception_list"], ours["properties"]["$exception_list"]
        assert one.keys() - {"stacktrace"} == other.keys()
        assert one["mechanism"] == other["mechanism"]
    if event.user_id is None:
        assert theirs["properties"]["$process_person_profile"] is ours["properties"]["$process_person_profile"] is False
    else:
        assert theirs["distinct_id"] == ours["distinct_id"]
