"""What the README and the docs show is true: every block runs, every link leads somewhere, every event is described."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask
from starlette.applications import Starlette

from sojourn import (
    Engine,
    Settings,
    capture_exception,
    cli,
    end_session,
    heartbeat,
    identify,
    opt_out,
    set_session_property,
    track,
)
from sojourn.core.events import RESERVED_NAMES, START
from sojourn.flask import Sojourn
from sojourn.logging import SojournHandler
from sojourn.stores import open_store
from sojourn.testing import ManualClock, MemoryBackend, fake_visit

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").glob("*/README.md"))]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


# --- the README's own blocks


def test_every_block_of_the_readme_is_of_a_kind_that_is_run_here() -> None:
    assert re.findall(r"^```(\w+)$", README.read_text(), re.MULTILINE) == ["sh", "sh", "python", "python"]
    assert len(README.read_text().splitlines()) <= 150


def test_nothing_stands_before_the_first_command_but_what_it_is() -> None:
    before = README.read_text().partition("```")[0]
    assert len(before.splitlines()) < 10


def test_the_apps_lines_name_the_user_and_show_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOJOURN_SECRET_KEY", "a key that only these tests use")
    with engine_of("\n".join(blocks(README, "python"))) as (app, engine):
        assert isinstance(app, Starlette)

        async def visit() -> str:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as browser:
                browser.headers["accept"] = "text/html"
                assert (await browser.get("/docs")).status_code == 200
                assert (await browser.post("/login")).text == "<h1>Welcome!</h1>"
                assert (await browser.get("/buy/basil")).text == "<h1>Thank you!</h1>"
                assert engine.flush().done
                form = (await browser.get("/_sojourn/login")).text
                csrf = re.findall(r'name="csrf" value="(\w+)"', form)[0]
                await browser.post("/_sojourn/login", data={"password": "choose a long one", "csrf": csrf})
                page = await browser.get("/_sojourn/sessions")
                assert page.status_code == 200
                return page.text

        assert "Anna B." in asyncio.run(visit())
        assert event_names(engine) == [
            "session.start",
            "page_view",
            "user.identify",
            "page_view",
            "purchase",
            "page_view",
        ]
        assert engine.store.sessions.latest(limit=5)[0].user_name == "Anna B."


def test_the_lines_of_other_frameworks_name_what_is_there() -> None:
    modules = set(re.findall(r"`?(sojourn\.[a-z]+)", README.read_text())) - {"sojourn.db"}
    assert modules >= {"sojourn.starlette", "sojourn.flask", "sojourn.quart", "sojourn.litestar", "sojourn.django"}
    for module in modules:
        assert importlib.util.find_spec(module) is not None
    named = re.search(r"^\| (Flask, .*?) \|", README.read_text(), re.MULTILINE)
    assert named is not None
    for framework in named[1].split(", "):
        assert hasattr(importlib.import_module(f"sojourn.{framework.lower()}"), "Sojourn")


@contextmanager
def engine_of(block: str) -> Iterator[tuple[Any, Engine]]:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(block, str(README), "exec", dont_inherit=True), names)
    app = names["app"]
    engine: Engine = (app.extensions["sojourn"] if isinstance(app, Flask) else app.state.sojourn).engine
    with engine:
        yield app, engine


def event_names(engine: Engine) -> list[str]:
    assert engine.flush().done
    store = open_store(str(engine.settings.store))
    try:
        return [event.name for event in store.log.after(START, limit=100)]
    finally:
        store.close()


def test_every_command_of_the_readme_exists(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [line.partition("  #")[0] for block in blocks(README, "sh") for line in block.splitlines()]
    assert lines == ['pip install "sojourn[demo]" && sojourn demo', "pip install sojourn", "export $(sojourn secret)"]
    with pytest.raises(SystemExit) as left:
        cli.main(["demo", "--help"])
    assert left.value.code == 0
    capsys.readouterr()
    cli.main(["secret"])
    name, _, key = capsys.readouterr().out.strip().partition("=")  # what `export` takes
    assert name == "SOJOURN_SECRET_KEY"
    assert re.fullmatch(r"[\w-]{43}", key)


def test_every_command_of_sojourn_that_is_named_exists(capsys: pytest.CaptureFixture[str]) -> None:
    pages = [page for page in PAGES if page.name not in {"settings.md", "backends.md"}]
    named = {name for page in pages for name in re.findall(r"`sojourn ([a-z][a-z-]+)", page.read_text())}
    assert len(named) > 10
    assert sorted(named - cli.parser("sojourn").verbs.keys()) == []
    for name in named:
        with pytest.raises(SystemExit) as left:
            cli.main([name, "--help"])
        assert left.value.code == 0
        assert f"usage: sojourn {name}" in capsys.readouterr().out


# --- all pages


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    def is_broken(target: str) -> bool:
        place, _, heading = target.partition("#")
        linked = (page.parent / place) if place else page
        if not linked.exists():
            return True
        return bool(heading) and heading not in anchors(linked)

    links = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    assert [link for link in links if "://" not in link and is_broken(link)] == []


def anchors(page: Path) -> set[str]:
    """The headings as the sites that show Markdown turn them into anchors."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_index_leads_to_every_page() -> None:
    links = set(re.findall(r"\]\(([\w-]+\.md)\)", (ROOT / "docs" / "index.md").read_text()))
    assert links == {page.name for page in (ROOT / "docs").glob("*.md")} - {"index.md"}


def test_the_tests_of_the_testing_page_pass(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    shown = blocks(ROOT / "docs" / "testing-your-app.md", "python")
    for number, block in enumerate(shown):
        (tmp_path / f"test_shown_{number}.py").write_text(block)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(shown)} passed" in done.stdout


@pytest.mark.parametrize(
    "page",
    [
        "behind-a-proxy.md",
        "rules.md",
        "delivery.md",
        "caching.md",
        "events.md",
        "identify.md",
        "properties.md",
        "privacy.md",
    ],
)
def test_settings_that_a_page_names_exist(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()
    known = {row.name for row in Settings.fields()}
    # Not the code blocks, which are run; nor an option of a backend.
    assigned = set(re.findall(r"`(?:Settings\()?([a-z_]+)=", text)) - {"store", "third_party"}
    assert assigned <= known
    lines = [line for block in blocks(ROOT / "docs" / page, "sh") for line in block.splitlines()]
    for line in [line for line in lines if not line.startswith("sojourn ")]:
        name, _, value = line.partition("=")
        assert Settings.from_env({name: value, "SOJOURN_ENABLED": "0"})


# --- the events


def documented() -> dict[str, set[str]]:
    """Attributes by the heading that they stand under; `*` at the end stands for anything."""
    text = (ROOT / "docs" / "events.md").read_text()
    return {
        heading: set(re.findall(r"`([a-z_.]+\*?)`", " ".join(re.findall(r"^\| (`[^|]*) \|", body, re.MULTILINE))))
        for heading, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    }


def test_every_event_is_described() -> None:
    assert documented().keys() >= RESERVED_NAMES


def test_every_attribute_is_described() -> None:
    clock, backend = ManualClock(), MemoryBackend()
    settings = Settings(
        secret_key="a key that only tests use",
        store="memory:",
        backends=[backend],
        service_name="shop",
        service_version="1",
        environment="test",
    )
    app = Flask("shop")
    logger = logging.getLogger("shop of the docs")
    logger.propagate = False
    logger.addHandler(SojournHandler())

    def slowly() -> Iterator[str]:
        yield "<h1>"
        clock.advance(1)
        yield "Seeds"

    @app.get("/")
    def home() -> Iterator[str]:
        identify("anna", "Anna", traits={"plan": "free"})
        set_session_property("plan", "free")
        track("purchase", {"price": 3.2})
        logger.error("no seeds", exc_info=LookupError("none"))
        capture_exception(LookupError("none"))
        return slowly()

    @app.get("/leave")
    def leave() -> str:
        opt_out()
        return "<h1>Bye</h1>"

    @app.get("/bye")
    def bye() -> str:
        heartbeat()
        end_session()
        return "<h1>Bye</h1>"

    with Engine(settings, clock=clock) as engine:
        Sojourn(app, engine=engine)
        headers = {"referer": "http://elsewhere.example/page"}
        with httpx.Client(
            transport=httpx.WSGITransport(app), base_url="http://shop.example", headers=headers
        ) as browser:
            browser.get("/?utm_source=letter&secret=1")
            assert browser.get("/nothing").status_code == 404
            clock.advance(61)
            browser.get("/")
            clock.advance(31 * 60)
            browser.get("/")
            browser.get("/bye")
            assert engine.flush().done  # an opt-out keeps back what has not left
            browser.get("/leave")
            assert engine.flush().done

    described = documented()
    everywhere = described.pop("On every event")
    seen = {event.name for event in backend.events}
    assert seen >= RESERVED_NAMES | {"purchase"}
    names = {(event.name, name) for event in backend.events for name in event.attributes}
    assert names >= {("page_view", "url.query"), ("page_view", "error.type"), ("log", "exception.type")}
    for event in backend.events:
        known = everywhere | described.get(event.name, described["Your own events"])
        unknown = {name for name in event.attributes if name not in known and not is_covered(name, known)}
        assert (event.name, unknown) == (event.name, set())


def is_covered(name: str, known: set[str]) -> bool:
    return any(pattern.endswith("*") and name.startswith(pattern[:-1]) for pattern in known)


def test_a_fake_visit_is_what_the_rules_call_a_session() -> None:
    with fake_visit() as events:
        identify("anna")
        identify("anna")
        identify("ben")
    assert events.names == ["session.start", "user.identify", "session.end", "session.start", "user.identify"]
