"""`sojourn doctor`: find what stands between an installation and its figures."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from . import _choosing, _stores
from ._output import Paint, printable
from ._parser import Commands

if TYPE_CHECKING:
    from sojourn.health.first_run import Check
    from sojourn.settings import Settings
    from sojourn.stores import Store

_SIGNS = {"good": "ok", "bad": "wrong", "note": "-", "unknown": "?"}
_PAINTS = {"good": "good", "bad": "bad", "note": "quiet", "unknown": "odd"}
_PROBE = "doctor"
"""A lease that no process needs: taking it shows that the store can be written to."""


def add_commands(commands: Commands) -> None:
    """Add the command."""
    doctor = commands.add_parser(
        "doctor",
        description="Check the settings, the store, the journal, the proxies and the backends, and show why the last request "
        "began no session. Creates nothing. The exit code is 1 if something is wrong.",
    )
    where = doctor.add_mutually_exclusive_group()
    where.add_argument("--app", metavar="MODULE:APP", help="check this app, such as shop.main:app; it is imported")
    where.add_argument("--store", metavar="URL", help="check this store alone")
    doctor.add_argument("--json", action="store_true", help="print one JSON document")
    doctor.set_defaults(command=_doctor)


def _doctor(arguments: argparse.Namespace) -> int:
    checks = list(_checks(arguments))
    is_wrong = any(check.state == "bad" for check in checks)
    if arguments.json:
        print(json.dumps({"is_well": not is_wrong, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        print("\n".join(_lines(checks, Paint.on(sys.stdout))))
    return 1 if is_wrong else 0


def _lines(checks: Sequence[Check], paint: Paint) -> Iterator[str]:
    width = max(len(check.name) for check in checks)
    for check in checks:
        sign = paint(f"{_SIGNS[check.state]:<6}", _PAINTS[check.state])
        yield f"{sign} {check.name:<{width}}  {printable(check.text)}"
        if check.fix:
            yield f"{'':<6} {'':<{width}}  {paint(printable(check.fix), 'quiet')}"


def _checks(arguments: argparse.Namespace) -> Iterator[Check]:
    from sojourn.health.first_run import Check, State

    settings: Settings | None = None
    if arguments.store is None:
        try:
            choice = _choosing.choice_of(arguments) or _choosing.Choice()
            settings = choice.settings_or_environment()
        except SojournError as error:
            yield Check(name="Settings", state=State.BAD, text=str(error), fix="see docs/settings.md")
            return
        origin = "the environment (no --app)"
        if choice.is_of_app:
            origin = arguments.app or choice.origin or "this project"
        yield Check(name="Settings", state=State.GOOD, text=f"read from {origin}")
        yield from _of_settings(settings, is_of_app=choice.is_of_app)
    yield from _of_store(settings, arguments.store)


def _of_settings(settings: Settings, *, is_of_app: bool) -> Iterator[Check]:
    from sojourn.health.first_run import Check, State

    if not settings.enabled:
        fix = "remove enabled=False or SOJOURN_ENABLED=0"
        yield Check(name="Enabled", state=State.BAD, text="Sojourn is disabled: nothing is recorded", fix=fix)
    has_key = bool(settings.secret_key) and (is_of_app or bool(os.environ.get("SOJOURN_SECRET_KEY")))
    if has_key:
        yield Check(name="Secret key", state=State.GOOD, text="set; every process of every host needs the same one")
    else:
        fix = "take the line of `sojourn secret`"
        yield Check(name="Secret key", state=State.BAD, text="not set in this environment", fix=fix)
    yield _of_journals(settings.journal_folder)
    proxies = ", ".join(map(str, settings.trusted_proxies))
    yield Check(
        name="Proxies",
        state=State.NOTE,
        text=f"{proxies} may name the client" if proxies else "none is trusted: X-Forwarded-* headers are not read",
        fix=""
        if proxies
        else "behind a proxy set trusted_proxies, or all visitors share its address and https is not seen",
    )
    if not settings.automatic:
        fix = "call start_session(), or remove the setting"
        yield Check(name="Starts", state=State.NOTE, text="automatic=False: only start_session() begins one", fix=fix)
    if settings.consent_required or settings.consent is not None:
        text = "nothing is recorded of a visitor before the consent"
        yield Check(name="Consent", state=State.NOTE, text=text)
    names = ", ".join(_name(backend) for backend in settings.backends)
    yield Check(
        name="Backends",
        state=State.NOTE,
        text=names or "none: events stay in this store",
        fix="`sojourn check` sends each a test session" if names else "",
    )


def _of_journals(folder: Path | None) -> Check:
    from sojourn.health.first_run import Check, State

    name = "Journal"
    if folder is None:
        return Check(
            name=name, state=State.NOTE, text="kept in memory: a process that is killed loses its last records"
        )
    there = next(each for each in (folder, *folder.parents) if each.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        fix = "let the user of the app write there, or set journal_dir"
        return Check(name=name, state=State.BAD, text=f"{there} is not writable for this user", fix=fix)
    text = f"{folder} is writable" if there == folder else f"{folder} is not there yet, and can be made"
    return Check(name=name, state=State.GOOD, text=text)


def _of_store(settings: Settings | None, url: str | None) -> Iterator[Check]:
    from sojourn.health.checks import Limits, problems
    from sojourn.health.first_run import Check, State, first_run
    from sojourn.health.hints import hints
    from sojourn.health.snapshot import snapshot
    from sojourn.stores import open_store

    name = "Store"
    url_or_store: Any = url if settings is None else settings.store
    try:
        made = open_store(url_or_store) if isinstance(url_or_store, str) else url_or_store
        store: Store = made.recreate()
        if not store.exists():
            fix = "start the app and open a page; or name the right store"
            yield Check(name=name, state=State.BAD, text=f"there is none at {store.name} yet", fix=fix)
            return
        try:
            yield from _of_writing(store)
            health = snapshot(store, _stores.journals_of(settings, url))
        finally:
            store.close()
    except SojournError as error:
        yield Check(name=name, state=State.BAD, text=str(error), fix="correct the address, or the rights of this user")
        return
    yield from first_run(health)
    found = problems(health, Limits(lag=10 * 60_000))
    for problem in found:
        yield Check(name="Delivery", state=State.BAD, text=problem.text, fix="see `sojourn status`")
    if not found:
        yield Check(name="Delivery", state=State.GOOD, text="records and events are accounted for, and none is late")
    for hint in hints(health):
        yield Check(name="Hint", state=State.NOTE, text=hint)


def _of_writing(store: Store) -> Iterator[Check]:
    from sojourn.core.clock import SystemClock
    from sojourn.health.first_run import Check, State

    store.open()
    now = SystemClock.now()
    holder = f"{_PROBE}/{os.getpid()}"
    try:
        store.leases.acquire(_PROBE, holder, now=now, until=now + 1)
        store.leases.release(holder)
    except SojournError as error:
        fix = "give this user the right to write, or run doctor as the user of the app"
        yield Check(name="Store", state=State.BAD, text=f"{store.name} cannot be written to: {error}", fix=fix)
        return
    yield Check(name="Store", state=State.GOOD, text=f"{store.name} can be read and written")


def _name(backend: object) -> str:
    from sojourn.backends.urls import backend_from_url

    if not isinstance(backend, str):
        return str(getattr(backend, "name", type(backend).__name__))
    made = backend_from_url(backend)
    try:
        return made.name
    finally:
        made.close()
