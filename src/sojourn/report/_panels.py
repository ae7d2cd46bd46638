"""The panels of the report: one entry each. Pure.

An entry says which breakdown a panel shows, which columns it has, and which filter a row is. The overview, the page of a panel,
its exports and its endpoint are made of the table; so a new panel is one entry here, and one in `stores.reporting.breakdowns`
if it counts something new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sojourn.stores.reporting.breakdowns import (
    BREAKDOWNS,
    SLOW_MS,
    TOTAL,
    ordered,
    percentile,
    users,
    versions,
)
from sojourn.stores.reporting.model import Breakdowns

from . import _formatting, _releases
from ._columns import Column, Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """`unit`: what the first column counts. `filters`: the filter that a value is, as parameters of an address."""

    name: str
    title: str
    label: str
    """Of the value's column."""
    unit: str
    breakdown: str
    columns: tuple[Column, ...]
    filters: Callable[[str], Mapping[str, str]]
    beside: str | None = None
    """The column that the overview shows beside the first."""
    empty: str = "No data in this range"
    arrange: Callable[[Sequence[Line]], list[Line]] = list
    """Puts the lines, the most frequent first, in the panel's own order."""
    shown: Callable[[Line], str] = lambda line: line.value
    """What the overview calls a value."""
    opens: str | None = None
    """The page of one value, whose `name` it is."""

    def lines(self, data: Breakdowns) -> list[Line]:
        """All values, in the order of the panel."""
        breakdown = BREAKDOWNS[self.breakdown]
        total = total_of(data)
        lines = [
            Line(value=value, counts=counts, breakdown=breakdown, total=total)
            for value, counts in ordered(data.tables[self.breakdown])
        ]
        return self.arrange(lines)

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Panels that share a place on the overview, as tabs; those beyond `tabs` are on the page of a panel only."""

    panels: tuple[Panel, ...]
    label: str = ""
    """Of the tabs."""
    tabs: int = 3


def total_of(data: Breakdowns) -> int:
    """All sessions of the range and the filter."""
    return sum(counts.sums[0] for counts in data.tables[TOTAL].values())


def _is(name: str) -> Callable[[str], Mapping[str, str]]:
    return lambda value: {name: value}


def error_filters(group: str) -> Mapping[str, str]:
    """The filter of an error: exceptions have a group; a failed page that none explains is known by its route."""
    if group.startswith("Status "):
        _, _, where = group.partition(" at ")
        return {"route": where, "errors": "1.."} if where else {"errors": "1.."}
    return {"error": group}


# --- columns


def _sum(name: str, label: str, hint: str = "") -> Column:
    return Column(name=name, label=label, value=lambda line: line[name], text=_formatting.number, hint=hint)


def _rate(name: str, label: str, measure: str, of: str, hint: str) -> Column:
    return Column(
        name=name, label=label, value=lambda line: line.share(measure, of), text=_formatting.percent, hint=hint
    )


def _share(measure: str = "sessions") -> Column:
    return Column(
        name="share",
        label="Share",
        value=lambda line: line[measure] / line.total if line.total else None,
        text=_formatting.percent,
        hint="Of all sessions of this range and filter",
    )


def _mean_duration(line: Line) -> int | None:
    return line["duration_ms"] // line["sessions"] if line["sessions"] else None


def _pages_each(line: Line) -> float | None:
    return line["page_views"] / line["sessions"] if line["sessions"] else None


def _decimal(value: float | None) -> str:
    return _formatting.EMPTY if value is None else f"{value:.1f}"


_SESSIONS: Final = _sum("sessions", "Sessions")
_PAGE_VIEWS: Final = _sum("page_views", "Page views")
_BOUNCE: Final = _rate("bounce_rate", "Bounce rate", "bounces", "visits", "One page view and nothing tracked")
_ERROR_SHARE: Final = _rate("error_share", "With errors", "error_sessions", "sessions", "Sessions that met an error")
_SLOW_SHARE: Final = _rate(
    "slow_share",
    "Left after a slow page",
    "slow_exits",
    "timed_exits",
    f"Ended sessions whose last page took longer than {SLOW_MS // 1000} s until its response started",
)
_SINCE_BEFORE: Final = "In percentage points since the version before; coloured where chance does not explain it"
_DURATION: Final = Column(
    name="mean_duration_ms", label="Mean duration", value=_mean_duration, text=_formatting.span, hint="Of a session"
)
_DEPTH: Final = Column(
    name="pages_per_session", label="Pages each", value=_pages_each, text=_decimal, hint="Page views of a session"
)
OF_SESSIONS: Final = (_SESSIONS, _share(), _BOUNCE, _DEPTH, _DURATION, _ERROR_SHARE)


def _percentile(name: str, label: str, share: float, hint: str) -> Column:
    def value(line: Line) -> float | None:
        return percentile(line.counts, share)

    def mark(line: Line) -> str:
        return "slow" if (value(line) or 0) > SLOW_MS else ""

    return Column(name=name, label=label, value=value, text=_formatting.span, hint=hint, mark=mark)


_P95: Final = _percentile("p95_ms", "p95", 0.95, "Nineteen of twenty responses started within this time")
_VIEWS: Final = (_sum("views", "Views"), _SESSIONS)
_TIMES: Final = (
    _percentile("p50_ms", "p50", 0.5, "Half of the responses started within this time"),
    _P95,
)
_OUTCOMES: Final = (
    _rate("failed_share", "Failed", "failed", "views", "Views with a status of 500 or more"),
    _sum("exits", "Exits", "Sessions that ended with it"),
    _rate("exit_share", "Exit rate", "exits", "sessions", "Of the sessions that viewed it, those that ended with it"),
)
FIRST: Final = Column(
    name="first_seen_at",
    label="First seen",
    value=lambda line: line.counts.first_at or None,
    is_time=True,
    hint="In this range",
)
LAST: Final = Column(
    name="last_seen_at", label="Last seen", value=lambda line: line.counts.last_at or None, is_time=True
)


def _versions(line: Line) -> str | None:
    return ", ".join(f"{version} ({number:,})" for version, number in versions(line.counts)) or None


_VERSIONS: Final = Column(
    name="versions",
    label="By version",
    value=_versions,
    text=lambda text: text.replace(" (", "\N{NO-BREAK SPACE}("),
    is_number=False,
    hint="service.version, and how often in it",
)


# --- the table


def _of_sessions(name: str, title: str, label: str, filter_name: str, empty: str = "No data in this range") -> Panel:
    return Panel(
        name=name,
        title=title,
        label=label,
        unit="sessions",
        breakdown=name,
        columns=OF_SESSIONS,
        filters=_is(filter_name),
        empty=empty,
    )


GROUPS: Final = (
    Group(
        panels=(
            Panel(
                name="pages",
                title="Pages",
                label="Page",
                unit="views",
                breakdown="pages",
                columns=(*_VIEWS, *_OUTCOMES),
                filters=_is("path"),
            ),
            _of_sessions("entries", "Entry", "Entry page", "entry"),
            _of_sessions("exits", "Exit", "Exit page", "exit"),
        ),
        label="Views",
    ),
    Group(
        panels=(
            _of_sessions("sources", "Sources", "Source", "source"),
            _of_sessions("channels", "Channels", "Channel", "channel"),
            _of_sessions(
                "campaigns",
                "Campaigns",
                "Campaign",
                "campaign",
                empty="No session in this range came with utm_campaign in its address",
            ),
            _of_sessions("campaign_sources", "utm_source", "Campaign source", "campaign_source"),
            _of_sessions("campaign_media", "utm_medium", "Campaign medium", "campaign_medium"),
            _of_sessions("referrers", "Referrers", "Referrer", "referrer"),
        ),
        label="Origin",
    ),
    Group(
        panels=(
            Panel(
                name="events",
                title="Events",
                label="Event",
                unit="times",
                breakdown="events",
                columns=(_sum("events", "Count"), _SESSIONS, _share(), FIRST, LAST),
                filters=_is("event"),
                beside="share",
                empty="No event in this range: send one with track()",
                opens="/event",
            ),
        )
    ),
    Group(
        panels=(
            Panel(
                name="errors",
                title="Errors",
                label="Error",
                unit="times",
                breakdown="errors",
                columns=(
                    _sum("errors", "Count"),
                    _SESSIONS,
                    _share(),
                    Column(
                        name="users",
                        label="Identified users",
                        value=lambda line: users(line.counts),
                        text=_formatting.number,
                        hint="Users known by name who met it",
                    ),
                    FIRST,
                    LAST,
                    _VERSIONS,
                ),
                filters=error_filters,
                beside="sessions",
                shown=lambda line: _formatting.short_error(line.value),
                empty="No error in this range",
            ),
        )
    ),
    Group(
        panels=(
            Panel(
                name="routes",
                title="Routes",
                label="Route",
                unit="views",
                breakdown="routes",
                columns=(*_VIEWS, *_TIMES, *_OUTCOMES),
                filters=_is("route"),
                beside="p95_ms",
            ),
        )
    ),
    Group(
        panels=(
            _of_sessions("browsers", "Browsers", "Browser", "browser"),
            _of_sessions("systems", "Systems", "System", "system"),
            _of_sessions("devices", "Devices", "Device", "device"),
            _of_sessions("countries", "Countries", "Country", "country"),
        ),
        label="Clients",
        tabs=4,
    ),
    Group(
        panels=(
            Panel(
                name="users",
                title="Users",
                label="User",
                unit="sessions",
                breakdown="users",
                columns=(
                    _SESSIONS,
                    Column(
                        name="user_name",
                        label="Name",
                        value=lambda line: line.counts.label or None,
                        is_number=False,
                    ),
                    _PAGE_VIEWS,
                    _DURATION,
                    _ERROR_SHARE,
                    LAST,
                ),
                filters=_is("user"),
                beside="page_views",
                empty="No identified user in this range",
                shown=lambda line: line.counts.label or line.value,
            ),
        )
    ),
    Group(
        panels=(
            Panel(
                name="releases",
                title="Releases",
                label="Version",
                unit="sessions",
                breakdown="releases",
                columns=(
                    _SESSIONS,
                    _ERROR_SHARE,
                    _releases.change("error_change", "Change", "error_sessions", "sessions", _SINCE_BEFORE),
                    _SLOW_SHARE,
                    _releases.change("slow_change", "Change", "slow_exits", "timed_exits", _SINCE_BEFORE),
                    _BOUNCE,
                    FIRST,
                    LAST,
                ),
                filters=_is("version"),
                beside="error_share",
                arrange=_releases.in_order,
                empty="No session in this range has a version: set service_version",
            ),
            Panel(
                name="services",
                title="Services",
                label="Service",
                unit="sessions",
                breakdown="services",
                columns=(*OF_SESSIONS, _SLOW_SHARE, FIRST, LAST),
                filters=_is("service"),
                beside="error_share",
                empty="No session in this range has a service: set service_name",
            ),
        ),
        label="App",
    ),
)
PANELS: Final = {panel.name: panel for group in GROUPS for panel in group.panels}
"""By name, which is also that in addresses."""


def group_of(panel: Panel) -> Group:
    return next(group for group in GROUPS if panel in group.panels)


def chosen(tabs: Iterable[str]) -> list[tuple[Group, Panel]]:
    """The panel that each group shows: the one that is named, else its first."""
    names = set(tabs)
    return [
        (group, next((panel for panel in group.panels if panel.name in names), group.panels[0])) for group in GROUPS
    ]


def breakdowns_of(panels: Iterable[Panel]) -> list[str]:
    """The breakdowns that these panels need."""
    return [TOTAL, *dict.fromkeys(panel.breakdown for panel in panels)]


def sorted_by(lines: Sequence[Line], column: Column, *, is_ascending: bool) -> list[Line]:
    """Lines in the order of a column; those without a value last."""
    filled = [(value, line) for line in lines if (value := column.value(line)) is not None]
    filled.sort(key=lambda pair: (pair[0], pair[1].value), reverse=not is_ascending)
    return [line for _, line in filled] + [line for line in lines if column.value(line) is None]
