"""What a session's page says at its top and beside its steps: who came, with what, from where. Pure.

All of it is untrusted text, which a template shows as text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from sojourn.backends.campaigns import UTM, domain
from sojourn.core.sources import WITHIN_SITE
from sojourn.stores.reporting.model import SessionLine

_UNKNOWN: Final = "Other"
_MOST_PARAMETERS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """`who` is a user's name or ID, or `None` for a visitor; `client` and `source` are `None` where they are not known."""

    who: str | None
    visitor: str
    client: str | None
    source: str | None


def heading(line: SessionLine) -> Heading:
    """The parts of a session's title."""
    return Heading(
        who=line.user_name or line.user_id, visitor=line.visitor_id[:8], client=_client(line), source=_source(line)
    )


def _client(line: SessionLine) -> str | None:
    browser, system = (None if name == _UNKNOWN else name for name in (line.browser, line.system))
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or line.device


def _source(line: SessionLine) -> str | None:
    """The referring host, or the source that the campaign's link names; a click within the site is neither."""
    referrer = line.referrer
    host = domain(referrer) if referrer and referrer != WITHIN_SITE else ""
    return host or line.dimensions["utm_source"]


def parameters(query: str | None) -> tuple[tuple[str, str], ...]:
    """The parameters of a query as they were meant: `utm_campaign=spring+sale` is "spring sale"."""
    if not query:
        return ()
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="replace", max_num_fields=_MOST_PARAMETERS)
    except ValueError:  # more than a reader could use; "All attributes" has the query as it is
        return ()
    return tuple(pairs)


def campaign(dimensions: Mapping[str, str | None]) -> dict[str, str]:
    """The campaign of a session's first address, by the labels of the report."""
    return {label: value for name, label in _CAMPAIGN.items() if (value := dimensions[UTM + name])}


_CAMPAIGN: Final = {
    "source": "Source",
    "medium": "Medium",
    "campaign": "Campaign",
    "term": "Term",
    "content": "Content",
}
