"""The report's cookies: a signed ticket that marks a browser as logged in, the CSRF token derived from it, and the mark
of a browser that has logged in before.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadSignature, Signer

from sojourn.stores.protocol import Revocations
from sojourn.tracking.cookie_policy import set_cookie

LASTS_MS: Final = 12 * 3_600_000
BROWSER_LASTS_MS: Final = 180 * 86_400_000
_SALT: Final = "sojourn.report"
_BROWSER: Final = "browser"
_LONGEST: Final = 256


@dataclass(frozen=True, slots=True)
class Ticket:
    """A browser's ticket; `until` in ms. There is one before the log-in too: it protects the log-in form itself."""

    id: str
    is_in: bool
    until: int
    may_write: bool = False
    """Whether its reader may define what others see: goals, funnels and the like."""


class Tickets:
    """Makes and reads tickets. With a `key` derived from the app's secret, workers accept each other's tickets.

    `revocations`: where log-outs are kept. Where that is the store, `read` and `revoke` raise `StoreError`.
    """

    def __init__(self, key: bytes, revocations: Revocations, *, name: str = "sojourn_report") -> None:
        self._signer = Signer(key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
        self._key = hmac.digest(key, b"sojourn.report csrf", "sha256")
        self._name = name
        self._revocations = revocations
        self.namespace = hmac.digest(key, b"sojourn.report attempts", "sha256").hex()
        """What tells the log-in attempts of this report from those of another one. Changes with the password."""

    def new(self, now: int, *, is_in: bool, may_write: bool = False) -> Ticket:
        return Ticket(secrets.token_hex(16), is_in, now + LASTS_MS, may_write)

    def read(self, values: Iterable[str], now: int) -> Ticket | None:
        """The best valid ticket of these cookies: logged in, if there is one. Not valid: forged, expired, revoked."""
        tickets = [ticket for value in values if (ticket := self._read(value)) is not None]
        valid = [
            ticket
            for ticket in tickets
            if now < ticket.until <= now + LASTS_MS and not (ticket.is_in and self._revocations.has(_hashed(ticket)))
        ]
        return max(valid, key=lambda ticket: (ticket.is_in, ticket.may_write, ticket.until), default=None)

    def revoke(self, ticket: Ticket, now: int) -> None:
        """Log out: the ticket is no longer accepted, nor a copy of it, by any process that shares the revocations."""
        self._revocations.add(_hashed(ticket), until=ticket.until, now=now)

    def name(self, *, is_https: bool) -> str:
        return f"__Secure-{self._name}" if is_https else self._name

    def cookie(self, ticket: Ticket, *, path: str, is_https: bool) -> str:
        kind = "own" if ticket.may_write else "in" if ticket.is_in else "out"
        value = f"{kind}.{ticket.id}.{ticket.until}"
        return _cookie(self.name(is_https=is_https), self._signed(value), path, is_https=is_https)

    def expired_cookie(self, *, path: str, is_https: bool) -> str:
        return _cookie(self.name(is_https=is_https), "", path, is_https=is_https, max_age=0)

    def form_token(self, ticket: Ticket) -> str:
        """The CSRF token of a ticket's forms. Another site can make a browser send the cookie, but cannot know this."""
        return hmac.new(self._key, f"{ticket.id}.{ticket.is_in}".encode(), "sha256").hexdigest()

    def is_form_token(self, ticket: Ticket, token: str) -> bool:
        return hmac.compare_digest(self.form_token(ticket).encode(), token.encode("utf-8", "replace"))

    # --- browsers that have logged in before

    def browser_name(self, *, is_https: bool) -> str:
        return f"{self.name(is_https=is_https)}_browser"

    def browser_cookie(self, now: int, *, path: str, is_https: bool) -> str:
        """The mark of a browser that has logged in. It grants no access: only attempts that others cannot use up."""
        value = self._signed(f"{_BROWSER}.{secrets.token_hex(16)}.{now + BROWSER_LASTS_MS}")
        name, max_age = self.browser_name(is_https=is_https), BROWSER_LASTS_MS // 1000
        return _cookie(name, value, path, is_https=is_https, max_age=max_age)

    def browser(self, values: Iterable[str], now: int) -> str | None:
        """The id of a browser that has logged in before, from its cookies; `None`: it has not, or not for long."""
        for value in values:
            kind, own_id, until = self._unsigned(value) or ("", "", 0)
            if kind == _BROWSER and now < until <= now + BROWSER_LASTS_MS:
                return own_id
        return None

    # --- signatures

    def _read(self, value: str) -> Ticket | None:
        kind, own_id, until = self._unsigned(value) or ("", "", 0)
        return Ticket(own_id, kind != "out", until, kind == "own") if kind in {"own", "in", "out"} else None

    def _signed(self, value: str) -> str:
        return self._signer.sign(value).decode()

    def _unsigned(self, value: str) -> tuple[str, str, int] | None:
        if len(value) > _LONGEST:
            return None
        try:
            kind, own_id, until = self._signer.unsign(value.encode("latin-1", "replace")).decode("ascii").split(".")
            return kind, own_id, int(until)
        except (BadSignature, ValueError):
            return None


def _hashed(ticket: Ticket) -> str:
    return hashlib.sha256(ticket.id.encode()).hexdigest()


def _cookie(name: str, value: str, path: str, *, is_https: bool, max_age: int | None = None) -> str:
    return set_cookie(name, value, path=path, samesite="strict", is_secure=is_https, domain=None, max_age=max_age)
