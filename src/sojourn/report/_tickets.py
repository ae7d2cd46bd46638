"""The report's own cookie: a signed ticket that says who is logged in, and the token against forged forms made of it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from itsdangerous import BadSignature, Signer

from sojourn.core.bounded import Bounded
from sojourn.tracking.cookie import set_cookie

LASTS_MS: Final = 12 * 3_600_000
_SALT: Final = "sojourn.report"
_FORGOTTEN: Final = 4096


@dataclass(frozen=True, slots=True)
class Ticket:
    """A browser at the report. Before the log-in it has one too: the log-in's own form is guarded by it."""

    id: str
    is_in: bool
    until: int


class Tickets:
    """Makes and reads them. `key` is this process's own, or derived from the app's secret: then any worker's is good."""

    def __init__(self, key: bytes, *, name: str = "sojourn_report") -> None:
        self._signer = Signer(key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
        self._key = hmac.digest(key, b"sojourn.report csrf", "sha256")
        self._name = name
        self._left: Bounded[str, bool] = Bounded(_FORGOTTEN)

    def new(self, now: int, *, is_in: bool) -> Ticket:
        return Ticket(secrets.token_hex(16), is_in, now + LASTS_MS)

    def read(self, values: Iterable[str], now: int) -> Ticket | None:
        """The best of the cookies: one that is logged in, if there is one. A forged, old or returned one is none."""
        found = [ticket for value in values if (ticket := self._read(value)) is not None]
        good = [ticket for ticket in found if now < ticket.until <= now + LASTS_MS and not self._left.get(ticket.id)]
        return max(good, key=lambda ticket: (ticket.is_in, ticket.until), default=None)

    def leave(self, ticket: Ticket) -> None:
        """Logged out: this process takes the ticket no more, whoever kept a copy."""
        self._left[ticket.id] = True

    def name(self, *, is_https: bool) -> str:
        return f"__Secure-{self._name}" if is_https else self._name

    def line(self, ticket: Ticket, *, path: str, is_https: bool) -> str:
        value = f"{'in' if ticket.is_in else 'out'}.{ticket.id}.{ticket.until}"
        return self._line(self._signer.sign(value).decode(), path, is_https=is_https)

    def removal(self, *, path: str, is_https: bool) -> str:
        return self._line("", path, is_https=is_https, max_age=0)

    def form_token(self, ticket: Ticket) -> str:
        """What every form carries beside the cookie; a page of another site can send the one, but not know the other."""
        return hmac.new(self._key, f"{ticket.id}.{ticket.is_in}".encode(), "sha256").hexdigest()

    def is_form_token(self, ticket: Ticket, given: str) -> bool:
        return hmac.compare_digest(self.form_token(ticket).encode(), given.encode("utf-8", "replace"))

    def _read(self, value: str) -> Ticket | None:
        if len(value) > 256:
            return None
        try:
            kind, own_id, until = self._signer.unsign(value.encode("latin-1", "replace")).decode("ascii").split(".")
            return Ticket(own_id, kind == "in", int(until))
        except (BadSignature, ValueError):
            return None

    def _line(self, value: str, path: str, *, is_https: bool, max_age: int | None = None) -> str:
        return set_cookie(
            self.name(is_https=is_https),
            value,
            path=path,
            samesite="strict",
            is_secure=is_https,
            domain=None,
            max_age=max_age,
        )
