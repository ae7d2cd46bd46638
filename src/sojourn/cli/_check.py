"""`sojourn check`: a marked test session to every configured backend, and what arrived, or what to mend."""

from __future__ import annotations

import argparse
import json
import logging
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from . import _stores

if TYPE_CHECKING:
    from sojourn.backends import Backend
    from sojourn.backends.checking import CheckResult
    from sojourn.settings import Settings


def add_commands(commands: Any) -> None:
    """Add it to the subparsers of the command line."""
    check = commands.add_parser(
        "check",
        help="send a test session to every configured backend, and say what to mend",
        description="Send a session of three events (start, page view, end), marked sojourn.check, to each backend: "
        "those of an app, those named here, or those of SOJOURN_BACKENDS. Nothing is stored. The exit code is 1 if any "
        "of them did not take it.",
    )
    which = check.add_mutually_exclusive_group()
    which.add_argument("--app", metavar="MODULE:APP", help="the app whose backends they are, such as shop.main:app")
    which.add_argument(
        "--backend", action="append", metavar="URL", help="a backend, as in SOJOURN_BACKENDS; may be repeated"
    )
    check.add_argument("--json", action="store_true", help="print one JSON document")
    check.set_defaults(command=_check)


def _check(arguments: argparse.Namespace) -> int:
    from sojourn.backends.checking import MARK, CheckResult, check_events, checked
    from sojourn.core.clock import SystemClock

    logging.getLogger("sojourn").addHandler(logging.NullHandler())  # what it would say, the table says
    settings = None if arguments.backend else _settings(arguments.app)
    given: list[Any] = list(arguments.backend or (settings.backends if settings else ()))
    if not given:
        raise SojournError(
            "no backend is configured; name one with --backend URL, in SOJOURN_BACKENDS, or in the app's settings"
        )
    service = None if settings is None else settings.service_name
    session = check_events(SystemClock.now(), os.urandom(16), service=service)
    outcomes: list[CheckResult] = []
    if not arguments.json:
        print(f"session {session[0].session_id}, visitor {session[0].visitor_id}, marked {MARK}", flush=True)
    for backend in _built(given):
        if isinstance(backend, CheckResult):
            outcome = backend
        else:
            try:
                outcome = checked(backend, session)
            finally:
                backend.close()
        outcomes.append(outcome)
        if not arguments.json:
            print(_told(outcome), flush=True)
    if arguments.json:
        told = [asdict(outcome) | {"ok": outcome.is_well} for outcome in outcomes]
        print(json.dumps({"session_id": session[0].session_id, "backends": told}, indent=2))
    return 0 if all(outcome.is_well for outcome in outcomes) else 1


def _settings(app: str | None) -> Settings:
    from sojourn.settings import Settings

    if app is not None:
        return _stores.settings_of_app(app)
    # Switched off, they need no secret key and no folder; nothing but the backends is looked at.
    return Settings.from_env({**os.environ, "SOJOURN_ENABLED": "0"})


def _built(given: list[Any]) -> list[Backend | CheckResult]:
    """Each as a backend, or as what is wrong with its URL: one that is misspelt does not hide the others' results."""
    from sojourn.backends.checking import CheckResult
    from sojourn.backends.urls import backend_from_url, check_unique_names

    built: list[Backend | CheckResult] = []
    for number, item in enumerate(given, 1):
        try:
            built.append(backend_from_url(item) if isinstance(item, str) else item)
        except SojournError as error:
            problem = str(error)
            built.append(
                CheckResult(name=f"#{number}", kind="", address=None, sent=0, taken=0, took_ms=0, problem=problem)
            )
    check_unique_names(backend for backend in built if not isinstance(backend, CheckResult))
    return built


def _told(outcome: CheckResult) -> str:
    status = "ok" if outcome.is_well else "failed"
    where = f" by {outcome.address}" if outcome.address else ""
    what = outcome.problem or f"{outcome.taken} of {outcome.sent} events taken in {outcome.took_ms} ms{where}"
    lines = [f"{outcome.name:<14} {status:<8} {what}"]
    lines += [f"{'':<14} {'warning':<8} {warning}" for warning in outcome.warnings]
    return "\n".join(lines)
