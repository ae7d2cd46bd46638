"""Send one mail through an SMTP server."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid, parseaddr
from typing import Final, Self
from urllib.parse import unquote, urlsplit

from sojourn.errors import SettingsError

_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"smtp": 25, "smtps": 465}
_FORM: Final = "smtp://user:password@host:587 (STARTTLS where the server has it), or smtps://host"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """Where mail goes out, and in whose name."""

    host: str
    port: int
    sender: str
    is_tls: bool = False
    """TLS from the first byte; else STARTTLS, if the server offers it or there is a password."""
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(cls, url: str, *, sender: str | None) -> Self:
        """Read `smtp://` or `smtps://`. Raises `SettingsError`, which does not quote the URL."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in _PORTS or not parts.hostname or parts.query or parts.path not in {"", "/"}:
            msg = f"mail_server: write {_FORM}"
            raise SettingsError(msg)
        if sender is None:
            raise SettingsError('mail_from: set the address that mail comes from, such as "sojourn@shop.example"')
        return cls(
            host=parts.hostname,
            port=port or _PORTS[parts.scheme],
            sender=sender,
            is_tls=parts.scheme == "smtps",
            user=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def send(self, to: str, subject: str, text: str, html: str | None = None, *, now: int) -> str | None:
        """Send a mail; return what went wrong, in words and without the address, or `None`. Blocks for some 10 s at most."""
        message = EmailMessage()
        message["Subject"] = " ".join(subject.split())
        message["From"] = self.sender
        message["To"] = to
        message["Date"] = format_datetime(datetime.fromtimestamp(now / 1000, UTC))
        message["Message-ID"] = make_msgid(domain=parseaddr(self.sender)[1].rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        if html is not None:
            message.add_alternative(html, subtype="html")
        try:
            with self._connected() as server:
                server.send_message(message)
        except (OSError, smtplib.SMTPException) as error:
            return _in_words(error)
        return None

    def _connected(self) -> smtplib.SMTP:
        context = ssl.create_default_context()
        if self.is_tls:
            server: smtplib.SMTP = smtplib.SMTP_SSL(self.host, self.port, timeout=_TIMEOUT_S, context=context)
        else:
            server = smtplib.SMTP(self.host, self.port, timeout=_TIMEOUT_S)
        try:
            server.ehlo()
            if not self.is_tls and (server.has_extn("starttls") or self.password is not None):
                server.starttls(context=context)  # raises where there is none: a password is never sent in the clear
                server.ehlo()
            if self.user is not None:
                server.login(self.user, self.password or "")
        except BaseException:
            server.close()
            raise
        return server


def address_problem(address: str) -> str | None:
    """What is wrong with a mail address, if anything."""
    name, domain = address.rpartition("@")[::2]
    is_plain = address.isascii() and address.isprintable() and not set(' ,;<>()"\\') & set(address)
    return (
        None if name and "." in domain + "." and domain and is_plain and len(address) <= 254 else "is no mail address"
    )


def _in_words(error: Exception) -> str:
    words: Sequence[tuple[type[Exception], str]] = (
        (smtplib.SMTPAuthenticationError, "it refuses the user or the password"),
        (smtplib.SMTPNotSupportedError, "it offers no STARTTLS, and a password is not sent in the clear"),
        (smtplib.SMTPRecipientsRefused, "it refuses the recipient"),
        (smtplib.SMTPSenderRefused, "it refuses the sender"),
        (smtplib.SMTPServerDisconnected, "it closed the connection"),
        (ssl.SSLError, "TLS failed; check that this machine trusts its certificate"),
        (TimeoutError, "it does not respond in time"),
        (ConnectionRefusedError, "nothing listens there; check host and port"),
    )
    for kind, text in words:
        if isinstance(error, kind):
            return text
    if isinstance(error, smtplib.SMTPResponseException):
        return f"it responded with {error.smtp_code}"
    return "it cannot be reached; check host and port"
