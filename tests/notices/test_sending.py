"""Mail through a real SMTP server, and signed calls to a real HTTP server."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from sojourn import Settings
from sojourn.backends.signatures import verify_signature
from sojourn.errors import SettingsError
from sojourn.notices.mail import MailServer
from sojourn.notices.targets import Message, Target, target_of, targets_of
from tests.ports import free_port

AT = 1_769_860_800_000
MESSAGE = Message(subject="shop: Digest\nBcc: x@y", text="Ärger\n", html="<p>Ärger", document={"type": "digest"})


class Inbox:
    """What a mail server took."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, list[str], EmailMessage]] = []
        self.reply = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.reply.startswith("250"):
            parsed = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(parsed, EmailMessage)
            self.taken.append((envelope.mail_from, envelope.rcpt_tos, parsed))
        return self.reply


@contextmanager
def smtp(inbox: Inbox, **options: Any) -> Iterator[str]:
    controller = Controller(inbox, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield f"smtp://127.0.0.1:{controller.port}"
    finally:
        controller.stop()


def mail_target(url: str, to: str = "ops@shop.example") -> Target:
    server = MailServer.from_url(url, sender="Sojourn <sojourn@shop.example>")
    return target_of(f"mailto:{to}", lambda: server)


def test_a_mail_arrives_as_text_and_html() -> None:
    inbox = Inbox()
    with smtp(inbox) as url:
        assert mail_target(url).send(MESSAGE, now=AT) is None
    ((sender, to, mail),) = inbox.taken
    assert (sender, to) == ("sojourn@shop.example", ["ops@shop.example"])
    assert (mail["Subject"], mail["Bcc"]) == ("shop: Digest Bcc: x@y", None)
    assert mail["Date"].datetime.timestamp() * 1000 == AT
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert (text.get_content().replace("\r", ""), html.get_content().strip()) == ("Ärger\n", "<p>Ärger")


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        pytest.param("451 try again", "it responded with 451", id="later"),
        pytest.param("554 spam", "it responded with 554", id="refused"),
    ],
)
def test_a_mail_that_is_refused_says_why(reply: str, problem: str) -> None:
    inbox = Inbox()
    inbox.reply = reply
    with smtp(inbox) as url:
        assert mail_target(url).send(MESSAGE, now=AT) == problem


def test_a_password_is_not_sent_without_tls() -> None:
    inbox = Inbox()
    with smtp(inbox, authenticator=lambda *_: AuthResult(success=True), auth_require_tls=False) as url:
        target = mail_target(url.replace("//", "//user:secret@"))
        assert target.send(MESSAGE, now=AT) == "it offers no STARTTLS, and a password is not sent in the clear"
    assert inbox.taken == []


def test_a_server_that_is_not_there() -> None:
    inbox = Inbox()
    with smtp(inbox) as url:
        target = mail_target(url)
    assert target.send(MESSAGE, now=AT) == "nothing listens there; check host and port"


@pytest.mark.parametrize(
    ("url", "sender", "message"),
    [
        pytest.param("http://host", "a@b", "write smtp://", id="no mail server"),
        pytest.param("smtp://host/secret", "a@b", "write smtp://", id="a path"),
        pytest.param("smtp://host:port", "a@b", "write smtp://", id="no port"),
        pytest.param("smtp://host", None, "mail_from: set the address", id="no sender"),
    ],
)
def test_a_mail_server_that_cannot_be_used(url: str, sender: str | None, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as error:
        MailServer.from_url(url, sender=sender)
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("mailto:ops", "is no mail address", id="no address"),
        pytest.param("mailto:a@b,c@d", "is no mail address", id="two addresses"),
        pytest.param("mailto:ops@shop.example", "set mail_server and mail_from", id="no server"),
        pytest.param("webhook+https://", "webhook", id="no host"),
        pytest.param("ops", "give a target", id="nothing of both"),
    ],
)
def test_a_target_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        target_of(text, lambda: None)


# --- webhook


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((self.path, dict(self.headers), body))  # type: ignore[attr-defined]
        self.server.arrived.set()  # type: ignore[attr-defined]
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def http() -> Iterator[Any]:
    with HTTPServer(("127.0.0.1", 0), _Handler) as server:
        server.taken, server.status = [], 204  # type: ignore[attr-defined]
        server.arrived = threading.Event()  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def test_a_webhook_gets_the_document_signed() -> None:
    with http() as server:
        url = f"webhook+http://127.0.0.1:{server.server_port}/in?secret=a-secret-of-the-hook&room=ops"
        target = target_of(url, lambda: None)
        assert target.send(MESSAGE, now=AT) is None
        ((path, headers, body),) = server.taken
        assert (path, json.loads(body)) == ("/in?room=ops", {"type": "digest"})
        assert verify_signature(body, headers["Sojourn-Signature"], "a-secret-of-the-hook")
        server.status = 500
        assert target.send(MESSAGE, now=AT) == "it responded with 500"
    assert "nothing listens there" in str(target.send(MESSAGE, now=AT))
    assert "secret" not in target.label
    assert "room" not in repr(target)


def test_settings_hide_what_is_secret_and_name_what_is_wrong() -> None:
    secret = "hide-me"
    settings = Settings(
        secret_key="a key that only these tests use",
        alert_targets=f"webhook+https://{secret}@hooks.example/in, mailto:ops@shop.example",
        mail_server=f"smtp://user:{secret}@mail.example",
        mail_from="sojourn@shop.example",
    )
    assert secret not in repr(settings)
    first, second = targets_of(settings)
    assert first.label.startswith("https://hooks.example (")
    assert second.label == "mailto:ops@shop.example"
    with pytest.raises(SettingsError, match="alert_targets=<hidden>"):
        Settings(secret_key="a key that only these tests use", alert_targets=f"ftp://{secret}")


@pytest.mark.parametrize(
    ("alerts", "message"),
    [
        pytest.param("spike=0.5", "spike: give a number between 1 and 1000", id="a spike that is none"),
        pytest.param({"errors": 5}, "errors: give a number between 0 and 1, or a percentage", id="a share above one"),
        pytest.param({"nothing": "1s"}, "1 minute to 30 days", id="a second of silence"),
        pytest.param({"noting": "1h"}, "cannot be watched; use spike, drop, errors, nothing", id="a misspelt name"),
        pytest.param("spike", "give thresholds such as", id="no value"),
        pytest.param(True, "give thresholds such as", id="no mapping"),
    ],
)
def test_thresholds_that_cannot_be_used(alerts: Any, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Settings(secret_key="a key that only these tests use", alerts=alerts)
