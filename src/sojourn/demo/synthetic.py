"""Synthetic visits of a shop, as records in order of time. Pure: the same seed makes the same records.

Any number of months, in as much memory as the visitors of one moment need. Most visitors come once, some return within
days, a few are regulars with an account; traffic follows the hours of the day and the days of the week.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate, count, islice
from math import log
from typing import Final
from uuid import UUID

from sojourn.core.events import EXCEPTION, PAGE_VIEW, SESSION_PROPERTIES, USER_IDENTIFY, Scalar
from sojourn.core.ids import uuid7
from sojourn.core.records import ACTIVITY, REQUEST, STARTS, Entry, Origin, Record, Tag
from sojourn.core.session import EndReason

HOUR_MS: Final = 3_600_000
_REST_MS: Final = 31 * 60_000
"""Longer than the idle timeout: a returning visitor starts a new session."""
_REMEMBERED: Final = 4_000
"""How many visitors may return; beyond that a new one replaces another."""
_SESSIONS_OF_A_REGULAR: Final = 2_000
_DEVICES_OF_A_REGULAR: Final = 2

_FAILED: Final = 500

_HOURS: Final = (3, 2, 1, 1, 1, 2, 4, 7, 10, 12, 13, 13, 14, 13, 12, 12, 12, 13, 14, 16, 17, 15, 10, 6)
_WEEKDAYS: Final = (11, 11, 10, 10, 9, 12, 14)

_SERVICE: Final[Origin] = {"service.name": "seed-shop", "deployment.environment.name": "production"}
_BEFORE: Final = "2.9"
_RELEASE: Final = "2.10"
_RELEASED: Final = 0.7
"""After this share of the time the newer version runs: its checkout fails more often, and its search is slow."""

_SORTS: Final = ("tomato", "bean", "basil", "carrot", "lettuce", "pumpkin", "radish", "sunflower", "beetroot", "kale")
_NAMES: Final = ("early", "golden", "giant", "dwarf", "heirloom", "purple", "striped", "wild", "sweet", "winter")
_ADVICE: Final = ("sowing", "watering", "pruning", "compost", "slugs", "seedlings", "greenhouse", "harvest")
_QUERIES: Final = ("tomatoes", "basil", "easy to grow", "balcony", "organic")
_TRACKED: Final = ("add_to_cart", "newsletter_signup", "video_played", "wishlist_add")

_CAMPAIGNS: Final = (
    (None, 78),
    ("utm_source=google&utm_medium=cpc&utm_campaign=spring-sale", 8),
    ("utm_source=newsletter&utm_medium=email&utm_campaign=sowing-calendar", 7),
    ("utm_source=instagram&utm_medium=paid-social&utm_campaign=spring-sale", 4),
    ("utm_source=garden-friends&utm_medium=affiliate&utm_campaign=partners", 3),
)
_BUYERS: Final = {"sowing-calendar": 0.16, "spring-sale": 0.04, "partners": 0.08}
"""The share of later pages with a purchase, by campaign; else the least of them."""

_ERRORS: Final = (
    ("TimeoutError", "shop/stock.py", "reserve"),
    ("KeyError", "shop/cart.py", "Cart.total"),
    ("shop.payment.PaymentDeclinedError", "shop/payment.py", "charge"),
    ("jinja2.exceptions.UndefinedError", "templates/advice.html", "block 'related'"),
)
_NEW_ERROR: Final = ("decimal.InvalidOperation", "shop/checkout.py", "vat_of")
_MEDIAN_MS: Final = {"/search/{query}": 450, "/account/orders": 240, "/checkout": 120}
"""How long responses take: those of other routes 20 ms."""

_REFERRERS: Final = (
    (None, 46),
    ("https://www.google.com/", 24),
    ("https://duckduckgo.com/", 5),
    ("https://www.bing.com/", 5),
    ("https://news.ycombinator.com/item", 3),
    ("https://www.reddit.com/r/gardening/", 5),
    ("https://www.pinterest.com/", 4),
    ("https://garden-friends.example/links", 4),
    ("https://mail.example/", 4),
)
_AGENTS: Final = (
    (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36",
        26,
    ),
    (
        "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Mobile Safari/537.36",
        22,
    ),
    (
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
            " Mobile/15E148 Safari/604.1"
        ),
        20,
    ),
    (
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.{}"
            " Safari/605.1.15"
        ),
        8,
    ),
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0", 8),
    (
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{0}.0.0.0"
            " Safari/537.36 Edg/{0}.0.0.0"
        ),
        8,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:{0}.0) Gecko/20100101 Firefox/{0}.0", 3),
    (
        (
            "Mozilla/5.0 (iPad; CPU OS 18_{} like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1"
            " Mobile/15E148 Safari/604.1"
        ),
        3,
    ),
    (
        (
            "Mozilla/5.0 (Linux; Android 14; SM-S921B) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/27.{}"
            " Chrome/125.0.0.0 Mobile Safari/537.36"
        ),
        2,
    ),
)


@dataclass(slots=True)
class _Visitor:
    """One browser. `last_key` and `last_at` belong to its latest session."""

    visitor_id: str
    user_agent: str
    address: str
    number: int
    """The account's number; 0: no account."""
    is_regular: bool
    is_identified: bool = False
    """Whether an earlier session identified the account."""
    last_key: str | None = None
    last_at: int = 0


@dataclass(slots=True, order=True)
class _Visit:
    """A running session, ordered by the time of its next record."""

    at: int
    order: int
    records: list[Record] = field(compare=False)
    """Latest first."""


class SyntheticVisits:
    """`records()` yields all records, once."""

    def __init__(self, sessions: int, *, since: int, until: int, seed: int = 1) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - not a secret
        self._sessions, self._since, self._until = sessions, since, until
        self._resting: list[tuple[int, int, _Visitor]] = []
        self._ready: list[_Visitor] = []
        self._awaited: set[str] = set()
        self._order = count()
        self._accounts = count(1)
        self._pages = _shop(self._chance)
        self._page_weights = list(accumulate(weight for *_, weight in self._pages))
        self._regulars = [
            self._new_visitor(account, is_regular=True)
            for account in islice(self._accounts, 1 + sessions // _SESSIONS_OF_A_REGULAR)
            for _ in range(_DEVICES_OF_A_REGULAR)
        ]
        self.begun = 0
        """How many sessions have started so far."""

    def may_return(self, key: str) -> bool:
        """Whether this session's visitor may return: the next session will then refer to this one."""
        return key in self._awaited

    def records(self) -> Iterator[Record]:
        """All records in order of time."""
        running: list[_Visit] = []
        for start in self._starts():
            while running and running[0].at <= start:
                yield from self._next(running)
            heapq.heappush(running, self._visit(start))
        while running:
            yield from self._next(running)

    def _next(self, running: list[_Visit]) -> Iterator[Record]:
        visit = running[0]
        record = visit.records.pop()
        if visit.records:
            heapq.heapreplace(running, _Visit(visit.records[-1].at, visit.order, visit.records))
        else:
            heapq.heappop(running)
        self.begun += record.origin is not None
        yield record
        if record.origin is not None and record.previous_key is not None:
            self._awaited.discard(record.previous_key)  # only after the consumer has seen the record that refers to it

    def _starts(self) -> Iterator[int]:
        """When sessions start: the requested number, distributed over hours and weekdays."""
        first = self._since // HOUR_MS
        hours = range(first, -(-self._until // HOUR_MS))
        weights = [
            _HOURS[hour % 24] * _WEEKDAYS[(hour // 24 + 3) % 7] * (1 + (hour - first) / len(hours)) for hour in hours
        ]
        total, started, share = sum(weights), 0, 0.0
        for hour, weight in zip(hours, weights, strict=True):
            share += weight / total * self._sessions
            this_hour = round(share) - started
            started += this_hour
            low, high = max(self._since, hour * HOUR_MS), min(self._until, (hour + 1) * HOUR_MS)
            yield from sorted(self._chance.randrange(low, high) for _ in range(this_hour))

    def _visit(self, start: int) -> _Visit:
        visitor = self._next_visitor(start)
        key = uuid7(start, self._chance.randbytes(10))
        records = self._session(visitor, key, start)
        visitor.last_key, visitor.last_at = key, records[-1].at
        self._awaited.add(key)
        if not visitor.is_regular:
            heapq.heappush(self._resting, (visitor.last_at + _REST_MS, next(self._order), visitor))
        records.reverse()
        return _Visit(start, next(self._order), records)

    def _next_visitor(self, start: int) -> _Visitor:
        chance = self._chance
        while self._resting and self._resting[0][0] <= start:
            visitor = heapq.heappop(self._resting)[2]
            if len(self._ready) < _REMEMBERED:
                self._ready.append(visitor)
            else:
                place = chance.randrange(_REMEMBERED)
                self._awaited.discard(self._ready[place].last_key or "")
                self._ready[place] = visitor
        if chance.random() < 0.04:
            regular = self._regulars[int(len(self._regulars) * chance.random() ** 2)]
            if regular.last_at + _REST_MS <= start:
                return regular
        if self._ready and chance.random() < 0.34:
            # The latest of three: visitors return soon or not at all.
            place = max((chance.randrange(len(self._ready)) for _ in range(3)), key=lambda n: self._ready[n].last_at)
            self._ready[place], self._ready[-1] = self._ready[-1], self._ready[place]
            return self._ready.pop()
        return self._new_visitor(next(self._accounts) if chance.random() < 0.3 else 0)

    def _new_visitor(self, account: int, *, is_regular: bool = False) -> _Visitor:
        chance = self._chance
        agent = chance.choices([agent for agent, _ in _AGENTS], [weight for _, weight in _AGENTS])[0]
        return _Visitor(
            visitor_id=str(UUID(bytes=chance.randbytes(16), version=4)),
            user_agent=agent.format(chance.randrange(1, 6) if "_{}" in agent else chance.randrange(136, 145)),
            address=f"203.0.{chance.randrange(113, 120)}.0",
            number=account,
            is_regular=is_regular,
        )

    def _session(self, visitor: _Visitor, key: str, start: int) -> list[Record]:
        chance = self._chance
        pages = 1 if chance.random() < 0.36 else 2 + min(60, int(chance.expovariate(1 / 5.9)))
        records: list[Record] = []
        at = start
        campaign = chance.choices([value for value, _ in _CAMPAIGNS], [weight for _, weight in _CAMPAIGNS])[0]
        for number in range(pages):
            path, route, _ = self._pages[self._page(number)]
            view = self._view(path, route, at)
            entries = [Entry(PAGE_VIEW, at, view)]
            if view["http.response.status_code"] == _FAILED and chance.random() < 0.8:
                entries.append(Entry(EXCEPTION, at, self._error(route, at)))
            if number and chance.random() < 0.14:
                entries.append(self._other_event(at, path))
            if number and chance.random() < _buyers(campaign):
                entries.append(Entry("purchase", at, self._purchase()))
            if number == 1 and visitor.number and not visitor.is_identified:
                visitor.is_identified = True
                entries.append(_identify(visitor.number, at))
            origin: Origin | None = None
            if not number:
                referrer = chance.choices([value for value, _ in _REFERRERS], [weight for _, weight in _REFERRERS])[0]
                origin = {
                    "url.path": path,
                    "user_agent.original": visitor.user_agent,
                    "client.address": visitor.address,
                    "service.version": self._version(at),
                    **_SERVICE,
                }
                if campaign is not None:
                    origin["url.query"] = campaign
                if referrer is not None:
                    origin["http.request.header.referer"] = referrer
            has_previous = visitor.last_key is not None
            records.append(
                Record(
                    at,
                    key,
                    visitor.visitor_id,
                    start,
                    ACTIVITY | REQUEST | (0 if number else STARTS),
                    previous_key=visitor.last_key,
                    previous_seen_at=visitor.last_at,
                    previous_reason=EndReason.IDLE_TIMEOUT if has_previous else None,
                    entries=tuple(entries),
                    origin=origin,
                )
            )
            at += min(25 * 60_000, int(chance.lognormvariate(10.5, 1.1)))
            if at >= self._until:
                break
        return records

    def _page(self, number: int) -> int:
        """Choose a page: first often the front page, later any."""
        if number == 0 and self._chance.random() < 0.3:
            return 0
        return self._chance.choices(range(len(self._pages)), cum_weights=self._page_weights)[0]

    def _version(self, at: int) -> str:
        return _RELEASE if at >= self._since + _RELEASED * (self._until - self._since) else _BEFORE

    def _error(self, route: str, at: int) -> dict[str, Scalar]:
        chance = self._chance
        is_new = route == "/checkout" and self._version(at) == _RELEASE
        kind, file, function = _NEW_ERROR if is_new else chance.choice(_ERRORS)
        place = f"{file} in {function}"
        return {
            "exception.type": kind,
            "exception.group": f"{kind} at {place}",
            "exception.place": place,
            "exception.stacktrace": f"shop/views.py:{chance.randrange(20, 400)} in view\n{file}:41 in {function}",
            "exception.escaped": True,
        }

    def _purchase(self) -> dict[str, Scalar]:
        chance = self._chance
        return {
            "event_properties.currency": chance.choice(("EUR", "EUR", "EUR", "GBP")),
            "event_properties.total": round(chance.lognormvariate(3.2, 0.6), 2),
            "event_properties.gift": chance.random() < 0.1,
        }

    def _view(self, path: str, route: str, at: int) -> dict[str, Scalar]:
        chance, is_new = self._chance.random(), self._version(at) == _RELEASE
        failing = 0.03 if is_new and route == "/checkout" else 0.004
        status = _FAILED if chance < failing else 404 if chance < failing + 0.01 else 200
        median_ms = _MEDIAN_MS.get(route, 20) * (3 if is_new and route.startswith("/search") else 1)
        attributes: dict[str, Scalar] = {
            "url.path": path,
            "http.request.method": "POST" if path == "/checkout" else "GET",
            "http.response.status_code": status,
            "page_view.duration_ms": round(self._chance.lognormvariate(log(median_ms), 0.8), 1),
            "http.route": route,
        }
        if status != 200:
            attributes["error.type"] = str(status)
        return attributes

    def _other_event(self, at: int, path: str) -> Entry:
        chance = self._chance
        kind = chance.random()
        if kind < 0.02:
            return Entry(EXCEPTION, at, {**self._error("", at), "exception.escaped": False})
        if kind < 0.16:
            plan: dict[str, Scalar] = {"session_properties.plan": chance.choice(("free", "free", "garden", "farm"))}
            return Entry(SESSION_PROPERTIES, at, plan)
        attributes: dict[str, Scalar] = {"event_properties.value": round(chance.uniform(1, 60), 2), "url.path": path}
        return Entry(chance.choice(_TRACKED), at, attributes)


def _buyers(campaign: str | None) -> float:
    return _BUYERS.get((campaign or "").rpartition("=")[2], 0.01)


def _identify(number: int, at: int) -> Entry:
    name = f"{_NAMES[number % 10].title()} {_SORTS[number // 10 % 10].title()}"
    return Entry(USER_IDENTIFY, at, tag=Tag(str(100_000 + number), name, {"plan": "garden" if number % 4 else "farm"}))


def _shop(chance: random.Random) -> list[tuple[str, str, float]]:
    """Path, route and weight of each page; the front page first."""
    seeds = [f"/seeds/{name}-{sort}-{size}" for name in _NAMES for sort in _SORTS for size in ("packet", "box", "bulk")]
    chance.shuffle(seeds)
    advice = [f"/advice/{topic}-in-{month}" for topic in _ADVICE for month in ("spring", "summer", "autumn", "winter")]
    return [
        ("/", "/", 14),
        ("/seeds", "/seeds", 12),
        ("/cart", "/cart", 7),
        ("/checkout", "/checkout", 3),
        ("/account", "/account", 4),
        ("/account/orders", "/account/orders", 3),
        *((f"/search/{query.replace(' ', '-')}", "/search/{query}", 1.2) for query in _QUERIES),
        *((path, "/seeds/{seed}", 24 / (place + 4)) for place, path in enumerate(seeds)),
        *((path, "/advice/{slug}", 6 / (place + 3)) for place, path in enumerate(advice)),
    ]
