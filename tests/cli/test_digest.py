"""`sojourn digest`: printed as text, HTML and JSON; sent by a real mail server and to a real webhook."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sojourn import cli
from sojourn.core.clock import SystemClock
from sojourn.core.events import EXCEPTION, PAGE_VIEW, Event, Scalar
from sojourn.stores import SQLiteStore
from sojourn.stores.model import Batch
from sojourn.stores.reporting.model import DAY_MS
from tests.notices.test_sending import Inbox, http, smtp
from tests.stores.contract.steps import ended, row, save

HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SQLiteStore]:
    """Three sessions of this week, one of which bought; one of the week before."""
    store = SQLiteStore(tmp_path / "sojourn.db")
    store.open()
    now = SystemClock.now() - 60_000
    rows, events = [], []
    for number, age in enumerate((1, 2, 3, 9)):
        made = ended(row(f"k{number}", now - age * DAY_MS, seen=now - age * DAY_MS + 90_000), f"end-{number}")
        made.visitor_id, made.page_views, made.errors = f"v{number}", 2, int(number == 1)
        rows.append(made)
        happened: list[tuple[str, dict[str, Scalar]]] = [(PAGE_VIEW, {"url.path": "/cart"})]
        if number in {0, 3}:
            happened.append(("purchase", {}))
        if number == 1:
            happened += [(EXCEPTION, {"exception.type": "KeyError"}), (PAGE_VIEW, {"url.path": f"/{HOSTILE}"})]
        events += [
            Event(
                id=f"{number}-{place}",
                name=name,
                time=made.started_at + place,
                session_id=made.key,
                session_key=made.key,
                session_started_at=made.started_at,
                visitor_id=made.visitor_id,
                attributes=attributes,
            )
            for place, (name, attributes) in enumerate(happened)
        ]
    save(store, Batch(rows=rows, events=events))
    store.definitions.set("goal", "Bought", "purchase")
    yield store
    store.close()


def digest(store: SQLiteStore, *arguments: str) -> int:
    return cli.main(["digest", "--store", f"sqlite:///{store.path}", *arguments])


def test_text(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.alerts.turn("nothing", is_on=True, at=1, text="nothing was recorded for 60 minutes", targets=[])
    assert digest(store) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"3 sessions, \d+ \w{3} to \d+ \w{3} \d{4}", lines[0])
    assert lines[1] == "! nothing was recorded for 60 minutes"
    words = [" ".join(line.split()) for line in lines]
    assert "Sessions 3 +200 %" in words
    assert "Median duration 1 m 30 s as before" in words
    assert "Sessions with errors 1 none before" in words
    assert "Bought 1 33.3 % of sessions, as before" in words
    assert words[words.index("Pages (views)") + 1] == "3 /cart"
    assert words[words.index("Events (events)") + 1] == "1 purchase"
    assert "\u202e" not in "".join(lines)
    assert "\x1b" not in "".join(lines)


def test_html_is_whole_and_inert(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert digest(store, "--format", "html") == 0
    page = capsys.readouterr().out
    assert page.startswith("<!doctype html>")
    assert page.endswith("</body></html>\n")
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"<script|\u202e|src=|href=|url\(", page)


def test_json(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert digest(store, "--since", "14d", "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["type"], found["figures"]["sessions"], found["before"]) == ("digest", 4, None)
    assert found["goals"] == [
        {"name": "Bought", "step": "purchase", "sessions": 2, "rate": 0.5, "sessions_before": None}
    ]
    assert found["pages"][0] == {"value": "/cart", "views": 4}
    assert found["errors"] == [{"value": "KeyError", "sessions": 1}]


def test_an_empty_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = SQLiteStore(tmp_path / "empty.db")
    store.open()
    assert digest(store) == 0
    assert capsys.readouterr().out.startswith("0 sessions")
    store.close()


def test_by_mail(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    inbox = Inbox()
    with smtp(inbox) as url:
        monkeypatch.setenv("SOJOURN_MAIL_SERVER", url)
        monkeypatch.setenv("SOJOURN_MAIL_FROM", "sojourn@shop.example")
        assert digest(store, "--to", "mailto:owner@shop.example") == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "mailto:owner@shop.example: sent" in captured.err
    ((_, to, mail),) = inbox.taken
    assert to == ["owner@shop.example"]
    assert mail["Subject"].startswith("3 sessions, ")
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text is not None
    assert html is not None
    assert "Bought" in text.get_content()
    assert "&lt;script&gt;" in html.get_content()


def test_to_a_webhook(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    with http() as server:
        target = f"webhook+http://127.0.0.1:{server.server_port}/in?secret=a-secret-of-the-hook"
        assert digest(store, "--to", target) == 0
        server.status = 500
        assert digest(store, "--to", target) == 1
        assert json.loads(server.taken[0][2])["figures"]["sessions"] == 3
        assert "Sojourn-Signature" in server.taken[0][1]
    err = capsys.readouterr().err
    assert "it responded with 500" in err
    assert "a-secret" not in err


def test_a_target_that_cannot_be_used(store: SQLiteStore, capsys: pytest.CaptureFixture[str]) -> None:
    assert digest(store, "--to", "mailto:owner@shop.example") == 1
    assert "set mail_server and mail_from" in capsys.readouterr().err


def test_visitors_without_a_cookie_are_said_to_be_counted_by_day(
    store: SQLiteStore, capsys: pytest.CaptureFixture[str]
) -> None:
    made = row("by day", SystemClock.now() - DAY_MS)
    made.visitor_kind = "cookieless"
    save(store, Batch(rows=[made]))
    for form in ("text", "html", "json"):
        assert digest(store, "--format", form) == 0
        out = capsys.readouterr().out
        assert ('"cookieless_sessions": 1' if form == "json" else "counted by day (1 of 4 sessions)") in out
