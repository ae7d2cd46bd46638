"""The demo's simulated visitors: browsers that keep cookies, and the scripts they follow. Independent of Sojourn.

Each browser counts its own visits, by the documented session rules and by its own clock. A pause of about the idle timeout
is ambiguous, so the count has a minimum and a maximum.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from math import inf
from threading import Event as Signal
from threading import Lock, Thread
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import connect

from .agents import read_shop
from .shop import IDLE_TIMEOUT_S, STAFF

_RELEASED_AFTER_S: Final = 20.0
_LONGEST_PAUSE_S: Final = 60.0
_BLUR_S: Final = 0.05  # two clocks, each read a little late
_USER_AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1",
)
_REFERRERS: Final = ("https://search.example/", "https://garden-friends.example/", "https://news.example/", None)
_NEWSLETTER: Final = "utm_source=newsletter&utm_medium=email&utm_campaign=sowing-calendar"
_SALE: Final = "utm_source=google&utm_medium=cpc&utm_campaign=spring-sale"
_REEL: Final = "utm_source=instagram&utm_medium=paid-social&utm_campaign=spring-sale"
_BROUGHT_BUYERS: Final = (_NEWSLETTER, _NEWSLETTER, _SALE, None)
_BROUGHT_OTHERS: Final = (_SALE, _SALE, _REEL, None, None)
"""What the first addresses of visitors carry in turn: one campaign brings those who buy."""
_PAGE: Final = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}
_FETCH: Final = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "accept": "application/json"}


class Stopped(Exception):
    """The demo has ended: waiting visitors leave."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What the visitors did, by their own count."""

    seconds: float
    visitors: int
    least_visits: int
    most_visits: int
    pages: int
    purchases: int
    troubles: Sequence[str]


class Browser:
    """One visitor's browser, from the first page to the last."""

    def __init__(self, address: str, stop: Signal, campaign: str | None) -> None:
        self.least_visits = self.most_visits = 0
        self.pages = self.purchases = 0
        self._address = address
        self._stop = stop
        self._user: str | None = None
        self._is_staff = False
        self._came_from = random.choice(_REFERRERS)  # noqa: S311 - no secret
        self._campaign = campaign
        self._last: tuple[float, float] | None = None  # the latest activity: when sent, when the response came
        self._client = httpx.Client(
            base_url=address,
            headers={"user-agent": random.choice(_USER_AGENTS), "accept-language": "en"},  # noqa: S311 - no secret
            timeout=10,
            limits=httpx.Limits(
                max_keepalive_connections=0
            ),  # uvicorn closes a connection some time after its app failed
            trust_env=False,  # no proxy for the loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def pause(self, seconds: float) -> None:
        """Read for a while; some visitors read faster."""
        if self._stop.wait(seconds * random.uniform(0.9, 1.0)):  # noqa: S311 - no secret
            raise Stopped

    def open(self, path: str) -> None:
        self._navigate("GET", path)

    def fetch(self, path: str) -> None:
        self._request("GET", path, _FETCH)

    def buy(self, seed: str) -> None:
        self._pay(f"/seeds/{seed}")

    def check_out(self) -> None:
        """Pay for the cart, which in a broken release may fail."""
        self._pay("/checkout")

    def log_in(self, name: str) -> None:
        """Log in. Another user than before starts another visit, with or without a logout in between."""
        self.open("/login")
        if self._user not in (None, name):
            self._count(1, 1)
        self._user = name
        self._navigate("POST", "/login", {"name": name})

    def log_in_as_staff(self) -> None:
        """Log in as one whom the shop leaves out: nothing counts any more."""
        self.open("/login")
        self._is_staff = True
        self._navigate("POST", "/login", {"name": STAFF})

    def log_out(self) -> None:
        """Log out. The visit continues without a user until the next log-in."""
        self._navigate("POST", "/logout")

    def water(self, times: int) -> None:
        """Keep a socket open and send a message now and then: activity, like a request."""
        url = urlsplit(self._address)
        raw = socket.create_connection((url.hostname, url.port), timeout=10)
        cookie = "; ".join(f"{name}={value}" for name, value in self._client.cookies.items())
        with connect(f"ws://{url.netloc}/live/socket", sock=raw, additional_headers={"cookie": cookie}) as live:
            for _ in range(times):
                self.pause(0.45)
                sent = time.monotonic()
                live.send("water")
                live.recv(10)
                self._last = (sent, time.monotonic())

    def _pay(self, path: str) -> None:
        self.purchases += self._navigate("POST", path) == 200

    def _navigate(self, method: str, path: str, data: dict[str, str] | None = None) -> int:
        """Open a page, follow its redirect, and return the status."""
        referrer = {} if self._came_from is None else {"referer": self._came_from}
        self._came_from = f"{self._address}{path}"
        if self._campaign is not None:
            path, self._campaign = f"{path}?{self._campaign}", None
        response = self._request(method, path, {**_PAGE, **referrer}, data)
        if response.is_redirect:
            return self._navigate("GET", response.headers["location"])
        self.pages += not self._is_staff
        return response.status_code

    def _request(
        self, method: str, path: str, headers: dict[str, str], data: dict[str, str] | None = None
    ) -> httpx.Response:
        sent = time.monotonic()
        response = self._client.request(method, path, headers=headers, data=data)
        received = time.monotonic()
        if self._is_staff:
            return response
        if self._last is None or sent - self._last[1] >= IDLE_TIMEOUT_S + _BLUR_S:
            self._count(1, 1)
        elif received - self._last[0] >= IDLE_TIMEOUT_S - _BLUR_S:
            self._count(0, 1)
        self._last = (sent, received)
        return response

    def _count(self, least: int, most: int) -> None:
        self.least_visits += least
        self.most_visits += most


def leave(browser: Browser) -> None:
    """Look around and never come back."""
    browser.open("/")
    browser.fetch("/api/stock")
    browser.pause(0.6)
    browser.open("/seeds/tomato")
    browser.pause(0.6)
    browser.open("/letter")


def come_back(browser: Browser) -> None:
    """Pause for longer than the idle timeout: a second visit of the same user."""
    browser.open("/")
    browser.log_in("Ben")
    browser.pause(0.5)
    browser.buy("basil")
    browser.pause(2.6)
    browser.open("/")
    browser.pause(0.8)
    browser.open("/seeds/pumpkin")


def share_a_device(browser: Browser) -> None:
    """Log in while another user is still logged in."""
    browser.open("/")
    browser.log_in("Cleo")
    browser.pause(1.3)
    browser.buy("marigold")
    browser.pause(0.7)
    browser.log_in("Dan")
    browser.pause(0.7)
    browser.open("/seeds/tomato")


def switch_user(browser: Browser) -> None:
    """Log out, look around, then log in as another user."""
    browser.open("/seeds/basil")
    browser.log_in("Eve")
    browser.pause(0.8)
    browser.buy("basil")
    browser.pause(0.7)
    browser.log_out()
    browser.pause(0.7)
    browser.log_in("Finn")


def stay_on_a_socket(browser: Browser) -> None:
    """Stay on one page, whose socket keeps the visit alive."""
    browser.open("/live")
    browser.water(9)


def search_and_check_out(browser: Browser) -> None:
    """Search, which is slow, and buy; every second checkout of the broken release fails."""
    browser.open("/")
    browser.open("/search/tomatoes")
    browser.pause(0.4)
    browser.open("/seeds/tomato")
    browser.open("/cart")
    browser.pause(0.4)
    browser.check_out()


def give_up_searching(browser: Browser) -> None:
    """Search, and leave."""
    browser.open("/")
    browser.pause(0.5)
    browser.open("/search/basil")


def get_errors(browser: Browser) -> None:
    """Ask for what is sold out, then open the page that fails; the visit continues."""
    browser.open("/")
    browser.pause(0.5)
    browser.buy("pumpkin")
    browser.pause(0.5)
    browser.open("/fail")
    browser.pause(0.7)
    browser.open("/")


def keep_the_shop(browser: Browser) -> None:
    """Look after the shop: one visit until the log-in, and nothing after it."""
    browser.log_in_as_staff()
    for path in ("/seeds/basil", "/cart"):
        browser.pause(0.5)
        browser.open(path)


_SCRIPTS: Final[Mapping[Callable[[Browser], None], Sequence[str | None]]] = {
    leave: _BROUGHT_OTHERS,
    come_back: _BROUGHT_BUYERS,
    share_a_device: _BROUGHT_BUYERS,
    switch_user: _BROUGHT_BUYERS,
    search_and_check_out: _BROUGHT_BUYERS,
    give_up_searching: _BROUGHT_OTHERS,
    stay_on_a_socket: _BROUGHT_OTHERS,
    get_errors: _BROUGHT_OTHERS,
    keep_the_shop: (None,),
}


class Crowd:
    """All scripts at once, each repeated by a new visitor every time; from the next release's start on, they go there."""

    def __init__(self, address: str, next_address: str) -> None:
        self._address, self._next_address = address, next_address
        self._stop = Signal()
        self._browsers: list[Browser] = []
        self._troubles: list[str] = []
        self._lock = Lock()

    def play(self, seconds: float | None, *, on_release: Callable[[], None]) -> None:
        """Run for so many seconds, or until Ctrl-C; then stop all visitors between two pages."""
        ends_at = inf if seconds is None else time.monotonic() + seconds
        released_at = time.monotonic() + min(_RELEASED_AFTER_S, inf if seconds is None else seconds / 2)
        threads = [
            Thread(target=self._repeat, args=(script,), name=script.__name__, daemon=True) for script in _SCRIPTS
        ]
        threads.append(Thread(target=self._crawl, name="agents", daemon=True))
        try:
            for thread in threads:
                thread.start()
                self._stop.wait(0.15)  # visitors do not all arrive at the same instant
            self._wait_until(released_at)
            self._address = self._next_address
            on_release()
            self._wait_until(ends_at)
        except KeyboardInterrupt:
            pass
        finally:
            self._stop.set()
            for thread in threads:
                if thread.ident is not None:  # else Ctrl-C came before it started
                    thread.join()

    def played(self, seconds: float) -> Played:
        browsers = [browser for browser in self._browsers if browser.most_visits]
        return Played(
            seconds=seconds,
            visitors=len(browsers),
            least_visits=sum(browser.least_visits for browser in browsers),
            most_visits=sum(browser.most_visits for browser in browsers),
            pages=sum(browser.pages for browser in browsers),
            purchases=sum(browser.purchases for browser in browsers),
            troubles=tuple(self._troubles),
        )

    def _wait_until(self, moment: float) -> None:
        self._stop.wait(None if moment == inf else max(0.0, moment - time.monotonic()))

    def _crawl(self) -> None:
        """Read the shop as crawlers and AI assistants do: no browser, and no visit."""
        with httpx.Client(base_url=self._address, timeout=10, trust_env=False) as client:
            try:
                read_shop(lambda path, agent: client.get(path, headers={"user-agent": agent}), self._stop)
            except httpx.TransportError as error:
                self._troubles.append(f"the agents were stopped by {type(error).__name__}: {error}")

    def _repeat(self, script: Callable[[Browser], None]) -> None:
        try:
            for number, campaign in enumerate(cycle(_SCRIPTS[script]), 1):
                with Browser(self._address, self._stop, campaign) as browser:
                    with self._lock:
                        self._browsers.append(browser)
                    script(browser)
                    # Later fewer come: an hour of the demo must not dwarf its past.
                    browser.pause(min(_LONGEST_PAUSE_S, 3.0 * number))
        except Stopped:
            pass
        except Exception as error:  # noqa: BLE001 - nothing above this thread handles it; the summary reports it
            self._troubles.append(f"the visitor of {script.__name__} was stopped by {type(error).__name__}: {error}")
            self._stop.set()
