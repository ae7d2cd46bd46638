"""`sojourn import`: sessions of the time before Sojourn, out of access logs."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from sojourn.errors import SojournError

from . import _session_filters, _stores
from ._output import printable
from ._parser import Commands
from ._progress import Bar
from ._rollups import roll_up

if TYPE_CHECKING:
    from sojourn.importing.files import LogFiles, Reading
    from sojourn.importing.importer import Imported, Span
    from sojourn.settings import Settings

_LONGEST_EXAMPLE: Final = 120
_REASONS: Final = {
    "imported_before": "imported before",
    "recorded_since": "from the time since Sojourn itself records; name another border with --until",
    "before_since": "from before --since",
    "after_until": "from after --until",
    "too_old": "older than `retention` keeps sessions",
    "in_the_future": "from the future",
    "asset": "scripts, styles, pictures and fonts",
    "excluded": "of excluded paths",
    "own_address": "of excluded addresses",
    "crawler": "of crawlers",
    "monitor": "of monitors",
    "link_preview": "of link previews",
    "probe": "of probes",
    "http_client": "of HTTP clients",
    "headless": "of headless browsers",
    "not_a_navigation": "of scripts, without a session",
    "passive": "of polls, without a session",
    "method": "that open no page (HEAD, OPTIONS ...), without a session",
    "failed_response": "that failed (400 and more), without a session",
    "undeliverable": "not modified (304), without a session",
    "not_http": "no HTTP requests",
}
"""What is said of lines that are part of no session, by why."""


def add_commands(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "import",
        parents=[_stores.options()],
        description="Read access logs in the common or combined format (Apache, nginx, gunicorn), and make sessions of them by "
        "your settings. They are marked as imported, and never sent to a backend. Lines that were imported before are left "
        "out, so a log can be imported again when it has grown. Name the logs of several servers together: they are read "
        "in the order of time.",
    )
    parser.add_argument("logs", nargs="+", metavar="FILE", help="a log, also gzipped; - for standard input")
    parser.add_argument(
        "--format",
        metavar="LOG_FORMAT",
        help="the text of nginx's log_format, such as '$remote_addr [$time_local] \"$request\" $status' "
        "(default: common or combined)",
    )
    parser.add_argument(
        "--host",
        metavar="NAME",
        default="",
        help="the site's own host, such as www.shop.example, where the log does not have it: pages of it are no referrers",
    )
    parser.add_argument(
        "--create",
        action="store_true",
        help="make the store if there is none: to look at logs before Sojourn is in an app",
    )
    parser.add_argument("--dry-run", action="store_true", help="read the logs and show what would be imported")
    _session_filters.span_options(parser)
    parser.set_defaults(command=_import)


def _import(arguments: argparse.Namespace) -> int:
    from sojourn.importing.files import LogFiles
    from sojourn.importing.formats import LogFormat
    from sojourn.importing.importer import Importer, span_of

    log_format = LogFormat(arguments.format)
    source = _source(arguments)
    settings = source.settings_or_environment()
    if settings.consent_required:
        raise SojournError("import: consent_required is set, and no log shows who has consented")
    with LogFiles(arguments.logs, log_format) as files, source.opened() as store:
        now = _stores.now_of(store)
        asked = _session_filters.span_of(arguments, now)
        first = store.imports.first_recorded()
        span = span_of(
            settings,
            now=now,
            since=asked.since if asked is not None and arguments.since is not None else None,
            until=asked.until if asked is not None and arguments.until is not None else None,
            first_recorded=first,
        )
        if first is not None and span.until > first:
            print(
                f"sojourn: Sojourn itself has recorded since {_day(first)}; visits of both are there twice then",
                file=sys.stderr,
            )
        importer = Importer(store, settings, span, host=arguments.host, is_dry=arguments.dry_run)
        began = time.monotonic()
        try:
            with Bar(sys.stderr) as bar:
                for _ in importer.run(files.lines()):
                    bar.show("bytes", files.position(), files.size, note=f"; {importer.done.sessions:,} sessions")
                if importer.done.requests and not arguments.dry_run:
                    roll_up(store, now, bar)
        finally:
            _report(files, importer.done, span, time.monotonic() - began, is_dry=arguments.dry_run)
        _hint(settings, arguments, importer.done)
    return 1 if files.reading.lines and files.reading.bad == files.reading.lines else 0


def _source(arguments: argparse.Namespace) -> _stores.StoreSource:
    """The store. One that is to be made stays in memory in a dry run."""
    from sojourn.stores import open_store

    source = _stores.source_of(arguments, creates=arguments.create)
    if arguments.create and arguments.dry_run and not source.make().exists():
        return replace(source, make=lambda: open_store("memory:"))
    return source


def _report(files: LogFiles, done: Imported, span: Span, spent: float, *, is_dry: bool) -> None:
    reading = files.reading
    rate = f", {reading.lines / spent:,.0f} lines/s" if spent > 1 else ""
    print(f"{reading.lines:,} lines read in {spent:.1f} s{rate}")
    for reason, count in done.left_out.most_common():
        print(f"  {count:,} left out: {_REASONS.get(reason, reason)}{_border(reason, span)}")
    _report_bad(reading)
    verb = "would be imported" if is_dry else "imported"
    times = f", from {_day(done.first_at)} to {_day(done.last_at)}" if done.first_at and done.last_at else ""
    print(f"{verb}: {done.sessions:,} sessions, {done.page_views:,} page views, {done.requests:,} requests{times}")


def _border(reason: str, span: Span) -> str:
    if reason == "recorded_since":
        return f" ({_day(span.until)})"
    return f" ({_day(span.since)})" if reason == "too_old" else ""


def _report_bad(reading: Reading) -> None:
    if not reading.bad:
        return
    print(f"  {reading.bad:,} not read: not of this format; the first:")
    for example in reading.examples:
        print(f"    {printable(example.file)}, line {example.number:,}: {printable(example.text[:_LONGEST_EXAMPLE])}")
    if reading.bad == reading.lines:
        print(
            "  name the format with --format, as in nginx's log_format; a line needs address, time, request and status"
        )


def _hint(settings: Settings, arguments: argparse.Namespace, done: Imported) -> None:
    has_host = arguments.host or settings.own_hosts or settings.cookie_domain
    if done.sessions and not has_host and "host" not in (arguments.format or ""):
        print(
            "sojourn: the log does not have the site's host, so pages of it may count as referrers; name it with --host",
            file=sys.stderr,
        )


def _day(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"
