"""The dimensions of a session: what lists, exports and views can filter by or show, one column each.

Each entry of the table is a column of `sojourn_sessions`, a filter of a list, a field of an export and a line of the docs.
It is computed once, when the session's first request is recorded. What no filter uses has no column: it stays in
`SessionRow.origin`, by the name of its attribute.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from sojourn.core.events import COUNTRY, IMPORTED, INTERNAL_REFERRER, VISITOR_KIND, Scalar
from sojourn.core.sources import DIRECT, WITHIN_SITE, channel_of, parameter_of, source_of
from sojourn.user_agents.families import client_of

Value = Callable[[Mapping[str, Scalar]], str | None]
"""Compute a dimension from the attributes of `session.start`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dimension:
    """`name` is that of the column, the field of an export and the filter; `label` is shown in the report."""

    name: str
    label: str
    meaning: str
    filter_name: str | None = None
    """The filter's name, where it is another: no filter begins with `utm_`, which links to the report may carry."""
    value: Value | None = None
    """`None`: it changes during the session, and the recorder keeps it up to date."""
    attribute: str | None = None
    """The attribute that the column holds; where it holds it as it is, `origin` does not repeat it."""


def _attribute(name: str) -> Value:
    def value(origin: Mapping[str, Scalar]) -> str | None:
        text = origin.get(name)
        return text if isinstance(text, str) else None

    return value


_user_agent: Final = _attribute("user_agent.original")


def _referrer(origin: Mapping[str, Scalar]) -> str | None:
    return WITHIN_SITE if origin.get(INTERNAL_REFERRER) is True else _attribute("http.request.header.referer")(origin)


def _campaign(part: str, label: str, *, filter_name: str) -> Dimension:
    name = f"utm_{part}"
    meaning = f"`{name}` of the first request's address"
    return Dimension(
        name=name,
        label=label,
        meaning=meaning,
        filter_name=filter_name,
        value=lambda origin: parameter_of(origin, name),
    )


DIMENSIONS: Final = (
    Dimension(
        name="entry_path",
        label="Entry page",
        meaning="the path of the first request",
        filter_name="entry",
        value=_attribute("url.path"),
        attribute="url.path",
    ),
    Dimension(name="exit_path", label="Exit page", meaning="the path of the latest page view", filter_name="exit"),
    Dimension(
        name="referrer",
        label="Referrer",
        meaning=f"where the session came from: origin and path, or `{WITHIN_SITE}`",
        value=_referrer,
        attribute="http.request.header.referer",
    ),
    Dimension(
        name="source",
        label="Source",
        meaning=f"`utm_source`, else the referring site without `www.`, `{DIRECT}` or `{WITHIN_SITE}`",
        value=source_of,
    ),
    Dimension(
        name="channel",
        label="Channel",
        meaning="the kind of source, such as `Organic search`, `Email` or `Direct`",
        value=channel_of,
    ),
    Dimension(
        name="browser",
        label="Browser",
        meaning="the browser's family, such as `Firefox`",
        value=lambda origin: client_of(_user_agent(origin)).browser,
    ),
    Dimension(
        name="system",
        label="System",
        meaning="the operating system's family, such as `Windows`",
        value=lambda origin: client_of(_user_agent(origin)).system,
    ),
    Dimension(
        name="device",
        label="Device",
        meaning="`desktop`, `phone`, `tablet`, `tv`, `bot` or `program`",
        value=lambda origin: client_of(_user_agent(origin)).device,
    ),
    Dimension(
        name="country",
        label="Country",
        meaning="the country's two letters (ISO 3166), such as `AT`; see `country_header`",
        value=_attribute(COUNTRY),
        attribute=COUNTRY,
    ),
    # `origin` keeps these two, too: every event of the session repeats them.
    Dimension(
        name="version",
        label="Version",
        meaning="`service.version` of the app when the session started",
        value=_attribute("service.version"),
    ),
    Dimension(
        name="service",
        label="Service",
        meaning="`service.name` of the app in which the session started",
        value=_attribute("service.name"),
    ),
    Dimension(
        name="imported",
        label="Imported from",
        meaning="`access log` if it was [imported](importing.md) from one, and so recorded with less detail",
        value=_attribute(IMPORTED),
        attribute=IMPORTED,
    ),
    Dimension(
        name="visitor_kind",
        label="Visitor",
        meaning="`cookieless` if the visitor had [no cookie](privacy.md#without-a-cookie) and is known for a day",
        value=_attribute(VISITOR_KIND),
        attribute=VISITOR_KIND,
    ),
    _campaign("source", "Campaign source", filter_name="campaign_source"),
    _campaign("medium", "Campaign medium", filter_name="campaign_medium"),
    _campaign("campaign", "Campaign", filter_name="campaign"),
    _campaign("term", "Campaign term", filter_name="campaign_term"),
    _campaign("content", "Campaign content", filter_name="campaign_content"),
)

NAMES: Final = tuple(dimension.name for dimension in DIMENSIONS)

_ATTRIBUTES: Final = tuple((each.attribute, each.value) for each in DIMENSIONS if each.attribute and each.value)


def beside_columns(origin: Mapping[str, Scalar]) -> dict[str, Scalar]:
    """The attributes of `session.start` that no column holds as they are."""
    kept = dict(origin)
    for attribute, value in _ATTRIBUTES:
        if attribute in kept and kept[attribute] == value(origin):
            del kept[attribute]
    return kept


COMPUTED: Final = tuple((dimension.name, dimension.value) for dimension in DIMENSIONS if dimension.value is not None)
"""What the first request of a session decides."""
