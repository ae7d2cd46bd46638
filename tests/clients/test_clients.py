"""The vendors' own libraries, in their own environments, against the fakes: each call is taken, and read as it is meant.

`scripts/clients` installs the libraries and runs this; so does CI.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sojourn.testing.vendors import (
    FakeAmplitude,
    FakeExceptionless,
    FakeMParticle,
    FakeOpenTelemetry,
    FakePostHog,
    FakeRudderStack,
    FakeSegment,
    FakeVendor,
)

HERE = Path(__file__).parent
PLACE = Path(os.environ.get("SOJOURN_CLIENTS", HERE / "not installed"))
SESSION = "019c13ec-9e00-7000-8000-000000000000"

pytestmark = pytest.mark.skipif("SOJOURN_CLIENTS" not in os.environ, reason="scripts/clients installs the libraries")


def in_python(script: str, fake: FakeVendor) -> None:
    run(fake, PLACE / "python" / "bin" / "python", HERE / "python" / f"{script}.py")


def in_node(script: str, fake: FakeVendor) -> None:
    if not (PLACE / "node").is_dir():
        pytest.skip("NOT TESTED: this machine lacks Node 20.6 or newer with npm")
    run(fake, Path("node"), PLACE / "node" / f"{script}.mjs")


def run(fake: FakeVendor, runtime: Path, script: Path) -> None:
    """Run a script to its end, in a folder for what it leaves behind; every call that it made was taken."""
    with fake.serve(), TemporaryDirectory() as folder:
        done = subprocess.run(
            [str(runtime), str(script), str(fake.address)],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert fake.requests
    assert [(request.path, request.status) for request in fake.requests if request.status >= 300] == []


def names(fake: FakeVendor) -> list[str]:
    return [event.name for event in fake.events()]


@pytest.mark.parametrize(
    ("run_in", "script", "login"),
    [
        pytest.param(in_python, "posthog_client", "$set", id="Python"),
        pytest.param(in_node, "posthog", "$identify", id="Node"),
    ],
)
def test_posthog(run_in: Callable[[str, FakeVendor], None], script: str, login: str) -> None:
    fake = FakePostHog()
    run_in(script, fake)
    assert names(fake)[:3] == ["seen", "$create_alias", login]
    assert {"bought", "$exception"} <= set(names(fake))
    assert fake.people.user_of("visitor-1") == fake.people.user_of("anna") == "anna"
    assert fake.people.profile("anna") == {"plan": "team"}
    assert fake.warnings == []
    assert {event.session_id for event in fake.events() if event.name == "bought"} == {SESSION}


@pytest.mark.parametrize(
    ("run_in", "script"),
    [pytest.param(in_python, "rudderstack_client", id="Python"), pytest.param(in_node, "rudderstack", id="Node")],
)
def test_rudderstack(run_in: Callable[[str, FakeVendor], None], script: str) -> None:
    fake = FakeRudderStack()
    run_in(script, fake)
    assert sorted(names(fake)) == ["alias", "bought", "group", "identify", "page", "screen", "seen"]
    assert fake.users() == {"anna": {"plan": "team"}}
    assert [event.visitor_id for event in fake.events() if event.name == "seen"] == ["visitor-1"]
    assert {event.session_id for event in fake.events() if event.name == "bought"} == {"1769860800000"}


@pytest.mark.parametrize(
    ("run_in", "script"),
    [pytest.param(in_python, "segment_client", id="Python"), pytest.param(in_node, "segment", id="Node")],
)
def test_segment(run_in: Callable[[str, FakeVendor], None], script: str) -> None:
    fake = FakeSegment()
    run_in(script, fake)
    assert sorted(names(fake)) == ["alias", "bought", "group", "identify", "page", "screen", "seen"]
    assert fake.discarded == []
    assert fake.users() == {"anna": {"plan": "team"}}
    assert [event.visitor_id for event in fake.events() if event.name == "seen"] == ["visitor-1"]
    assert {event.session_id for event in fake.events() if event.name == "bought"} == {"1769860800000"}


@pytest.mark.parametrize(
    ("run_in", "script"),
    [pytest.param(in_python, "mparticle_client", id="Python"), pytest.param(in_node, "mparticle", id="Node")],
)
def test_mparticle(run_in: Callable[[str, FakeVendor], None], script: str) -> None:
    fake = FakeMParticle()
    run_in(script, fake)
    assert "bought" in names(fake)
    assert fake.users() == {"anna": {"plan": "team"}}
    if run_in is in_python:
        assert [session.duration_ms for session in fake.sessions()] == [5_000]


@pytest.mark.parametrize(
    ("run_in", "script"),
    [pytest.param(in_python, "amplitude_client", id="Python"), pytest.param(in_node, "amplitude", id="Node")],
)
def test_amplitude(run_in: Callable[[str, FakeVendor], None], script: str) -> None:
    fake = FakeAmplitude()
    run_in(script, fake)
    assert sorted(names(fake)) == ["$groupidentify", "$identify", "bought", "revenue_amount", "seen"]
    assert fake.users() == {"anna": {"plan": "team"}}
    assert [session.session_id for session in fake.sessions()] == ["1769860800000"]
    assert fake.user_of(next(event for event in fake.events() if event.name == "seen")) == "anna"


def test_exceptionless() -> None:
    fake = FakeExceptionless()
    in_node("exceptionless", fake)
    assert set(names(fake)) == {"session", "usage", "error", "log", "404"}
    (session,) = fake.sessions()
    assert session.user_id == "anna"


@pytest.mark.parametrize(
    ("run_in", "script"),
    [pytest.param(in_python, "otel_client", id="Python"), pytest.param(in_node, "otel", id="Node")],
)
def test_opentelemetry_in_both_encodings(run_in: Callable[[str, FakeVendor], None], script: str) -> None:
    fake = FakeOpenTelemetry()
    run_in(script, fake)
    binary, text = fake.events()
    assert (binary.name, text.name) == ("bought.protobuf", "bought.json")
    assert binary.attributes == text.attributes
    assert (binary.at, binary.session_id) == (text.at, text.session_id) == (1_769_860_800_000, "s-1")
    assert {
        "price": 3.5,
        "raw": "AAE=",
        "tags": "a, b",
        "nested": '{"a": "{\\"b\\": 1}"}',
    }.items() <= binary.attributes.items()
