"""The visitors: threads that browse the site over real HTTP, keep their cookie, and write down all they did.

What they do is drawn from a seed, so a run can be repeated; when the response comes is not. Independent of Sojourn.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from threading import Event as Signal
from threading import Thread
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from .truth import Step, Truth

_HEADERS: Final = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html",
    "Accept-Language": "en",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Site": "none",
    "Connection": "close",
}
_PATIENCE_S: Final = 60.0
_TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Host:
    """Where a visitor may go: its address now (a restart may change it), and how far its clock is from ours."""

    url: Callable[[], str]
    skew_ms: Callable[[], int] = lambda: 0

    @classmethod
    def at(cls, url: str) -> Self:
        return cls(lambda: url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How visitors behave: how long they read (seconds), and how often they do what changes a session."""

    reads_s: tuple[float, float] = (0.02, 0.2)
    pages: tuple[int, int] = (3, 9)
    identifies: float = 0.25
    sets_cart: float = 0.2
    ends: float = 0.1
    lingers: float = 0.3
    """How often the page takes its time, so that a process can die in the middle of it."""
    always_ends: bool = False
    """The last page of each visit ends the session: for faults with a long idle timeout."""
    rests_s: tuple[float, float] | None = None
    """Some visitors come back after so long; longer than the idle timeout, or there is little to see."""


class Crowd:
    """Visitors one after another, `threads` of them at a time, until it is left."""

    def __init__(
        self,
        truth: Truth,
        hosts: Sequence[Host],
        *,
        manners: Manners,
        threads: int = 8,
        seed: int = 1,
    ) -> None:
        self.truth = truth
        self._hosts = hosts
        self._manners = manners
        self._stop = Signal()
        self._threads = [
            Thread(target=self._browse, args=(random.Random(f"{seed}-{number}"),), name=f"visitor-{number}")
            for number in range(threads)
        ]
        self.faults: list[BaseException] = []

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(_PATIENCE_S * 2)
        if self.faults and error is None:
            raise self.faults[0]

    def _browse(self, chance: random.Random) -> None:
        try:
            while not self._stop.is_set():
                _Visitor(self, chance, self._hosts, self._manners, self._stop).visit()
        except BaseException as error:  # noqa: BLE001 - a thread's error is raised again where the crowd is left
            self.faults.append(error)


class _Visitor:
    """One browser from its first page to its last."""

    def __init__(
        self, crowd: Crowd, chance: random.Random, hosts: Sequence[Host], manners: Manners, stop: Signal
    ) -> None:
        self._truth = crowd.truth
        self._chance = chance
        self._hosts = hosts
        self._manners = manners
        self._stop = stop
        self._number = self._truth.new_visitor()
        self._cookies: dict[str, str] = {}
        self._user: str | None = None

    def visit(self) -> None:
        pages = self._chance.randint(*self._manners.pages)
        comes_back = self._manners.rests_s is not None and self._chance.random() < 0.3
        for page in range(pages):
            is_last = page == pages - 1
            if not self._ask(self._next(is_first=page == 0, is_last=is_last)):
                return
            if self._stop.is_set() and not self._manners.always_ends:
                return
            if comes_back and page == pages // 2 and self._manners.rests_s:
                self._stop.wait(self._chance.uniform(*self._manners.rests_s))
            time.sleep(self._chance.uniform(*self._manners.reads_s))

    def _next(self, *, is_first: bool, is_last: bool) -> Step:
        step = Step(serial=self._truth.new_serial(), visitor=self._number)
        if is_last and self._manners.always_ends:
            step.ends = True
        elif not is_first:
            if self._chance.random() < self._manners.identifies:
                step.user = f"user-{self._number}-{self._chance.choice('aab')}"
            elif self._chance.random() < self._manners.sets_cart:
                step.cart = step.serial
            elif self._chance.random() < self._manners.ends:
                step.ends = True
        return step

    def _ask(self, step: Step) -> bool:
        """Make a request, and again (as another) while no response comes. False: the visitor gives up and goes."""
        for _ in range(_TRIES):
            is_first = not self._cookies
            self._exchange(step)
            self._truth.note(step)
            if step.is_complete:
                return True
            if is_first or step.changes_state:
                return False
            time.sleep(0.2)
            step = Step(serial=self._truth.new_serial(), visitor=self._number, cart=step.cart)
        return False

    def _exchange(self, step: Step) -> None:
        query = [f"user={step.user}"] if step.user else []
        query += [f"cart={step.cart}"] if step.cart else []
        query += ["end=1"] if step.ends else []
        query += ["slow=1"] if self._chance.random() < self._manners.lingers else []
        headers = dict(_HEADERS)
        if self._cookies:
            headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        host = self._hosts[self._chance.randrange(len(self._hosts))]
        try:
            with closing(self._connected(host)) as connection:
                step.sent_at, step.skew_ms = time.time() * 1000, host.skew_ms()
                connection.request("GET", f"/page/{step.serial}?{'&'.join(query)}", headers=headers)
                response = connection.getresponse()
                response.read()
                step.responded_at, step.status = time.time() * 1000, response.status
                step.is_between_clocks = step.skew_ms != host.skew_ms()
        except (OSError, HTTPException):
            step.sent_at = step.sent_at or time.time() * 1000
            return
        step.session = response.headers.get("X-Session") or None
        step.took_ms = float(response.headers.get("X-Took-Ms", 0))
        for cookie in response.headers.get_all("Set-Cookie", []):
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name.strip()] = value

    @staticmethod
    def _connected(host: Host) -> HTTPConnection:
        """A connection, also to a server that is just being restarted: what is refused here never was a request."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            connection = HTTPConnection(urlsplit(host.url()).netloc, timeout=_PATIENCE_S)
            try:
                connection.connect()
            except OSError:
                connection.close()
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return connection
