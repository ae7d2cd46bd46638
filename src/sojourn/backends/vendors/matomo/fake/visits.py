"""How Matomo makes visits of tracking requests, after its source (5.2): which visit a request continues, and what it changes.

Times are in seconds, as in Matomo. Left out: goals, shops, downloads, site search, exclusions, archives.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

DEFAULTS: Final[Mapping[str, int]] = {
    "create_new_visit_after_midnight": 1,
    "create_new_visit_after_x_actions": 10_000,
    "create_new_visit_when_campaign_changes": 1,
    "enable_userid_overwrites_visitorid": 1,
    "visit_standard_length": 1_800,
}
"""What `config/global.ini.php` sets under `[Tracker]`."""

_CAMPAIGN: Final = ("mtm_campaign", "utm_campaign", "utm_source", "utm_medium")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_LONGEST: Final = 250

Parameters = Mapping[str, Any]


@dataclass(slots=True, kw_only=True, eq=False)
class Visit:
    """A row of `log_visit`. `actions` counts as Matomo does: repeated requests, too."""

    id: int
    visitor_id: str
    config_id: str
    first_at: int
    last_at: int
    total_time: int = 0
    actions: int = 0
    user_id: str | None = None
    referrer: str = ""
    dimensions: dict[int, str] = field(default_factory=dict)

    @property
    def is_bounce(self) -> bool:
        return self.actions <= 1


class Visits:
    """The visits of one site. `config` overrides what is set under `[Tracker]`."""

    def __init__(self, config: Mapping[str, int]) -> None:
        self._config = {**DEFAULTS, **config}
        self.rows: list[Visit] = []

    def track(self, parameters: Parameters, at: int) -> Visit | None:
        """Take a valid request; return its visit, or `None` for a ping that would open one."""
        known = self._find(parameters, at)
        is_new = known is None or self._is_new(known, parameters, at)
        is_ping = str(parameters.get("ping")) == "1"
        if is_ping and is_new:
            return None
        if known is None or is_new:
            visit = Visit(
                id=len(self.rows) + 1,
                visitor_id=known.visitor_id if known else self._visitor(parameters) or f"{len(self.rows):016x}",
                config_id=_config_id(parameters, at),
                first_at=at,
                last_at=at,
            )
            self.rows.append(visit)
        else:
            visit = known
            visit.visitor_id = self._visitor(parameters) or visit.visitor_id
            visit.total_time = max(0, 1 + at - visit.first_at)
            if not is_ping:
                visit.last_at = max(visit.last_at, at)
        visit.actions += not is_ping
        visit.user_id = _text(parameters, "uid")[:200] or visit.user_id
        visit.referrer = visit.referrer or _referrer(parameters)
        for name, value in parameters.items():
            if name.startswith("dimension") and name[9:].isdigit():
                visit.dimensions[int(name[9:])] = str(value).strip()[:_LONGEST]
        return visit

    def _visitor(self, parameters: Parameters) -> str:
        user = _text(parameters, "uid")
        if user and self._config["enable_userid_overwrites_visitorid"]:
            return hashlib.sha1(user.encode("utf-8", "replace")).hexdigest()[:16]  # noqa: S324 - as Matomo does
        own = _text(parameters, "cid") or _text(parameters, "_id")[:16]
        return own if _HEX.issuperset(own) else ""

    def _find(self, parameters: Parameters, at: int) -> Visit | None:
        length = self._config["visit_standard_length"]
        visitor, user = self._visitor(parameters), _text(parameters, "uid")
        found = [row for row in self.rows if visitor and row.visitor_id == visitor and row.last_at <= at + length]
        if not found and (user or not visitor or not _text(parameters, "cid")):
            # By what the browser looks like: a stranger's visit may be found.
            config_id = _config_id(parameters, at)
            found = [
                row
                for row in self.rows
                if row.config_id == config_id
                and at - length <= row.last_at <= at + length
                and (not user or row.user_id in (None, user))
            ]
        row = max(found, key=lambda row: (row.last_at, -row.id), default=None)
        most = self._config["create_new_visit_after_x_actions"]
        return None if row is None or 0 < most <= row.actions else row

    def _is_new(self, known: Visit, parameters: Parameters, at: int) -> bool:
        config = self._config
        if str(parameters.get("new_visit")) == "1" or known.last_at <= at - config["visit_standard_length"]:
            return True
        if config["create_new_visit_after_midnight"] and _day(known.last_at) != _day(at):
            return True
        user = _text(parameters, "uid")
        if not config["enable_userid_overwrites_visitorid"] and user and known.user_id not in (None, user):
            return True
        campaign = _campaign(parameters)
        is_other = bool(campaign and known.referrer and campaign != known.referrer)
        return is_other and config["create_new_visit_when_campaign_changes"] == 1


def _config_id(parameters: Parameters, at: int) -> str:
    """Return the fingerprint; another one each day, and the same for all who share address and browser."""
    return f"{_day(at)} {_text(parameters, 'ua')} {_text(parameters, 'cip')} {_text(parameters, 'lang')}"


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).date().isoformat()


def _campaign(parameters: Parameters) -> str:
    query = dict(parse_qsl(_text(parameters, "url").partition("?")[2]))
    return next((f"campaign {query[name]}" for name in _CAMPAIGN if query.get(name)), "")


def _referrer(parameters: Parameters) -> str:
    return _campaign(parameters) or _text(parameters, "urlref")


def _text(parameters: Parameters, name: str) -> str:
    value = parameters.get(name)
    return "" if value is None else str(value)
