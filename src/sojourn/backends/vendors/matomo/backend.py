"""Matomo: send sessions as visits to the tracking API of your Matomo, in bulk.

https://developer.matomo.org/api-reference/tracking-api#bulk-tracking
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar, Final, Unpack

from sojourn.backends._json import to_json
from sojourn.backends.http import HttpCall, Unsendable
from sojourn.backends.outcomes import Delivered, Outcome, Pause, Response, RetryLater
from sojourn.backends.packing import CallLimits, Pack, Piece, packed_calls
from sojourn.backends.protocol import Rejection
from sojourn.backends.receipts import json_object, not_a_receipt
from sojourn.backends.vendor import VendorBackend, VendorOptions
from sojourn.backends.vendor_url import checked_address, checked_key
from sojourn.core.events import Event
from sojourn.errors import SettingsError

from .requests import Site, grouped, is_nothing, request

_FILE: Final = "/matomo.php"
_HEAD: Final = b'{"requests":['
_REQUESTS: Final = 50
"""Small calls: what was in one whose response was lost counts twice."""
_BYTES: Final = 500_000
_MOST: Final = 999

Groups = Sequence[Sequence[Event]]


class MatomoBackend(VendorBackend):
    """Sends to a Matomo of your own, or in its cloud.

    `address`: of its `matomo.php`, or of the folder above. `key`: a `token_auth` with write access to the site. `site`: the
    site's number. `base_url`: the address of your site (`https://shop.example`), without which Matomo knows no page.
    `user_ids`: whether to send users; see the docs for what to set in Matomo first. `dimensions`: the numbers of Matomo's
    custom dimensions by the attribute that each gets: `{"session.end_reason": 1}`, or as text `"session.end_reason:1"`.
    """

    scheme = "matomo"
    key_name = "token"
    url_form = "{scheme}+https://<token>@<host>/matomo.php?site=<number>&base_url=<https://your.site>"
    fake = "sojourn.backends.vendors.matomo.fake:FakeMatomo"
    # Matomo reads browser and address from each request.
    wants_context = True
    takes_revised_ends = True
    compresses_by_default = False
    own_options: ClassVar[Mapping[str, type]] = {
        "site": str,
        "base_url": str,
        "user_ids": bool,
        "dimensions": list,
    }

    def __init__(
        self,
        address: str,
        key: str,
        *,
        site: int | str | None = None,
        base_url: str | None = None,
        user_ids: bool = False,
        dimensions: Mapping[str, int] | Sequence[str] = (),
        **options: Unpack[VendorOptions],
    ) -> None:
        url = checked_address(address, self.scheme)
        target = Site(
            id=_checked_site(site),
            base_url=_checked_base(base_url, self.scheme),
            has_user_ids=user_ids,
            dimensions=_checked_dimensions(dimensions),
        )
        url = url if url.endswith(".php") else url + _FILE
        super().__init__(_Encoder(url, checked_key(key, self.scheme, self.key_name), target), **options)

    def accepts(self, event: Event) -> bool:
        return not is_nothing(event) and super().accepts(event)


class _Encoder:
    def __init__(self, url: str, token: str, site: Site) -> None:
        self._url = url
        self._site = site
        self._tail = b'],"token_auth":' + to_json(token) + b"}"
        self._limits = CallLimits(bytes=_BYTES, pieces=_REQUESTS, frame=len(_HEAD) + len(self._tail))

    def encode(self, batch: Sequence[Event]) -> Iterator[HttpCall | Unsendable]:
        groups = {events[0].id: events for events in grouped(batch)}
        pieces = (Piece(to_json(request(events, self._site)), events) for events in groups.values())
        yield from packed_calls(pieces, self._limits, partial(self._call, groups))

    def _call(self, groups: Mapping[str, Sequence[Event]], pack: Pack) -> HttpCall:
        own = [groups[event.id] for event in pack.events if event.id in groups]
        return HttpCall(
            "POST",
            self._url,
            pack.events,
            body=pack.joined(_HEAD, self._tail),
            headers={"content-type": "application/json"},
            interpret=partial(_outcome, own),
        )


def _outcome(groups: Groups, response: Response) -> Outcome | None:
    document = json_object(response.body) or {}
    tracked, invalid = document.get("tracked"), document.get("invalid")
    if response.status == 400:
        # Of requests it says what is wrong with a 200. This is the page for those who send it none.
        return Pause(
            reason="HTTP 400: Matomo finds no requests in the call; check that its plugin BulkTracking is active"
        )
    if response.status != 200:
        if 200 < response.status < 300:
            return not_a_receipt(response, "Matomo responds with 200 and what it tracked")
        # Its own error has undone the whole call.
        return RetryLater() if document.get("status") == "error" else None
    if document.get("status") != "success" or type(tracked) is not int or type(invalid) is not int:
        return not_a_receipt(response, "Matomo responds with 200 and what it tracked")
    if not tracked:
        why = "the token is wrong or has no write access to the site, or the site does not exist" if invalid else ""
        return Pause(
            reason=f"Matomo tracked none of {len(groups)} requests: {why or 'its tracking is switched off'}; "
            "check token and site in Administration"
        )
    return Delivered(rejected=tuple(_rejections(groups, tracked, invalid, document.get("invalid_indices"))))


def _rejections(groups: Groups, tracked: int, invalid: int, indices: object) -> Iterator[Rejection]:
    """Return what was not tracked. The rest of the call was, so nothing of it can be sent again to find out more."""
    refused: list[int] = []
    if isinstance(indices, list):
        refused = [index for index in indices if type(index) is int and 0 <= index < len(groups)]
    elif invalid:
        # Only a super user's token is told which. Alone among others, Matomo refuses what is older than its raw data.
        refused = sorted(range(len(groups)), key=lambda index: groups[index][0].time)[:invalid]
    lost = max(0, len(groups) - tracked - len(refused))
    left = [index for index in range(len(groups)) if index not in refused]
    for reason, chosen in (
        ("Matomo considers the request invalid: it is older than the raw data that Matomo keeps", refused),
        ("Matomo did not record as many requests as the call had; which one is unknown", left[len(left) - lost :]),
    ):
        for index in chosen:
            for event in groups[index]:
                yield Rejection(event_id=event.id, reason=reason, status=200)


def _checked_site(site: int | str | None) -> int:
    text = str(site or "").strip()
    if not (text.isascii() and text.isdigit() and int(text)):
        raise SettingsError(
            f"matomo: site must be the number of a site, got {site!r}; Matomo shows it under Websites (in a URL: ?site=1)"
        )
    return int(text)


def _checked_base(base_url: str | None, scheme: str) -> str:
    if not base_url:
        raise SettingsError(
            "matomo: base_url is missing: the address of your site (in a URL: &base_url=https://shop.example)"
        )
    return checked_address(base_url, f"{scheme}: base_url")


def _checked_dimensions(dimensions: Mapping[str, int] | Sequence[str]) -> Mapping[str, int]:
    pairs: list[tuple[Any, Any]]
    if isinstance(dimensions, Mapping):
        pairs = list(dimensions.items())
    else:
        pairs = [(name, number) for name, _, number in (text.rpartition(":") for text in dimensions)]
    numbers: dict[str, int] = {}
    for name, number in pairs:
        text = str(number)
        if not name or not (text.isascii() and text.isdigit() and 0 < int(text) <= _MOST):
            raise SettingsError(
                f"matomo: dimensions: {name!r:.60} with {number!r:.20} is no attribute with the number of a custom dimension; "
                "write, for example, session.end_reason:1"
            )
        numbers[name] = int(text)
    return numbers
