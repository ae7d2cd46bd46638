"""`sojourn check`: send a marked test session to every configured backend, and show whether it arrived."""

from __future__ import annotations

import argparse
import json
import logging
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from . import _choosing
from ._parser import Commands

if TYPE_CHECKING:
    from sojourn.backends import Backend
    from sojourn.backends.checking import CheckResult
    from sojourn.settings import Settings


def add_commands(commands: Commands) -> None:
    """Add the command."""
    check = commands.add_parser(
        "check",
        description="Send a session of three events (start, page view, end), marked sojourn.check, to each backend of an app, "
        "of --backend, or of SOJOURN_BACKENDS, and show what to fix. Nothing is stored. The exit code is 1 if any backend "
        "did not accept it.",
    )
    which = check.add_mutually_exclusive_group()
    which.add_argument("--app", metavar="MODULE:APP", help="use the backends of this app, such as shop.main:app")
    which.add_argument(
        "--backend", action="append", metavar="URL", help="a backend URL, as in SOJOURN_BACKENDS; can be repeated"
    )
    check.add_argument("--json", action="store_true", help="print one JSON document")
    check.set_defaults(command=_check)


def _check(arguments: argparse.Namespace) -> int:
    from sojourn.backends.checking import MARK, CheckResult, check_backend, check_events
    from sojourn.core.clock import SystemClock

    logging.getLogger("sojourn").addHandler(logging.NullHandler())  # the table shows what it would log
    settings = None if arguments.backend else _settings(arguments.app)
    backends: list[Any] = list(arguments.backend or (settings.backends if settings else ()))
    if not backends:
        raise SojournError("no backend is configured; set --backend URL, SOJOURN_BACKENDS, or --app")
    service = None if settings is None else settings.service_name
    session = check_events(SystemClock.now(), os.urandom(16), service=service)
    outcomes: list[CheckResult] = []
    if not arguments.json:
        print(f"session {session[0].session_id}, visitor {session[0].visitor_id}, marked {MARK}", flush=True)
    for backend in _build(backends):
        if isinstance(backend, CheckResult):
            outcome = backend
        else:
            try:
                outcome = check_backend(backend, session)
            finally:
                backend.close()
        outcomes.append(outcome)
        if not arguments.json:
            print(_lines(outcome), flush=True)
    if arguments.json:
        documents = [asdict(outcome) | {"ok": outcome.is_well} for outcome in outcomes]
        print(json.dumps({"session_id": session[0].session_id, "backends": documents}, indent=2))
    return 0 if all(outcome.is_well for outcome in outcomes) else 1


def _settings(app: str | None) -> Settings:
    from sojourn.settings import Settings

    if (settings := _choosing.settings_of_app(app)) is not None:
        return settings
    if not os.environ.get("SOJOURN_BACKENDS", "").strip() and (settings := _choosing.app_in_pyproject()) is not None:
        return settings
    # Disabled settings need no secret key and no writable folder; only the backends are used.
    return Settings.from_env({**os.environ, "SOJOURN_ENABLED": "0"})


def _build(items: list[Any]) -> list[Backend | CheckResult]:
    """Build each backend, or an outcome with its error: an invalid URL must not hide the outcomes of the others."""
    from sojourn.backends.checking import CheckResult
    from sojourn.backends.urls import backend_from_url, check_unique_names

    built: list[Backend | CheckResult] = []
    for number, item in enumerate(items, 1):
        try:
            built.append(backend_from_url(item) if isinstance(item, str) else item)
        except SojournError as error:
            problem = str(error)
            built.append(
                CheckResult(name=f"#{number}", kind="", address=None, sent=0, taken=0, took_ms=0, problem=problem)
            )
    check_unique_names(backend for backend in built if not isinstance(backend, CheckResult))
    return built


def _lines(outcome: CheckResult) -> str:
    status = "ok" if outcome.is_well else "failed"
    where = f" by {outcome.address}" if outcome.address else ""
    packed = ", compressed and plain" if outcome.takes_gzip else ""
    what = (
        outcome.problem or f"{outcome.taken} of {outcome.sent} events accepted in {outcome.took_ms} ms{where}{packed}"
    )
    lines = [f"{outcome.name:<14} {status:<8} {what}"]
    lines += [f"{'':<14} {'warning':<8} {warning}" for warning in outcome.warnings]
    if outcome.remedy:
        lines += ["", outcome.remedy, ""]
    return "\n".join(lines)
