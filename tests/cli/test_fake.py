"""`sojourn fake`: a fake vendor endpoint as a process, which prints its URL, the events and at the end the sessions."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sojourn import cli
from sojourn.backends import backend_from_url
from sojourn.testing.backend_contract import hostile_events, sample_events
from sojourn.testing.vendors import FAKES
from tests.backends.vendors.connected import logged_events

SCRIPT = "import sys; from sojourn.cli import main; sys.exit(main(sys.argv[1:]))"


def in_a_shell(line: str) -> str:
    """The value of the setting after the line was pasted into a shell."""
    script = f'{line}\nprintf %s "$SOJOURN_BACKENDS"'
    return subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start the process; yield it and the URL that it prints for SOJOURN_BACKENDS."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, "fake", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = ""
            while not url and (line := process.stdout.readline()):
                if "SOJOURN_BACKENDS=" in line:
                    url = in_a_shell(line.strip())
            yield process, url
        finally:
            process.kill()


@pytest.mark.slow
def test_printed_setting_with_options_can_be_pasted_into_a_shell() -> None:
    with running("matomo") as (_, url):
        assert url.endswith(":4")
        assert backend_from_url(url).name == "matomo"


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["dynatrace", "otel"])
def test_fake_accepts_and_prints_events(vendor: str) -> None:
    with running(vendor) as (process, url):
        backend = backend_from_url(url)
        assert backend.send(sample_events()).delivered == len(sample_events())
        assert backend.send(sample_events()).delivered == len(sample_events())
        assert backend.send(hostile_events()).delivered == len(hostile_events())
        backend.close()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = (
            process.stdout.read(),
            process.stderr.read(),
        )  # not communicate(): it loses what readline() has buffered
    lines = out.splitlines()
    assert "session.start" in lines[1]
    assert "anna" in out
    assert "session.end_reason=idle_timeout" in out
    assert (
        f"1 sessions, {len(sample_events()) + len(hostile_events())} events, {len(sample_events())} duplicates" in out
    )
    assert lines[-1].split()[1:] == ["anna", "95.25", "s", f"{len(sample_events()) + len(hostile_events())}", "events"]
    assert all(line.isprintable() for line in lines)
    assert err == ""


@pytest.mark.slow
@pytest.mark.parametrize("vendor", sorted(FAKES))
def test_every_vendor_is_served_and_shows_its_session(vendor: str) -> None:
    with running(vendor) as (process, url):
        backend = backend_from_url(url)
        batch = [event for event in logged_events() if backend.accepts(event)]
        assert backend.send(batch).delivered == len(batch)
        backend.close()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        lines = process.stdout.read().splitlines()
    assert any(line.startswith("1 sessions, ") for line in lines)
    assert lines[-1].split()[1:4] == ["anna", "95.25", "s"]


def test_help_lists_every_vendor(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["fake", "--help"])
    assert ", ".join(sorted(FAKES)) in " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_fake_fails_at_the_requested_rate() -> None:
    with running("dynatrace", "--fail", "1") as (_, url):
        backend = backend_from_url(url)
        assert backend.send(sample_events()).delivered == 0
        backend.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["acme"], 1, "there is no fake 'acme'; there are ", id="unknown vendor"),
        pytest.param(["otel", "--port", "99999"], 1, "port 99999 cannot be used", id="no such port"),
        pytest.param(["otel", "--fail", "2"], 2, "a number from 0 to 1", id="no rate"),
        pytest.param(["otel", "--delay", "soon"], 2, "a number of seconds", id="no delay"),
    ],
)
def test_invalid_arguments_are_errors_with_the_fix(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert cli.main(["fake", *arguments]) == code
    except SystemExit as exited:
        assert exited.code == code  # noqa: PT017 - argparse exits that way
    assert says in capsys.readouterr().err
