"""Where notices go: `mailto:ops@shop.example`, or a webhook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from sojourn.errors import SettingsError
from sojourn.settings import Settings

from .mail import MailServer, address_problem

MAILTO = "mailto:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """The same, for people and for programs."""

    subject: str
    text: str
    html: str | None
    document: object


class Send(Protocol):
    """Sends a message; returns what went wrong, in words without address or credentials, or `None`. May block for 10 s."""

    def __call__(self, message: Message, *, now: int) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Target:
    """`label` may be shown and stored: it holds no credentials. Two targets of one setting have different ones."""

    label: str
    send: Send = field(repr=False)


def target_of(text: str, server: Callable[[], MailServer | None]) -> Target:
    """Read a target. Raises `SettingsError` with the fix; it does not quote a URL."""
    if text.startswith(MAILTO):
        return _mail(text.removeprefix(MAILTO), server())
    if text.startswith("webhook+http"):
        from sojourn.backends.posting import Post  # loads httpx only where it is used

        post = Post(text)

        def send(message: Message, *, now: int) -> str | None:
            return post.send(message.document)

        return Target(f"{post.origin} ({sha256(text.encode()).hexdigest()[:6]})", send)
    msg = 'give a target such as "mailto:ops@shop.example" or "webhook+https://host/path?secret=..."'
    raise SettingsError(msg)


def targets_of(settings: Settings) -> tuple[Target, ...]:
    """The targets of alerts. Raises `SettingsError`."""
    return tuple(target_of(text, lambda: server_of(settings)) for text in settings.alert_targets)


def server_of(settings: Settings) -> MailServer | None:
    """The mail server of the settings. Raises `SettingsError`."""
    return (
        None if settings.mail_server is None else MailServer.from_url(settings.mail_server, sender=settings.mail_from)
    )


def _mail(address: str, server: MailServer | None) -> Target:
    if (problem := address_problem(address)) is not None:
        msg = f"mailto: {address[:60]!r} {problem}"
        raise SettingsError(msg)
    if server is None:
        msg = f'mailto: set mail_server and mail_from, such as "smtp://localhost" and "sojourn@{address.rpartition("@")[2]}"'
        raise SettingsError(msg)

    def send(message: Message, *, now: int) -> str | None:
        return server.send(address, message.subject, message.text, message.html, now=now)

    return Target(f"{MAILTO}{address}", send)
