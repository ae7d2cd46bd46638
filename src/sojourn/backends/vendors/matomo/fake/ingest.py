"""A fake of Matomo's `matomo.php`, after its source: bulk tracking, in one transaction, with what it says of each call."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote

import msgspec

from sojourn.testing.vendors.fake import FakeVendor
from sojourn.testing.vendors.model import Received, Reply, Value, VendorEvent, VendorSession

from .visits import Visit, Visits

SETTINGS: Final[Mapping[str, int]] = {
    "create_new_visit_after_midnight": 0,
    "create_new_visit_when_campaign_changes": 0,
    "enable_userid_overwrites_visitorid": 0,
}
"""What our docs say to set under `[Tracker]`, so that its visits are our sessions."""
DIMENSIONS: Final[Mapping[int, str]] = {
    1: "session.id",
    2: "session.end_reason",
    3: "session.duration_ms",
    4: "session_properties.plan",
}
_FILES: Final = ("/matomo.php", "/piwik.php")
_DAY_S: Final = 86_400
_LONGEST: Final = 4_096
_PAGE: Final = (
    "This resource is part of Matomo. Keep full control of your data with the leading free and open source "
    "<a href='https://matomo.org' target='_blank' rel='noopener noreferrer nofollow'>web analytics</a>.<br>\n"
)


class _InvalidError(Exception):
    """A request that is not tracked, while the others of its call are."""


class FakeMatomo(FakeVendor):
    """Accepts bulk tracking at `/matomo.php` and below any folder. Repeated requests count twice, as in Matomo.

    `token`: one with write access to `site`. `config`: what is set in Matomo under `[Tracker]`; `{}` is Matomo as installed.
    `dimensions`: its custom dimensions, of the scope visit. `is_super_user`: whether the token's owner is one, who is told
    which requests were invalid. With `now` (returns milliseconds), times of the future are replaced by it, and requests older
    than `raw_data_days` are invalid. `events()` lists a repeated request once, and `visits` has what Matomo would show.
    """

    vendor = "matomo"
    # Of a server before it: Matomo's own 500 has undone the call.
    transient = (502, 503, 504)
    keeps_repeats = True

    def __init__(
        self,
        token: str = "FAKETOKEN",  # noqa: S107
        *,
        site: int = 1,
        config: Mapping[str, int] = SETTINGS,
        dimensions: Mapping[int, str] = DIMENSIONS,
        is_super_user: bool = True,
        now: Callable[[], int] | None = None,
        raw_data_days: int | None = None,
    ) -> None:
        super().__init__(token)
        self._token = token
        self._site = site
        self._config = config
        self._dimensions = dimensions
        self._is_super_user = is_super_user
        self._now = now
        self._raw_data_days = raw_data_days
        named = "".join(f"&dimensions={quote(name)}:{number}" for number, name in dimensions.items())
        self.url_options = f"/matomo.php?site={site}&base_url=https://shop.example&user_ids=1{named}"
        self._visits = Visits(config)
        self._visit_of: dict[str, Visit] = {}

    @property
    def visits(self) -> list[Visit]:
        """The visits that Matomo would show, in the order in which they were opened."""
        return self._visits.rows

    def event_ids(self) -> None:
        return None

    def clear(self) -> None:
        super().clear()
        self._visits = Visits(self._config)
        self._visit_of.clear()

    def respond(self, request: Received) -> Reply:
        if not request.path.endswith(_FILES):
            return _reply(404, "Not Found")
        if request.method == "GET":
            return _reply(200, _PAGE)
        if request.headers.get("content-encoding") or b'"requests"' not in request.body:
            return self.bad_encoding()
        try:
            document = msgspec.json.decode(request.body)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            document = {}
        requests = document.get("requests") if isinstance(document, dict) else None
        if not isinstance(requests, list) or not requests:
            return _json(200, {"status": "success", "tracked": 0, "invalid": 0})
        if any(_is_too_long(_parameters(each)) for each in requests):
            return self.failure(500)
        is_known = hmac.compare_digest(str(document.get("token_auth", "")).encode(), self._token.encode())
        invalid: list[int] = []
        for index, each in enumerate(requests):
            try:
                self._track(_parameters(each), is_known=is_known)
            except _InvalidError:
                invalid.append(index)
        told = {"status": "success", "tracked": len(requests) - len(invalid), "invalid": len(invalid)}
        return _json(200, told | {"invalid_indices": invalid} if is_known and self._is_super_user else told)

    def failure(self, status: int) -> Reply:
        if status == 500:
            return _json(500, {"status": "error", "tracked": 0, "invalid": 0})
        return _reply(status, "<html><body>Bad Gateway</body></html>")

    def bad_encoding(self) -> Reply:
        # PHP does not decompress bodies: it finds no requests, and shows a page.
        return _reply(400, _PAGE)

    def sessions(self) -> list[VendorSession]:
        """Return the visits, oldest first: end, duration and reason from the custom dimensions, where the site has them."""
        return [self._session(visit) for visit in sorted(self.visits, key=lambda visit: (visit.first_at, visit.id))]

    # --- one call ------------------------------------------------------------------------------------------------

    def _track(self, parameters: Mapping[str, Any], *, is_known: bool) -> None:
        if str(parameters.get("idsite")) != str(self._site):
            raise _InvalidError
        cid = str(parameters.get("cid", ""))
        if cid and len(cid) != 16:
            raise _InvalidError
        if "cip" in parameters and not is_known:
            raise _InvalidError
        at = self._time(parameters, is_known=is_known)
        if str(parameters.get("rec")) != "1":
            return
        if self.is_strict and _problem(parameters):
            raise _InvalidError
        visit = self._visits.track(parameters, at)
        key = hashlib.sha256(json.dumps(parameters, sort_keys=True).encode()).hexdigest()[:32]
        if visit is not None:
            self._visit_of.setdefault(key, visit)
        attributes: dict[str, Value] = {name: value for name, value in parameters.items() if name != "cdt"}
        self.take(
            VendorEvent(
                id=key,
                name=_name(parameters),
                at=at * 1000,
                session_id=str(visit.id) if visit else "",
                visitor_id=cid or None,
                user_id=str(parameters["uid"]) if "uid" in parameters else None,
                attributes=attributes,
            )
        )

    def _time(self, parameters: Mapping[str, Any], *, is_known: bool) -> int:
        given = str(parameters.get("cdt", ""))
        now = None if self._now is None else self._now() // 1000
        if not given.isdigit():
            return now or 0
        at = int(given)
        if now is None:
            return at
        if now - at >= _DAY_S and not is_known:
            raise _InvalidError
        if self._raw_data_days is not None and at < now - self._raw_data_days * _DAY_S:
            raise _InvalidError
        return min(at, now)

    def _session(self, visit: Visit) -> VendorSession:
        named = {
            self._dimensions[number]: value for number, value in visit.dimensions.items() if number in self._dimensions
        }
        duration = named.get("session.duration_ms", "")
        duration_ms = int(duration) if duration.isdigit() and "session.end_reason" in named else None
        started_at = visit.first_at * 1000
        return VendorSession(
            session_id=named.get("session.id", str(visit.id)),
            user_id=visit.user_id,
            visitor_id=visit.visitor_id,
            started_at=started_at,
            ended_at=None if duration_ms is None else started_at + duration_ms,
            duration_ms=duration_ms,
            reason=named.get("session.end_reason"),
            properties={name: value for name, value in named.items() if name.startswith("session_properties.")},
            events=tuple(event for event in self.events() if self._visit_of.get(event.id) is visit),
        )


def _parameters(each: object) -> Mapping[str, Any]:
    """Return the parameters of one request: an object, or the query of a URL."""
    if isinstance(each, str):
        return dict(parse_qsl(each.partition("?")[2]))
    return each if isinstance(each, dict) else {}


def _is_too_long(parameters: Mapping[str, Any]) -> bool:
    """Return whether the database refuses a text of an event; Matomo cuts those of pages itself."""
    return any(len(str(parameters.get(name, ""))) > _LONGEST for name in ("e_c", "e_a", "e_n"))


def _name(parameters: Mapping[str, Any]) -> str:
    if str(parameters.get("ping")) == "1":
        return "ping"
    if parameters.get("e_c") and parameters.get("e_a"):
        return f"{parameters['e_c']}: {parameters['e_a']}"
    return "page"


def _problem(parameters: Mapping[str, Any]) -> bool:
    """Return whether Matomo would take a request for something else than it is."""
    is_page = _name(parameters) == "page"
    if any(isinstance(value, dict | list | bool) or value is None for value in parameters.values()):
        return True
    if is_page and not str(parameters.get("url", "")).startswith(("http://", "https://")):
        return True
    return not parameters.get("cid") or ("new_visit" in parameters and "uid" in parameters)


def _json(status: int, document: object) -> Reply:
    return Reply(status=status, body=json.dumps(document).encode(), headers={"content-type": "application/json"})


def _reply(status: int, text: str) -> Reply:
    return Reply(status=status, body=text.encode(), headers={"content-type": "text/html; charset=utf-8"})
