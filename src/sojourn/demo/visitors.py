"""The visitors of the demo: browsers that keep cookies, and the small plays they act out. Knows no part of Sojourn.

Each browser keeps its own account of the visits it made, by the rules as the docs tell them and by its own clock. Where
that clock cannot tell (a pause of just about the idle timeout), the account has a least and a most.
"""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event as Signal
from threading import Lock, Thread
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import connect

from .shop import IDLE_TIMEOUT_S

_BLUR_S: Final = 0.05  # two clocks, both read a little late
_USER_AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1",
)
_REFERRERS: Final = ("https://search.example/", "https://garden-friends.example/", "https://news.example/", None)
_PAGE: Final = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "accept": "text/html"}
_FETCH: Final = {"sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "accept": "application/json"}


class GoneHome(Exception):
    """The demo is over: whoever waits leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What the visitors did, as they know it."""

    seconds: float
    visitors: int
    least_visits: int
    most_visits: int
    pages: int
    purchases: int
    troubles: Sequence[str]


class Browser:
    """One visitor's browser, from the first page to the last."""

    def __init__(self, address: str, stop: Signal) -> None:
        self.least_visits = self.most_visits = 0
        self.pages = self.purchases = 0
        self._address = address
        self._stop = stop
        self._user: str | None = None
        self._came_from = random.choice(_REFERRERS)  # noqa: S311 - no secret
        self._last: tuple[float, float] | None = None  # the latest activity: sent, and answered
        self._client = httpx.Client(
            base_url=address,
            headers={"user-agent": random.choice(_USER_AGENTS), "accept-language": "en"},  # noqa: S311 - no secret
            timeout=10,
            limits=httpx.Limits(
                max_keepalive_connections=0
            ),  # uvicorn closes one whose app failed, at no certain moment
            trust_env=False,  # a proxy of the environment has no business on the loopback
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def pause(self, seconds: float) -> None:
        """Read for a while; some read faster."""
        if self._stop.wait(seconds * random.uniform(0.9, 1.0)):  # noqa: S311 - no secret
            raise GoneHome

    def open(self, path: str) -> None:
        self._navigate("GET", path)

    def fetch(self, path: str) -> None:
        self._request("GET", path, _FETCH)

    def buy(self, seed: str) -> None:
        self.purchases += 1
        self._navigate("POST", f"/seeds/{seed}")

    def log_in(self, name: str) -> None:
        """Another user than the one before, with or without a logout between, makes it another visit."""
        self.open("/login")
        if self._user not in (None, name):
            self._count(1, 1)
        self._user = name
        self._navigate("POST", "/login", {"name": name})

    def log_out(self) -> None:
        """The visit goes on, and is nobody's until somebody logs in."""
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

    def _navigate(self, method: str, path: str, data: dict[str, str] | None = None) -> None:
        referrer = {} if self._came_from is None else {"referer": self._came_from}
        self._came_from = f"{self._address}{path}"
        response = self._request(method, path, {**_PAGE, **referrer}, data)
        if response.is_redirect:
            self._navigate("GET", response.headers["location"])
        else:
            self.pages += 1

    def _request(
        self, method: str, path: str, headers: dict[str, str], data: dict[str, str] | None = None
    ) -> httpx.Response:
        sent = time.monotonic()
        response = self._client.request(method, path, headers=headers, data=data)
        answered = time.monotonic()
        if self._last is None or sent - self._last[1] >= IDLE_TIMEOUT_S + _BLUR_S:
            self._count(1, 1)
        elif answered - self._last[0] >= IDLE_TIMEOUT_S - _BLUR_S:
            self._count(0, 1)
        self._last = (sent, answered)
        return response

    def _count(self, least: int, most: int) -> None:
        self.least_visits += least
        self.most_visits += most


def leaves(browser: Browser) -> None:
    """Looks around and never comes back."""
    browser.open("/")
    browser.fetch("/api/stock")
    browser.pause(0.6)
    browser.open("/seeds/tomato")
    browser.pause(0.6)
    browser.open("/letter")


def comes_back(browser: Browser) -> None:
    """Has a coffee of more than the idle timeout: a second visit, of the same user."""
    browser.open("/")
    browser.log_in("Ben")
    browser.pause(0.5)
    browser.buy("basil")
    browser.pause(2.6)
    browser.open("/")
    browser.pause(0.8)
    browser.open("/seeds/pumpkin")


def share_a_device(browser: Browser) -> None:
    """One user logs in where another one still is."""
    browser.open("/")
    browser.log_in("Cleo")
    browser.pause(1.3)
    browser.buy("marigold")
    browser.pause(0.7)
    browser.log_in("Dan")
    browser.pause(0.7)
    browser.open("/seeds/tomato")


def logs_out(browser: Browser) -> None:
    """Logs out, looks around once more, and makes room for somebody else."""
    browser.open("/seeds/basil")
    browser.log_in("Eve")
    browser.pause(0.8)
    browser.buy("basil")
    browser.pause(0.7)
    browser.log_out()
    browser.pause(0.7)
    browser.log_in("Finn")


def waters(browser: Browser) -> None:
    """Stays on one page, whose socket keeps the visit alive."""
    browser.open("/live")
    browser.water(9)


def meets_an_error(browser: Browser) -> None:
    """Opens the page that fails; the visit goes on."""
    browser.open("/")
    browser.pause(0.5)
    browser.open("/fail")
    browser.pause(0.7)
    browser.open("/")


_PLAYS: Final[Sequence[Callable[[Browser], None]]] = (
    leaves,
    comes_back,
    share_a_device,
    logs_out,
    waters,
    meets_an_error,
)


class Crowd:
    """All of them at once, each play again and again, every time by somebody new."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._stop = Signal()
        self._browsers: list[Browser] = []
        self._troubles: list[str] = []
        self._lock = Lock()

    def play(self, seconds: float | None) -> None:
        """Come, for so many seconds or until Ctrl-C; then all go home, none in the middle of a page."""
        threads = [Thread(target=self._repeat, args=(play,), name=play.__name__, daemon=True) for play in _PLAYS]
        try:
            for thread in threads:
                thread.start()
                self._stop.wait(0.15)  # people do not all come in at the same instant
            self._stop.wait(None if seconds is None else max(0.0, seconds - 0.15 * len(threads)))
        except KeyboardInterrupt:
            pass
        finally:
            self._stop.set()
            for thread in threads:
                if thread.ident is not None:  # else Ctrl-C came before this one did
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

    def _repeat(self, play: Callable[[Browser], None]) -> None:
        try:
            while not self._stop.is_set():
                with Browser(self._address, self._stop) as browser:
                    with self._lock:
                        self._browsers.append(browser)
                    play(browser)
                    browser.pause(3.0)
        except GoneHome:
            pass
        except Exception as error:  # noqa: BLE001 - a visitor's thread has nobody above it; the summary says it
            self._troubles.append(f"the visitor who {play.__name__} was stopped by {type(error).__name__}: {error}")
            self._stop.set()
