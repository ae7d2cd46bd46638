"""Formats of access logs: common and combined (Apache, nginx, gunicorn), and any `log_format` of nginx. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from sojourn.errors import SojournError

_QUOTED: Final = r'[^"\\]*(?:\\.[^"\\]*)*'
_COMBINED: Final = re.compile(
    r"(?:(?P<host>\S+) )?(?P<address>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "
    rf'"(?P<request>{_QUOTED})" (?P<status>\d{{3}}) (?:\d+|-)'
    rf'(?: "(?P<referer>{_QUOTED})" "(?P<agent>{_QUOTED})")?'
)
"""The host stands first in Apache's `vhost_combined`. What follows the user agent is not read."""

_VARIABLES: Final[Mapping[str, str]] = {
    "remote_addr": "address",
    "http_x_forwarded_for": "forwarded",
    "proxy_add_x_forwarded_for": "forwarded",
    "time_local": "time",
    "time_iso8601": "time",
    "msec": "time",
    "request": "request",
    "request_method": "method",
    "request_uri": "target",
    "uri": "target",
    "args": "query",
    "query_string": "query",
    "status": "status",
    "host": "host",
    "http_host": "host",
    "server_name": "host",
    "http_referer": "referer",
    "http_user_agent": "agent",
    "request_time": "took",
}
"""By nginx's variable, what it holds; others are not read."""
_VALUES: Final = {"time_local": r"\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}", "status": r"\d{3}"}
_VARIABLE: Final = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_FIELDS: Final = (
    *("address", "time", "request", "status", "referer", "agent", "host", "forwarded"),
    *("method", "target", "query", "took"),
)
_ESCAPED: Final = re.compile(r"\\x([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})|\\(.)")
_LETTERS: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "v": "\v"}
_METHOD: Final = re.compile(r"[A-Z]{3,20}")
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
_EPOCH: Final = re.compile(r"\d{9,10}(?:\.\d{1,6})?")
_MOST_MINUTES: Final = 64


class Line(NamedTuple):
    """One line: a request and its response. `at`: milliseconds since the epoch; texts are empty where the log has none."""

    at: int
    address: str
    method: str
    target: str
    """Path and query as sent; empty for what is no HTTP request."""
    status: int
    referer: str
    agent: str
    host: str
    forwarded: str
    took_s: float | None


class LogFormat:
    """Reads lines of one format. `format`: nginx's `log_format`, without its name and quotes; `None`: common or combined."""

    def __init__(self, log_format: str | None = None) -> None:
        self._pattern = _COMBINED if log_format is None else _compiled(log_format)
        self._is_whole = log_format is not None
        self._places = [self._pattern.groupindex.get(name, 0) for name in _FIELDS]
        self._minutes: dict[str, int] = {}

    def parse(self, text: str) -> Line | None:
        """Read a line; `None` if it is not of this format."""
        match = self._pattern.fullmatch(text) if self._is_whole else self._pattern.match(text)
        if match is None:
            return None
        groups = (text, *match.groups())
        address, time, request, status, referer, agent, host, forwarded, method, target, query, took = (
            _plain(groups[place]) if place else "" for place in self._places
        )
        at = self._time(time)
        if at is None or not status.isdecimal():
            return None
        if request:
            method, target = _split(request)
        elif query:
            target = f"{target.partition('?')[0]}?{query}"
        return Line(at, address, method, target, int(status), referer, agent, host, forwarded, _seconds(took))

    def _time(self, text: str) -> int | None:
        """Read `10/Oct/2000:13:55:36 -0700`, ISO 8601 or seconds since the epoch; a minute of the first is read once."""
        if text[2:3] != "/":
            return _other_time(text)
        minute = text[:17] + text[20:]
        base = self._minutes.get(minute)
        if base is None:
            base = _minute(text)
            if base is None:
                return None
            if len(self._minutes) >= _MOST_MINUTES:
                self._minutes.clear()
            self._minutes[minute] = base
        seconds = text[18:20]
        return base + int(seconds) * 1000 if seconds.isdecimal() else None


def _minute(text: str) -> int | None:
    try:
        month = _MONTHS[text[3:6]]
        iso = f"{text[7:11]}-{month:02}-{text[:2]}T{text[12:17]}:00{text[21:]}"
        return round(datetime.fromisoformat(iso).timestamp() * 1000) if text[20:21] == " " else None
    except (KeyError, ValueError):
        return None


def _other_time(text: str) -> int | None:
    if _EPOCH.fullmatch(text):
        return round(float(text) * 1000)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)


def _compiled(log_format: str) -> re.Pattern[str]:
    parts: list[str] = []
    seen: set[str] = set()
    end = 0
    for match in _VARIABLE.finditer(log_format):
        parts.append(re.escape(log_format[end : match.start()]))
        end = match.end()
        value = _QUOTED if log_format[end : end + 1] == '"' else r"\S*" if log_format[end : end + 1] == " " else ".*?"
        variable = match[1] or match[2]
        name = _VARIABLES.get(variable)
        value = _VALUES.get(variable, value)
        parts.append(f"({value})" if name is None or name in seen else f"(?P<{name}>{value})")
        seen.add(name or "")
    parts.append(re.escape(log_format[end:]))
    for needed in ({"address"}, {"time"}, {"status"}, {"request", "target"}):
        if not needed & seen:
            names = " or ".join(f"${variable}" for variable, name in _VARIABLES.items() if name in needed)
            raise SojournError(f"--format has no {names}; copy the text of nginx's log_format: {log_format!r}")
    return re.compile("".join(parts))


def _plain(text: str | None) -> str:
    """A value as it was before the server escaped it; `-` stands for none."""
    if text is None or text == "-":
        return ""
    return _ESCAPED.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    if code := match[1] or match[2]:
        return chr(int(code, 16))
    return _LETTERS.get(match[3], match[3])


def _split(request: str) -> tuple[str, str]:
    """Split `GET /path HTTP/1.1`. What is no such line was no HTTP request: a scan, or TLS on a plain port."""
    method, _, rest = request.partition(" ")
    target, _, protocol = rest.rpartition(" ")
    if not protocol.startswith("HTTP/"):
        target = rest
    is_request = _METHOD.fullmatch(method) and target.startswith(("/", "http://", "https://"))
    return (method, target) if is_request else (method, "")


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
