"""`--view NAME`: what a saved view of the report has, for figures, lists and exports, with other options over it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sojourn import cli, identify
from tests.doors.browser import Browser, Site, view_of

SPAN = ("--since", "2023-11-01T00:00Z", "--until", "2023-12-01T00:00Z")


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'sojourn.db'}"
    site = Site("wsgi", store=url)
    Browser(site).navigate("/one")
    site.views["/shop"] = view_of(lambda: identify("anna"))
    Browser(site).navigate("/shop")
    site.engine.flush()
    for name, query in {
        "Shop": "entry=%2Fshop&since=2023-11-01T00:00Z&until=2023-12-01T00:00Z",
        "Then": "since=2001-01-01T00:00Z&until=2001-01-02T00:00Z&measure=errors",
        "Searched": "q=shop",
        "Old": "weather=rain",
    }.items():
        site.engine.store.definitions.add("view", name, json.dumps({"id": name, "query": query}))
    site.close()
    return url


def listed(url: str, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The entry pages of the sessions, as both commands have them."""
    assert cli.main(["sessions", "list", "--store", url, "--json", *arguments]) == 0
    entries = [each["entry_path"] for each in json.loads(capsys.readouterr().out)["sessions"]]
    assert cli.main(["export", "--sessions", "--store", url, *arguments]) == 0
    assert [json.loads(line)["entry_path"] for line in capsys.readouterr().out.splitlines()] == entries
    return sorted(entries)


@pytest.mark.parametrize(
    ("arguments", "entries"),
    [
        ((), ["/one", "/shop"]),
        (("--view", "Shop"), ["/shop"]),
        (("--view", "Searched"), ["/shop"]),
        (("--view", "Shop", "--where", "entry=/one"), ["/one"]),
        (("--view", "Shop", "--where", "entry!=/shop"), []),
        (("--view", "Then"), []),
        (("--view", "Then", *SPAN), ["/one", "/shop"]),
    ],
)
def test_lists_and_exports_take_a_view(
    url: str, arguments: tuple[str, ...], entries: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(url, capsys, *arguments) == entries


def test_figures_take_a_view(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, count in (
        (("Shop",), 1),
        (("Then",), 0),
        (("Shop", "--where", "entry=/one"), 1),
        (("Then", *SPAN), 2),
    ):
        assert cli.main(["stats", "--store", url, "--json", "--view", *arguments]) == 0
        assert json.loads(capsys.readouterr().out)["overview"]["figures"]["sessions"] == count, arguments


@pytest.mark.parametrize("command", [["stats"], ["sessions", "list"], ["export", "--sessions"]])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Shopp", "view: there is no saved view of this name; did you mean Shop?"),
        ("Nobody", "renamed or deleted"),
        ("Old", "weather: unknown parameter"),
    ],
)
def test_unknown_view_is_an_error(
    url: str, command: list[str], name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*command, "--store", url, "--view", name]) == 1
    assert message in capsys.readouterr().err


def test_events_are_not_filtered_by_a_view(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "--events", "--store", url, "--view", "Shop"]) == 1
    assert "--view cannot be used with --events" in capsys.readouterr().err


def test_campaigns_are_filters_by_their_own_names_too(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A page ignores what newsletters append to an address; on a command line it was meant."""
    assert cli.main(["stats", "--store", url, "--json", *SPAN, "--where", "utm_source=newsletter"]) == 0
    assert json.loads(capsys.readouterr().out)["overview"]["figures"]["sessions"] == 0
