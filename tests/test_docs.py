"""What the docs show in Python and on the command line runs, and does what they say."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from sojourn import UNKNOWN, Engine, Event, Settings, User, cli
from sojourn.core.events import START
from sojourn.stores import open_store
from sojourn.testing import fake_visit
from sojourn.tracking.masking import masked_address

DOCS = Path(__file__).parent.parent / "docs"
ELSEWHERE = {"testing-your-app.md", "django.md", "frameworks.md", "first-steps.md"}
"""Their blocks are run by other tests: as tests, in a project of Django, and as apps."""
BROWSER = "https://shop.example"


def blocks(page: str, language: str = "python") -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def names_of(block: str, **names: Any) -> dict[str, Any]:
    """What a block defines."""
    names["__name__"] = "shown"  # no module that is there: Flask would look for its folder
    exec(compile(block, "docs", "exec", dont_inherit=True), names)
    return names


def block_with(page: str, text: str) -> dict[str, Any]:
    (block,) = (block for block in blocks(page) if text in block)
    return names_of(block)


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """Blocks that set up logging leave nothing behind."""
    root, shop = logging.getLogger(), logging.getLogger("shop")
    before = (root.level, [*root.handlers], [*shop.handlers])
    yield
    root.level, root.handlers, shop.handlers = before


@pytest.mark.parametrize(
    "page",
    sorted(
        page.relative_to(DOCS).as_posix()
        for page in [*DOCS.glob("*.md"), *DOCS.glob("cookbook/*.md")]
        if page.name not in ELSEWHERE
    ),
)
def test_every_block_runs(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOJOURN_SECRET_KEY", "a key that only tests use")
    shared: dict[str, Any] = {}
    for block in blocks(page):
        shared = names_of(block, **shared)


@contextmanager
def opened(app: Any) -> Iterator[Engine]:
    holder = app.extensions["sojourn"] if hasattr(app, "extensions") else app.state.sojourn
    engine: Engine = holder.engine
    with engine:
        yield engine


def recorded_events(engine: Engine) -> list[Event]:
    assert engine.flush().done
    store = open_store(str(engine.settings.store))
    try:
        return store.log.after(START, limit=100)
    finally:
        store.close()


# --- the numbered rules

SOURCES = DOCS.parent / "src" / "sojourn"
CITED = re.compile(r"\b[SP][1-9][0-9]?\b")


def test_the_numbers_of_rules_stand_once_and_in_order() -> None:
    numbers = re.findall(r"^### ([SP])([0-9]+)\. ", (DOCS / "internals.md").read_text(), re.MULTILINE)
    places = [(letter != "S", int(number)) for letter, number in numbers]
    assert len(places) > 0
    assert places == sorted(set(places))


def test_every_file_that_the_internals_name_exists() -> None:
    named = re.findall(r"`((?:src|tests|docs)/[^`]*)`", (DOCS / "internals.md").read_text())
    patterns = {re.sub(r"<\w+>", "*", path).rstrip("/") for path in named}
    assert len(patterns) > 0
    assert [pattern for pattern in sorted(patterns) if not any(DOCS.parent.glob(pattern))] == []


def test_every_cited_rule_is_on_the_page() -> None:
    headings = re.findall(r"^### ([SP][0-9]+)\. ", (DOCS / "internals.md").read_text(), re.MULTILINE)
    cited = {
        (file.relative_to(SOURCES).as_posix(), number)
        for file in SOURCES.rglob("*.py")
        for number in CITED.findall(file.read_text())
    }
    assert len(cited) > 0
    assert sorted((file, number) for file, number in cited if number not in headings) == []


def test_rules_are_cited_with_their_letter() -> None:
    files = [*SOURCES.rglob("*.py"), *(SOURCES.parents[1] / "tests").rglob("*.py")]
    assert [file.name for file in files if re.search(r"\b[Rr]ules? [0-9]", file.read_text())] == []


# --- who it is


def test_what_a_fastapi_dependency_found_is_the_user() -> None:
    app = block_with("identify.md", "request.state.user = x_user")["app"]

    async def visit() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BROWSER) as browser:
            await browser.get("/", headers={"x-user": "anna"})
            await browser.get("/", headers={"x-user": "ben"})

    with opened(app) as engine:
        asyncio.run(visit())
        events = recorded_events(engine)
    assert [(event.name, event.user_id) for event in events if event.name == "session.start"] == [
        ("session.start", None),
        ("session.start", "ben"),
    ]
    assert [event.user_id for event in events if event.name == "user.identify"] == ["anna", "ben"]
    assert [event.user_id for event in events if event.name == "session.end"] == ["anna"]


def test_identify_in_a_fastapi_dependency() -> None:
    app = block_with("identify.md", "def signed_in")["app"]

    async def visit() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BROWSER) as browser:
            await browser.get("/", headers={"x-user": "anna"})
            await browser.get("/", headers={"x-user": "anna"})
            await browser.get("/", headers={"x-user": "ben"})

    with opened(app) as engine:
        asyncio.run(visit())
        events = recorded_events(engine)
    named = [event for event in events if event.name == "user.identify"]
    assert [(event.user_id, event.attributes["user.name"]) for event in named] == [("anna", "Anna"), ("ben", "Ben")]
    assert [event.user_id for event in events if event.name == "page_view"] == ["anna", "anna", "ben"]


def test_a_user_whom_another_site_posts_is_named_after_the_redirect() -> None:
    app = block_with("identify.md", "form[")["app"]
    posted = {"origin": "https://appleid.apple.com", "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    with opened(app) as engine:
        transport = httpx.WSGITransport(app)
        with (
            httpx.Client(transport=transport, base_url=BROWSER) as browser,
            httpx.Client(transport=transport, base_url=BROWSER) as without_lax_cookies,
        ):
            browser.get("/")
            callback = without_lax_cookies.post("/auth/callback", data={"id_token": "anna"}, headers=posted)
            assert (callback.status_code, callback.headers["location"]) == (303, "/welcome")
            assert set(callback.cookies) == {"session"}
            browser.cookies.update(callback.cookies)
            browser.get("/welcome")
        events = recorded_events(engine)
    assert [event.name for event in events] == ["session.start", "page_view", "user.identify", "page_view"]
    assert [event.user_id for event in events] == [None, None, "anna", "anna"]
    assert len({event.session_id for event in events}) == 1


def test_flask_logins_user_is_the_sessions_until_the_logout() -> None:
    app = block_with("identify.md", "flask_login")["app"]
    with opened(app) as engine:
        with httpx.Client(transport=httpx.WSGITransport(app), base_url=BROWSER) as browser:
            browser.post("/login")
            browser.post("/logout")
        events = recorded_events(engine)
    assert [event.user_id for event in events if event.name == "user.identify"] == ["anna", None]
    assert len({event.session_id for event in events}) == 1


class Request:
    """As far as the docs' callables look at one."""

    def __init__(self, cookies: dict[str, str] | None = None, **state: Any) -> None:
        self.cookies = cookies or {}
        self.state = type("State", (), state)()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        pytest.param(Request(), UNKNOWN, id="not asked yet"),
        pytest.param(Request(account=None), None, id="logged out"),
        pytest.param(Request(account={"id": "7", "name": "Anna"}), User("7", "Anna"), id="logged in"),
    ],
)
def test_the_shown_principal_distinguishes_three_cases(request_: Request, expected: object) -> None:
    settings: Settings = block_with("identify.md", "def principal")["settings"]
    assert settings.principal is not None
    assert settings.principal(request_) == expected


# --- properties


def test_properties_are_on_what_follows() -> None:
    shop = block_with("properties.md", "def choose_country")
    with fake_visit() as events:
        shop["choose_country"]("Austria")
        shop["add_to_cart"]("basil", 2.4, 2.4)
    (added,) = events.named("added_to_cart")
    assert {name: value for name, value in added.attributes.items() if "properties." in name} == {
        "session_properties.country": "Austria",
        "session_properties.cart_value": 2.4,
        "session_properties.has_cart": True,
        "event_properties.seed": "basil",
        "event_properties.price": 2.4,
    }


# --- privacy


@pytest.mark.parametrize(
    ("cookies", "is_yes"), [({}, False), ({"banner": "statistics"}, True), ({"banner": "no"}, False)]
)
def test_the_shown_consent_is_the_banners(cookies: dict[str, str], is_yes: bool) -> None:
    settings: Settings = block_with("privacy.md", "def consent")["settings"]
    assert settings.consent is not None
    assert settings.consent(Request(cookies)) is is_yes


def test_the_shown_scrub_drops_and_changes() -> None:
    scrub: Callable[[Event], Event | None] = block_with("privacy.md", "def scrub")["scrub"]
    with fake_visit() as events:
        start = events[0]
    assert "user_agent.original" in start.attributes
    scrubbed = scrub(start)
    assert scrubbed is not None
    assert start.attributes.keys() - scrubbed.attributes.keys() == {"user_agent.original"}


def test_the_shown_switch_switches() -> None:
    app = block_with("privacy.md", "def privacy")["app"]
    with opened(app) as engine:
        with httpx.Client(transport=httpx.WSGITransport(app), base_url=BROWSER) as browser:
            offers = [
                browser.get("/privacy").text,
                browser.post("/privacy", data={"choice": "out"}).text,
                browser.get("/privacy").text,
                browser.post("/privacy", data={"choice": "in"}).text,
            ]
        events = recorded_events(engine)
    assert [re.findall("Opt (in|out)", text) for text in offers] == [["out"], ["in"], ["in"], ["out"]]
    assert len({event.visitor_id for event in events}) == 2


def test_the_shown_gpc_file_is_one() -> None:
    app = block_with("privacy.md", "gpc_support")["app"]
    with httpx.Client(transport=httpx.WSGITransport(app), base_url=BROWSER) as browser:
        assert browser.get("/.well-known/gpc.json").json() == {"gpc": True, "lastUpdate": "2026-11-21"}


@pytest.mark.parametrize(
    ("address", "network"), [("192.0.2.17", "192.0.2.0"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::")]
)
def test_addresses_are_cut_as_shown(address: str, network: str) -> None:
    assert f"`{network}`" in (DOCS / "privacy.md").read_text()
    assert masked_address(address) == network


def test_the_shown_commands_export_and_erase(own_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    app = block_with("identify.md", "flask_login")["app"]
    with opened(app) as engine:
        with httpx.Client(transport=httpx.WSGITransport(app), base_url=BROWSER) as browser:
            browser.post("/login")
        recorded_events(engine)
        place = str(engine.settings.store)
    lines = [shlex.split(line) for line in "".join(blocks("privacy.md", "sh")).splitlines()]
    assert [words[:2] for words in lines] == [["sojourn", "export"], ["sojourn", "erase"]]
    export, erase = ([place if word.startswith("sqlite:") else word for word in words[1:]] for words in lines)
    assert cli.main(export) == 0
    assert len(json.loads((own_folder / "anna.json").read_text())["sessions"]) == 1
    assert cli.main([*erase, "--yes"]) == 0
    assert "deleted: 1 sessions" in capsys.readouterr().out


# --- logs


def test_the_shown_handler_and_filter_work_together(capsys: pytest.CaptureFixture[str]) -> None:
    for block in blocks("logging.md"):
        names_of(block)
    log = logging.getLogger("shop")
    log.info("outside")
    with fake_visit() as events:
        log.warning("the shelf is empty")
        session = events[0].session_id
    (record,) = events.named("log")
    assert {name: value for name, value in record.attributes.items() if name.startswith("log.")} == {
        "log.body": "the shelf is empty",
        "log.severity": "WARNING",
        "log.logger": "shop",
    }
    lines = capsys.readouterr().err.splitlines()
    assert [line for line in lines if "shelf" in line or "outside" in line] == [
        "INFO - outside",
        f"WARNING {session} the shelf is empty",
    ]


# --- in a transaction


def test_a_purchase_is_recorded_with_its_order() -> None:
    app = block_with("transactions.md", "def buy")["app"]
    with opened(app) as engine:
        with httpx.Client(transport=httpx.WSGITransport(app), base_url=BROWSER) as browser:
            browser.post("/buy")
        events = recorded_events(engine)
    assert [event.name for event in events if event.name != "page_view"] == ["session.start", "purchase"]
