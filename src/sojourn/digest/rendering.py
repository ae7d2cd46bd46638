"""A digest as text, as HTML that mail programs show, and as a JSON document. Pure. Visitors' text is shown, never obeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from html import escape
from typing import Final

from sojourn.backends.cloudevents import rfc3339
from sojourn.health.formatting import printable, span
from sojourn.stores.reporting.model import Figures

from . import Digest

_LONGEST: Final = 60
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_Figure = tuple[str, Callable[[Figures], float | None], Callable[[float], str]]
_FIGURES: Final[tuple[_Figure, ...]] = (
    ("Sessions", lambda figures: figures.sessions, lambda value: f"{value:,.0f}"),
    ("Visitors", lambda figures: figures.visitors, lambda value: f"{value:,.0f}"),
    ("Identified users", lambda figures: figures.users, lambda value: f"{value:,.0f}"),
    ("Page views", lambda figures: figures.page_views, lambda value: f"{value:,.0f}"),
    ("Median duration", lambda figures: figures.median_ms, lambda value: span(int(value), is_precise=True)),
    ("Bounce rate", lambda figures: figures.bounce_rate, lambda value: f"{value * 100:.0f} %"),
    ("Sessions with errors", lambda figures: figures.error_sessions, lambda value: f"{value:,.0f}"),
)


def subject(digest: Digest) -> str:
    """The subject of a mail."""
    where = f"{printable(digest.service, _LONGEST)}: " if digest.service else ""
    return f"{where}{digest.figures.sessions:,} sessions, {_period(digest)}"


def text(digest: Digest) -> str:
    """Return the digest as plain text, for a terminal or a mail."""
    return "\n".join(_lines(digest)) + "\n"


def _lines(digest: Digest) -> Iterator[str]:
    yield subject(digest)
    for state in digest.alerts:
        yield f"! {printable(state.text, _LONGEST * 2)}"
    if digest.pending:
        yield f"({digest.pending:,} sessions are not in these figures yet)"
    if digest.figures.cookieless:
        yield _by_day(digest.figures)
    yield ""
    for label, value, change in _rows(digest):
        yield f"  {label:<22}{value:>12}  {change}".rstrip()
    if digest.goals:
        yield from ("", "Goals")
        for reached in digest.goals:
            rate = "" if reached.rate is None else f"{reached.rate * 100:.1f} % of sessions"
            change = _change(reached.sessions, reached.before)
            yield f"  {_short(reached.goal.name):<22}{reached.sessions:>12,}  {rate}{', ' if rate and change else ''}{change}"
    for listing in digest.lists:
        if listing.values:
            yield from ("", f"{listing.title} ({listing.unit})")
            for value, count in listing.values:
                yield f"  {count:>10,}  {_short(value)}"


def html(digest: Digest) -> str:
    """Return the digest as one HTML document without anything to load."""
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">',
        f"<title>{escape(subject(digest))}</title>",
        '<body style="font:14px/20px sans-serif;color:#1b2124;background:#fff;margin:24px auto;max-width:560px">',
        f'<h1 style="font-size:18px;line-height:24px">{escape(subject(digest))}</h1>',
    ]
    parts += [
        f'<p style="color:#b3261e"><b>Alert:</b> <bdi>{escape(printable(state.text, 200))}</bdi></p>'
        for state in digest.alerts
    ]
    if digest.pending:
        parts.append(f"<p>{digest.pending:,} sessions are not in these figures yet.</p>")
    if digest.figures.cookieless:
        parts.append(f"<p>{_by_day(digest.figures)}.</p>")
    parts.append(_table([(label, value, change) for label, value, change in _rows(digest)]))
    if digest.goals:
        parts.append(_heading("Goals"))
        parts.append(
            _table(
                [
                    (
                        _short(reached.goal.name),
                        f"{reached.sessions:,}",
                        ", ".join(filter(None, (_rate(reached.rate), _change(reached.sessions, reached.before)))),
                    )
                    for reached in digest.goals
                ]
            )
        )
    for listing in digest.lists:
        if listing.values:
            parts.append(_heading(f"{listing.title} ({listing.unit})"))
            parts.append(_table([(_short(value), f"{count:,}", "") for value, count in listing.values]))
    return "\n".join(parts) + "\n</body></html>\n"


def _by_day(figures: Figures) -> str:
    return f"Visitors without a cookie are counted by day ({figures.cookieless:,} of {figures.sessions:,} sessions)"


def document(digest: Digest) -> dict[str, object]:
    """Return the digest as a JSON document. Times are RFC 3339 text, spans are milliseconds, shares are 0 to 1."""
    return {
        "type": "digest",
        "service": digest.service,
        "since": rfc3339(digest.span.since),
        "until": rfc3339(digest.span.until),
        "figures": _figures(digest.figures),
        "before": None if digest.before is None else _figures(digest.before),
        "goals": [
            {
                "name": reached.goal.name,
                "step": reached.goal.step.text,
                "sessions": reached.sessions,
                "rate": reached.rate,
                "sessions_before": reached.before,
            }
            for reached in digest.goals
        ],
        **{
            listing.name: [{"value": value, listing.unit: count} for value, count in listing.values]
            for listing in digest.lists
        },
        "alerts": [{"name": state.name, "since": rfc3339(state.since), "text": state.text} for state in digest.alerts],
        "is_sampled": digest.is_sampled,
        "pending": digest.pending,
    }


def _figures(figures: Figures) -> dict[str, object]:
    return {
        "sessions": figures.sessions,
        "visitors": figures.visitors,
        "new_visitors": figures.new_visitors,
        "cookieless_sessions": figures.cookieless,
        "users": figures.users,
        "page_views": figures.page_views,
        "median_ms": figures.median_ms,
        "bounce_rate": figures.bounce_rate,
        "error_sessions": figures.error_sessions,
    }


def _rows(digest: Digest) -> Iterator[tuple[str, str, str]]:
    for label, of, formatted in _FIGURES:
        value = of(digest.figures)
        before = None if digest.before is None else of(digest.before)
        shown = "-" if value is None else formatted(value)
        change = ""
        if value is not None and before is not None:
            change = _change(value, before, "" if label == "Bounce rate" else None)
            change = change or f"was {formatted(before)}"
        yield label, shown, change


def _change(value: float, before: float | None, words: str | None = None) -> str:
    """The change in words; `words` instead, where a relative change says little."""
    if before is None:
        return ""
    if words is not None:
        return words
    if not before:
        return "none before" if value else ""
    share = value / before - 1
    return "as before" if abs(share) < 0.005 else f"{'+' if share > 0 else '-'}{abs(share) * 100:,.0f} %"


def _rate(rate: float | None) -> str:
    return "" if rate is None else f"{rate * 100:.1f} % of sessions"


def _period(digest: Digest) -> str:
    first, last = (datetime.fromtimestamp(at / 1000, digest.zone) for at in (digest.span.since, digest.span.until - 1))
    return f"{first.day} {_MONTHS[first.month - 1]} to {last.day} {_MONTHS[last.month - 1]} {last.year}"


def _short(value: str) -> str:
    return printable(value, _LONGEST)


def _heading(title: str) -> str:
    return f'<h2 style="font-size:14px;margin:24px 0 4px">{escape(title)}</h2>'


def _table(rows: list[tuple[str, str, str]]) -> str:
    cell = "padding:4px 8px 4px 0;border-bottom:1px solid #e2e6e5"
    lines = "".join(
        f'<tr><th scope="row" style="{cell};text-align:left;font-weight:400"><bdi>{escape(label)}</bdi></th>'
        f'<td style="{cell};text-align:right"><b>{escape(value)}</b></td>'
        f'<td style="{cell};color:#5a666b">{escape(note)}</td></tr>'
        for label, value, note in rows
    )
    return f'<table role="table" style="border-collapse:collapse;width:100%">{lines}</table>'
