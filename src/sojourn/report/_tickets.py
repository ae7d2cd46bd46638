"""The report's cookie: a signed ticket that marks a browser as logged in, and the CSRF token derived from it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadSignature, Signer

from sojourn.core.bounded import Bounded
from sojourn.tracking.cookie_policy import set_cookie

LASTS_MS: Final = 12 * 3_600_000
_SALT: Final = "sojourn.report"
_REVOKED: Final = 4096


@dataclass(frozen=True, slots=True)
class Ticket:
    """A browser's ticket; `until` in ms. There is one before the log-in too: it protects the log-in form itself."""

    id: str
    is_in: bool
    until: int


class Tickets:
    """Makes and reads tickets. With a `key` derived from the app's secret, workers accept each other's tickets."""

    def __init__(self, key: bytes, *, name: str = "sojourn_report") -> None:
        self._signer = Signer(key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
        self._key = hmac.digest(key, b"sojourn.report csrf", "sha256")
        self._name = name
        self._revoked: Bounded[str, bool] = Bounded(_REVOKED)

    def new(self, now: int, *, is_in: bool) -> Ticket:
        return Ticket(secrets.token_hex(16), is_in, now + LASTS_MS)

    def read(self, values: Iterable[str], now: int) -> Ticket | None:
        """The best valid ticket of these cookies: logged in, if there is one. Not valid: forged, expired, revoked."""
        tickets = [ticket for value in values if (ticket := self._read(value)) is not None]
        valid = [
            ticket for ticket in tickets if now < ticket.until <= now + LASTS_MS and not self._revoked.get(ticket.id)
        ]
        return max(valid, key=lambda ticket: (ticket.is_in, ticket.until), default=None)

    def revoke(self, ticket: Ticket) -> None:
        """Log out: this process no longer accepts the ticket, nor a copy of it."""
        self._revoked[ticket.id] = True

    def name(self, *, is_https: bool) -> str:
        return f"__Secure-{self._name}" if is_https else self._name

    def cookie(self, ticket: Ticket, *, path: str, is_https: bool) -> str:
        value = f"{'in' if ticket.is_in else 'out'}.{ticket.id}.{ticket.until}"
        return self._cookie(self._signer.sign(value).decode(), path, is_https=is_https)

    def expired_cookie(self, *, path: str, is_https: bool) -> str:
        return self._cookie("", path, is_https=is_https, max_age=0)

    def form_token(self, ticket: Ticket) -> str:
        """The CSRF token of a ticket's forms. Another site can make a browser send the cookie, but cannot know this."""
        return hmac.new(self._key, f"{ticket.id}.{ticket.is_in}".encode(), "sha256").hexdigest()

    def is_form_token(self, ticket: Ticket, token: str) -> bool:
        return hmac.compare_digest(self.form_token(ticket).encode(), token.encode("utf-8", "replace"))

    def _read(self, value: str) -> Ticket | None:
        if len(value) > 256:
            return None
        try:
            kind, own_id, until = self._signer.unsign(value.encode("latin-1", "replace")).decode("ascii").split(".")
            return Ticket(own_id, kind == "in", int(until))
        except (BadSignature, ValueError):
            return None

    def _cookie(self, value: str, path: str, *, is_https: bool, max_age: int | None = None) -> str:
        return set_cookie(
            self.name(is_https=is_https),
            value,
            path=path,
            samesite="strict",
            is_secure=is_https,
            domain=None,
            max_age=max_age,
        )
