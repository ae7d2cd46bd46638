"""`sojourn fake`: a fake vendor endpoint on this host, to try a backend without an account."""

from __future__ import annotations

import argparse
import math
from pkgutil import iter_modules
from shlex import quote
from typing import TYPE_CHECKING

from sojourn.backends import vendors

from ._parser import Commands

if TYPE_CHECKING:
    from sojourn.testing.vendors import FakeVendor, VendorEvent

_NAME_COLUMN = 20
_LONGEST = 60
_SHOWN = ("session.duration_ms", "session_duration_ms", "session.end_reason", "url.path", "exception.type")


def add_commands(commands: Commands) -> None:
    """Add the command."""
    fake = commands.add_parser(
        "fake",
        description="Accept and reject events as the vendor does, and print each one. Prints the URL for SOJOURN_BACKENDS "
        "first, and at the end the sessions as the vendor would show them. Needs uvicorn.",
    )
    fake.add_argument("vendor", help=", ".join(folder.name for folder in iter_modules(vendors.__path__)))
    fake.add_argument("--port", type=int, default=0, metavar="N", help="port to listen on (default: a free one)")
    fake.add_argument(
        "--fail", type=_rate, default=0.0, metavar="RATE", help="fail this share of the requests, such as 0.2"
    )
    fake.add_argument("--delay", type=_seconds, default=0.0, metavar="SECONDS", help="delay each response")
    fake.set_defaults(command=_fake)


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        raise argparse.ArgumentTypeError(f"give a number from 0 to 1, such as 0.2; got {text!r}")
    return rate


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"give a number of seconds, such as 0.5; got {text!r}")
    return seconds


def _fake(arguments: argparse.Namespace) -> int:
    from sojourn.testing.vendors import make_fake
    from sojourn.testing.vendors.serving import serve_here

    fake = make_fake(arguments.vendor)
    fake.on_event = _say
    fake.fail(arguments.fail)
    fake.delay(arguments.delay)

    def ready(address: str) -> None:
        print(f"Fake {arguments.vendor} at {address}. Press Ctrl-C to stop. Set in your app's environment:\n")
        print(f"  SOJOURN_BACKENDS={quote(fake.url(address))}\n", flush=True)

    try:
        serve_here(fake.app, arguments.port, ready=ready)
    finally:
        print(_summary(fake), flush=True)
    return 0


def _say(event: VendorEvent) -> None:
    from sojourn.backends.cloudevents import rfc3339

    details = [f"{name}={event.attributes[name]}" for name in _SHOWN if name in event.attributes]
    columns = [
        rfc3339(event.at)[11:],
        f"{_shown(event.name):<{_NAME_COLUMN}}",
        f"{_shown(event.session_id)[-8:] or '-':<8}",
        f"{_shown(event.user_id or '-'):<12}",
        *(_shown(detail) for detail in details),
    ]
    print("  ".join(columns).rstrip(), flush=True)


def _summary(fake: FakeVendor) -> str:
    sessions = fake.sessions()
    lines = [f"\n{len(sessions)} sessions, {len(fake.events())} events, {fake.duplicates} duplicates"]
    lines += [
        f"  {_shown(session.session_id)}  {_shown(session.user_id or '-')}  "
        + ("open" if session.ended_at is None else f"{(session.duration_ms or 0) / 1000:g} s")
        + f"  {len(session.events)} events"
        for session in sessions
    ]
    return "\n".join(lines)


def _shown(text: str) -> str:
    """Replace what could control the terminal: events may contain text from any browser."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text[:_LONGEST])
