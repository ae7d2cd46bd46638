"""Access to the report: closed by default. Decides for one request, and renders nothing."""

from __future__ import annotations

import hashlib
import hmac
import inspect
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sojourn.errors import SettingsError
from sojourn.stores.protocol import Revocations

from ._attempts import Attempts, Moment
from ._credentials import OneTimeKey, Password, Token
from ._tickets import Ticket, Tickets
from ._web import Request
from .tokens import ApiToken

log = logging.getLogger("sojourn")

Allow = Callable[[Any], Any]

_FIX: Final = (
    "the report is closed until you say who may look: "
    'report(engine, password="..."), report(engine, token="...") for programs, or report(engine, allow=is_admin) with '
    "your own check, which gets the framework's request and returns a bool"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What grants access. `hosts`: which `Host` headers are served, for a report that owns its socket."""

    tickets: Tickets
    password: Password | None = None
    token: Token | None = None
    allow: Allow | None = None
    named: Callable[[str], ApiToken | None] | None = None
    """Finds a named token of the store; `None`: there are none. Raises `StoreError`."""
    one_time: OneTimeKey | None = None
    on_key_used: Callable[[], None] | None = None
    """Called when the one-time key has been used."""
    landing: str = "/"
    """The page that a one-time link opens."""
    hosts: Callable[[str], bool] | None = None
    attempts: Attempts | None = None
    """How many log-ins may be tried; `None` where there is nothing to guess."""

    @property
    def has_form(self) -> bool:
        """Whether there is a log-in form."""
        return self.password is not None or self.token is not None

    def serves(self, host: str) -> bool:
        """Whether to serve this `Host` header; a host name rebound to our address (DNS rebinding) is not served."""
        return self.hosts is None or self.hosts(host)

    def ticket(self, request: Request, now: int) -> Ticket | None:
        """The valid ticket of the request's cookies. Raises `StoreError` where log-outs cannot be looked up."""
        return self.tickets.read(request.cookies(self.tickets.name(is_https=request.facts.is_https)), now)

    def is_in(self, request: Request, ticket: Ticket | None) -> bool:
        if self.allow is not None:
            return request.is_allowed is True
        return ticket is not None and ticket.is_in

    def bears_token(self, request: Request, now: int) -> bool | ApiToken | None:
        """Whether the request bears the right token, or a named one; `None`: it bears none. A wrong one counts as an attempt.

        The right one is accepted however many attempts others make: it cannot be guessed, and guessing must not lock
        programs out.
        """
        scheme, _, value = request.header("authorization").partition(" ")
        if (self.token is None and self.named is None) or scheme.lower() != "bearer":
            return None
        guess = value.strip()
        if self.token is not None and self.token.is_right(guess):
            return True
        if self.named is not None and (named := self.named(guess)) is not None:
            return named
        return self._attempt(request, now, lambda: False) is True

    def check(self, request: Request, guess: str, now: int) -> bool | float:
        """Whether the guess is the password or the token; a number: too many attempts, retry after so many seconds."""
        return self._attempt(request, now, lambda: self._is_right(guess))

    def may_write(self, guess: str) -> bool:
        """Whether who logged in with this may define goals and the like. The token is for programs, which only read."""
        return self.password is not None and self.password.is_right(guess)

    def exchange(self, request: Request) -> bool:
        """Use up the one-time key in the URL; whether it was the current one."""
        if self.one_time is None or "key" not in request.query or not self.one_time.use(request.query["key"]):
            return False
        if self.on_key_used is not None:
            self.on_key_used()
        return True

    def _is_right(self, guess: str) -> bool:
        is_token = self.token is not None and self.token.is_right(guess)
        return is_token or (self.password is not None and self.password.is_right(guess))

    def _attempt(self, request: Request, now: int, is_right: Callable[[], bool]) -> bool | float:
        if self.attempts is None:
            return False
        address, name = request.facts.client_address(), self.tickets.browser_name(is_https=request.facts.is_https)
        browser = self.tickets.browser(request.cookies(name), now)
        wait = self.attempts.take(address, now, browser=browser)
        if wait:
            log.warning("the report rejected a log-in unread: too many attempts")
            return wait / 1000
        if not is_right():
            log.warning("a log-in to the report failed")
            return False
        self.attempts.succeeded(address, browser=browser)
        return True


def is_own_form(request: Request, tickets: Tickets, ticket: Ticket | None) -> bool:
    """Whether a form comes from a page of this report: by the browser's headers and by the form token.

    `Sec-Fetch-Site` is decided by the browser, and the only reliable header behind a proxy that rewrites `Host`. An older
    browser sends `Origin: null` with our own forms too (`Referrer-Policy: no-referrer`), so `null` proves nothing.
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
    revocations: Revocations,
    moments: Callable[[str], Moment],
    named: Callable[[str], ApiToken | None] | None = None,
) -> Access:
    """The access of a report inside an app. Raises `SettingsError` if it would be open to everyone or never open."""
    if password is None and token is None and allow is None:
        raise SettingsError(_FIX)
    if allow is not None and (password is not None or token is not None):
        msg = "allow: it decides alone; leave out password and token, or check them in your own function"
        raise SettingsError(msg)
    if allow is not None and not callable(allow):
        msg = f"allow: give a function that gets the framework's request and returns a bool; got {allow!r}"
        raise SettingsError(msg)
    tickets = Tickets(_key(secret_key, password, token), revocations)
    return Access(
        tickets=tickets,
        password=None if password is None else Password(password),
        token=None if token is None else Token(token),
        allow=allow,
        named=named if allow is None else None,
        attempts=Attempts(moments=lambda name: moments(f"{tickets.namespace}:{name}")),
    )


def _key(secret_key: tuple[bytes, ...], *credentials: str | None) -> bytes:
    """The key that signs tickets: the same in every worker of an app, and another one for a new password or token.

    Signatures of the app's secret made elsewhere are invalid here, and vice versa. Without a secret it is random.
    """
    if not secret_key:
        return os.urandom(32)
    digests = b"\0".join(hashlib.sha256((text or "").encode("utf-8", "surrogatepass")).digest() for text in credentials)
    return hmac.digest(secret_key[-1], b"sojourn.report\0" + digests, "sha256")


def is_async(allow: Allow) -> bool:
    """Whether calls must be awaited: a coroutine function, or an object whose `__call__` is one."""
    return inspect.iscoroutinefunction(allow) or inspect.iscoroutinefunction(type(allow).__call__)


def verdict_of(result: object) -> bool:
    """Check what `allow` returned. Only a bool counts: a forgotten call, such as `user.is_admin`, would be true as well.

    Raises `TypeError`.
    """
    if isinstance(result, bool):
        return result
    msg = f"allow: it must return a bool, and returned a {type(result).__name__}; the report stays closed"
    raise TypeError(msg)
