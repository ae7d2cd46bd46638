"""`sojourn fake`: a vendor's ingest as a process, which prints its URL, what arrives, and at the end the sessions."""

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

SCRIPT = "import sys; from sojourn.cli import main; sys.exit(main(sys.argv[1:]))"


@contextmanager
def running(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and the URL that it says to put into SOJOURN_BACKENDS."""
    command = [sys.executable, "-W", "error", "-c", SCRIPT, "fake", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = ""
            while not url and (line := process.stdout.readline()):
                _, _, url = line.strip().partition("SOJOURN_BACKENDS=")
            yield process, url
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("vendor", ["dynatrace", "otel"])
def test_it_takes_what_its_url_is_sent_and_prints_it(vendor: str) -> None:
    with running(vendor) as (process, url):
        backend = backend_from_url(url)
        assert backend.send(sample_events()).delivered == len(sample_events())
        assert backend.send(sample_events()).delivered == len(sample_events())
        assert backend.send(hostile_events()).delivered == len(hostile_events())
        backend.close()
        process.send_signal(signal.SIGINT)
        assert process.stdout is not None
        assert process.stderr is not None
        out, err = process.stdout.read(), process.stderr.read()  # not communicate(): it forgets what readline() took
    lines = out.splitlines()
    assert "session.start" in lines[1]
    assert "anna" in out
    assert "session.end_reason=idle_timeout" in out
    assert f"1 sessions, {len(sample_events()) + len(hostile_events())} events, {len(sample_events())} of them" in out
    assert lines[-1].split()[1:] == ["anna", "95.25", "s", f"{len(sample_events()) + len(hostile_events())}", "events"]
    assert all(line.isprintable() for line in lines)
    assert err == ""


@pytest.mark.slow
def test_it_fails_as_often_as_it_is_told_to() -> None:
    with running("dynatrace", "--fail", "1") as (_, url):
        backend = backend_from_url(url)
        assert backend.send(sample_events()).delivered == 0
        backend.close()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        pytest.param(["acme"], 1, "there is no fake 'acme'; there are dynatrace, ", id="unknown vendor"),
        pytest.param(["otel", "--port", "99999"], 1, "port 99999 cannot be used", id="no such port"),
        pytest.param(["otel", "--fail", "2"], 2, "a number from 0 to 1", id="no rate"),
        pytest.param(["otel", "--delay", "soon"], 2, "a number of seconds", id="no delay"),
    ],
)
def test_wrong_arguments_say_what_is_right(
    arguments: list[str], code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        assert cli.main(["fake", *arguments]) == code
    except SystemExit as left:
        assert left.code == code  # noqa: PT017 - argparse leaves that way
    assert says in capsys.readouterr().err
