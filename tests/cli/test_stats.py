"""`sojourn stats`: the report's figures in a terminal, with its ranges, filters and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sojourn import cli, identify, track
from tests.doors.browser import Browser, Response, Site, view_of

SPAN = ("--since", "2023-11-01T00:00Z", "--until", "2023-12-01T00:00Z")


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    site = Site("wsgi", store=url)
    Browser(site).navigate("/one")
    site.views["/shop"] = view_of(lambda: identify("anna"), lambda: track("purchase"), response=Response(status=500))
    Browser(site).navigate("/shop")
    site.engine.flush()
    site.close()
    return url


def document(capsys: pytest.CaptureFixture[str], url: str, *arguments: str) -> dict[str, Any]:
    assert cli.main(["stats", "--store", url, *SPAN, "--json", *arguments]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_json_has_overview_and_panels(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, url)
    figures = found["overview"]["figures"]
    assert (figures["sessions"], figures["users"], figures["error_sessions"]) == (2, 1, 1)
    assert [panel["panel"] for panel in found["panels"]] == ["pages", "sources", "events", "errors"]
    assert [(row["value"], row["events"]) for row in found["panels"][2]["rows"]] == [("purchase", 1)]


def test_chosen_panels(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, url, "--panel", "browsers", "--panel", "users")
    assert [panel["panel"] for panel in found["panels"]] == ["browsers", "users"]
    assert [row["value"] for row in found["panels"][1]["rows"]] == ["anna"]


def test_filters_count_for_figures_and_panels(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, url, "--where", "event=purchase", "--where", "entry~=sho")
    assert found["overview"]["figures"]["sessions"] == 1
    assert [row["value"] for row in found["panels"][0]["rows"]] == ["/shop"]


def test_page_has_figures_and_panels(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stats", "--store", url, *SPAN]) == 0
    out = capsys.readouterr().out
    assert out.startswith("2023-11-01T00:00Z to 2023-12-01T00:00Z, ")
    for line in ("sessions", "identified users", "bounce rate", "/shop", "purchase", "Status 500"):
        assert line in out


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        pytest.param(("--panel", "passwords"), "there is no panel 'passwords'", id="panel"),
        pytest.param(("--range", "7 days"), "range: cannot be combined|range: unknown value", id="range"),
        pytest.param(("--where", "browser"), "--where: give NAME=VALUE", id="condition"),
        pytest.param(("--where", "browserx=x"), "did you mean browser", id="name of a filter"),
    ],
)
def test_what_cannot_be_read_is_an_error(
    url: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], problem: str
) -> None:
    assert cli.main(["stats", "--store", url, *arguments]) == 1
    captured = capsys.readouterr()
    assert any(each in captured.err for each in problem.split("|"))
    assert captured.out == ""


def test_hostile_text_does_not_move_the_cursor(url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    site = Site("wsgi", store=url)
    Browser(site).navigate("/\x1b[2Jx")
    site.engine.flush()
    site.close()
    assert cli.main(["stats", "--store", url, *SPAN, "--panel", "pages"]) == 0
    assert all(line.isprintable() for line in capsys.readouterr().out.splitlines())


def test_visitors_without_a_cookie_are_said_to_be_counted_by_day(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["stats", "--store", url, *SPAN]) == 0
    assert "without a cookie" not in capsys.readouterr().out
    site = Site("wsgi", store=url, cookieless="always")
    Browser(site).navigate("/")
    site.engine.flush()
    site.close()
    assert cli.main(["stats", "--store", url, *SPAN]) == 0
    assert "visitors without a cookie are counted by day (1 of 3 sessions)" in capsys.readouterr().out
    assert (
        document(capsys, url, "--where", "visitor_kind=cookieless")["overview"]["figures"]["cookieless_sessions"] == 1
    )
