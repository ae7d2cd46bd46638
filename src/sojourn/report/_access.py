"""Who may look: closed by default. Decides for one request; knows no page, and shows none."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from sojourn.errors import SettingsError

from ._attempts import Attempts
from ._credentials import OneTimeKey, Password, Token
from ._tickets import Ticket, Tickets
from ._web import Request

log = logging.getLogger("sojourn")

Allow = Callable[[Any], Any]

_FIX: Final = (
    "a mounted report cannot know who stands in front of it, so it is closed until you say who may look: "
    'report(engine, password="..."), report(engine, token="...") for programs, or report(engine, allow=is_admin) with '
    "your own check, which gets the framework's request and answers True or False"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What opens the report. `hosts`: the only `Host` headers that are answered, for a report that owns its socket."""

    tickets: Tickets
    password: Password | None = None
    token: Token | None = None
    allow: Allow | None = None
    one_time: OneTimeKey | None = None
    used: Callable[[], None] | None = None
    """Called when the one-time key was used up."""
    landing: str = "/"
    """Where the one-time key leads."""
    hosts: Callable[[str], bool] | None = None
    attempts: Attempts = field(default_factory=Attempts)
    monotonic: Callable[[], float] = time.monotonic

    @property
    def has_form(self) -> bool:
        """Whether there is anything to type into a log-in form."""
        return self.password is not None or self.token is not None

    def may_be_asked_by(self, host: str) -> bool:
        """A page of another site, whose name was rebound to this address, shows in the `Host` header."""
        return self.hosts is None or self.hosts(host)

    def ticket(self, request: Request, now: int) -> Ticket | None:
        return self.tickets.read(request.cookies(self.tickets.name(is_https=request.facts.is_https)), now)

    def is_in(self, request: Request, ticket: Ticket | None) -> bool:
        if self.allow is not None:
            return request.is_allowed is True
        return ticket is not None and ticket.is_in

    def bears_token(self, request: Request) -> bool | None:
        """Whether a program sent the token; `None`: it sent none. A wrong one counts as a try.

        A right one is taken whoever else tries: nobody guesses it, and nobody shall shut a program out.
        """
        scheme, _, value = request.header("authorization").partition(" ")
        if self.token is None or scheme.lower() != "bearer":
            return None
        return self.token.is_right(value.strip()) or self._tried(request, lambda: False) is True

    def opens(self, request: Request, guess: str) -> bool | float:
        """Whether this is the password or the token; a number: for how many seconds nobody may try."""
        return self._tried(request, lambda: self._is_right(guess))

    def exchange(self, request: Request) -> bool:
        """Whether the URL carries the key of an address that a terminal showed."""
        if self.one_time is None or "key" not in request.query or not self.one_time.use(request.query["key"]):
            return False
        if self.used is not None:
            self.used()
        return True

    def _is_right(self, guess: str) -> bool:
        is_token = self.token is not None and self.token.is_right(guess)
        return is_token or (self.password is not None and self.password.is_right(guess))

    def _tried(self, request: Request, check: Callable[[], bool]) -> bool | float:
        address = request.facts.client_address()
        wait = self.attempts.take(address, self.monotonic())
        if wait is not None:
            log.warning("the report refused a log-in unread: too many tries")
            return wait
        if not check():
            log.warning("a log-in to the report failed")
            return False
        self.attempts.succeeded(address)
        return True


def is_own_form(request: Request, tickets: Tickets, ticket: Ticket | None) -> bool:
    """Whether a form was sent from a page of ours: by what the browser says, and by the token that only it could know.

    `Sec-Fetch-Site` is the browser's own word, and behind a proxy that rewrites `Host` the only one. An older browser's
    `Origin` is `null` with our own forms too (`Referrer-Policy: no-referrer`), so that alone tells nothing.
    """
    site, origin = request.header("sec-fetch-site"), request.header("origin")
    if site and site != "same-origin":
        return False
    if (
        not site
        and origin
        and origin != "null"
        and origin.partition("://")[2].lower() != request.header("host").lower()
    ):
        return False
    return ticket is not None and tickets.is_form_token(ticket, request.form.get("csrf", ""))


def mounted_access(
    secret_key: tuple[bytes, ...],
    *,
    password: str | None,
    token: str | None,
    allow: Allow | None,
    monotonic: Callable[[], float] = time.monotonic,
) -> Access:
    """For a report inside an app. Raises `SettingsError` where nobody is named who may look, with the fix."""
    if password is None and token is None and allow is None:
        raise SettingsError(_FIX)
    if allow is not None and (password is not None or token is not None):
        msg = "allow: it decides alone; leave out password and token, or check them in your own function"
        raise SettingsError(msg)
    if allow is not None and not callable(allow):
        msg = f"allow: give a function that gets the framework's request and answers True or False; got {allow!r}"
        raise SettingsError(msg)
    return Access(
        tickets=Tickets(_key(secret_key, password, token)),
        password=None if password is None else Password(password),
        token=None if token is None else Token(token),
        allow=allow,
        monotonic=monotonic,
    )


def _key(secret_key: tuple[bytes, ...], *credentials: str | None) -> bytes:
    """The key of the tickets: every worker of an app makes the same one, and a new password is a new key.

    What an app's secret signs elsewhere is nothing here, and the other way round. Without a secret, this process's own.
    """
    if not secret_key:
        return os.urandom(32)
    told = b"\0".join(hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).digest() for text in credentials)
    return hmac.digest(secret_key[-1], b"sojourn.report\0" + told, "sha256")


def is_async(allow: Allow) -> bool:
    """Whether a call of it is to be awaited: a coroutine function, or an object that is called as one."""
    return inspect.iscoroutinefunction(allow) or inspect.iscoroutinefunction(type(allow).__call__)


def verdict_of(answer: object) -> bool:
    """What the app's `allow` said. Only True and False are answers: a method that nobody called would be true as well."""
    if isinstance(answer, bool):
        return answer
    msg = f"allow: it must answer True or False, and answered a {type(answer).__name__}; the report stays closed"
    raise TypeError(msg)
