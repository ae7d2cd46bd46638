"""`sojourn digest`: the figures of a period, printed, mailed, or sent to a webhook."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sojourn.errors import SojournError

from . import _choosing, _stores
from ._parser import Commands
from ._status import duration

if TYPE_CHECKING:
    from sojourn.digest import Digest
    from sojourn.notices.targets import Target
    from sojourn.settings import Settings

_FORMATS = ("text", "html", "json")
_HOUR_MS = 3_600_000


def add_commands(commands: Commands) -> None:
    """Add the command."""
    digest = commands.add_parser(
        "digest",
        parents=[_stores.options()],
        description="Show the figures of a period, compared with the one before: sessions, goals, pages, sources, events, "
        "errors and alerts. With --to it is sent instead of printed: run it once a week by cron or a timer.",
    )
    digest.add_argument(
        "--since",
        type=duration,
        default=timedelta(days=7),
        metavar="DURATION",
        help="how far the period reaches back from now, in whole hours (default: 7d)",
    )
    digest.add_argument("--format", choices=_FORMATS, default="text", help="how to print it (default: text)")
    digest.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="TARGET",
        help="send it to mailto:ADDRESS, which needs the settings mail_server and mail_from, or to "
        "webhook+https://HOST/PATH?secret=SECRET; may be repeated",
    )
    digest.set_defaults(command=_digest)


def _digest(arguments: argparse.Namespace) -> int:
    source = _stores.source_of(arguments)
    targets = _targets(arguments, source)
    with source.opened() as store:
        store.open()
        now = _stores.now_of(store)
        digest = _made(store, source.settings, arguments.since, now)
    if not targets:
        sys.stdout.write(_formatted(digest, arguments.format))
        return 0
    failed = 0
    for target in targets:
        problem = target.send(_message(digest), now=now)
        failed += problem is not None
        print(f"{target.label}: {problem or 'sent'}", file=sys.stderr)
    return 1 if failed else 0


def _made(store: Any, settings: Settings | None, since: timedelta, now: int) -> Digest:
    from sojourn.digest import digest_of
    from sojourn.stores.definitions import GOAL, goals_of
    from sojourn.stores.reporting.model import Span

    until = -(-now // _HOUR_MS) * _HOUR_MS
    length = max(1, round(since.total_seconds() * 1000 / _HOUR_MS)) * _HOUR_MS
    if length > until:
        msg = "digest: --since reaches back before 1970; give a shorter time"
        raise SojournError(msg)
    goals = goals_of(store.definitions.of(GOAL), () if settings is None else settings.goals)
    service = None if settings is None else settings.service_name
    return digest_of(store, Span(until - length, until), goals, service=service)


def _targets(arguments: argparse.Namespace, source: _stores.StoreSource) -> list[Target]:
    """Read the targets before anything else, so that a mistake costs no time."""
    from sojourn.notices.targets import server_of, target_of

    if not arguments.to:
        return []
    known = source.settings or _choosing.environment(store=source.url)
    return [target_of(text, lambda: server_of(known)) for text in arguments.to]


def _formatted(digest: Digest, name: str) -> str:
    from sojourn.digest import rendering

    if name == "json":
        return json.dumps(rendering.document(digest), indent=2) + "\n"
    return rendering.html(digest) if name == "html" else rendering.text(digest)


def _message(digest: Digest) -> Any:
    from sojourn.digest import rendering
    from sojourn.notices.targets import Message

    return Message(
        subject=rendering.subject(digest),
        text=rendering.text(digest),
        html=rendering.html(digest),
        document=rendering.document(digest),
    )
