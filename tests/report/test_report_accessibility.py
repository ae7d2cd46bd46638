"""Every page of the report, in both themes and on every size of screen, as axe-core judges it: no violation at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sojourn import Event
from sojourn.backends.protocol import Receipt, Rejection
from tests.chromium import in_chromium
from tests.node.packages import package
from tests.report.browser import Site, chromium, rows, site_at

__all__ = ["chromium"]

pytestmark = in_chromium

GOALS = {"Purchase": "purchase", "x" * 80: "/" + "long" * 60}
FUNNELS = {"Purchase": "/catalogue > purchase > /cart"}
SIZES = ((390, 844), (820, 1180), (1280, 900))
THEMES = ("light", "dark")


RING = """() => {
  const element = document.activeElement;
  if (element === document.body) return "";
  const [own, after] = [getComputedStyle(element), getComputedStyle(element, "::after")];
  const name = `${element.localName} ${element.textContent.trim().slice(0, 30)}`;
  if (own.outlineStyle === "none") return after.outlineStyle === "none" ? `${name}: no ring` : "";
  const reach = parseFloat(own.outlineWidth) + parseFloat(own.outlineOffset);
  const box = element.getBoundingClientRect();
  for (let around = element.parentElement; around; around = around.parentElement) {
    if (getComputedStyle(around).overflow === "visible") continue;
    const clip = around.getBoundingClientRect();
    const fits = box.left - reach >= clip.left && box.right + reach <= clip.right
      && box.top - reach >= clip.top && box.bottom + reach <= clip.bottom;
    if (!fits) return `${name}: clipped by .${around.className}`;
  }
  return "";
}"""
"""What is wrong with the ring around the element that has the focus."""


def judged(page: Page) -> list[str]:
    """What axe finds on the page as it is now: the rule, and where."""
    if not page.evaluate("'axe' in window"):
        # Not as a script of the page: its policy allows only the report's own.
        page.evaluate((package("axe-core") / "axe.min.js").read_text(encoding="utf-8"))
    results: dict[str, Any] = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{rule['id']}: {node['target'][0]}: {node['failureSummary'].splitlines()[1].strip()}"
        for rule in results["violations"]
        for node in rule["nodes"]
    ]


def check(page: Page, name: str) -> list[str]:
    """Judge a page in both themes and every size."""
    found: list[str] = []
    for theme in THEMES:
        page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # type: ignore[arg-type]
        for width, height in SIZES:
            page.set_viewport_size({"width": width, "height": height})
            found += [f"{name}, {theme}, {width}: {violation}" for violation in judged(page)]
    return found


class Choosy:
    """A backend that rejects page views: the delivery page has dead letters."""

    name = "choosy"
    third_party = False

    def accepts(self, _event: Event) -> bool:
        return True

    def send(self, batch: Sequence[Event]) -> Receipt:
        bad = tuple(
            Rejection(event_id=event.id, reason="no page views", status=400)
            for event in batch
            if event.name == "page_view"
        )
        return Receipt(delivered=len(batch) - len(bad), rejected=bad)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def busy(chromium: Browser, tmp_path: Path) -> Iterator[Site]:
    """A site with all that a page can show."""
    with site_at(tmp_path, chromium, backends=[Choosy()], goals=GOALS, funnels=FUNNELS, alerts="nothing=2h") as site:
        _fill(site)
        yield site


def _fill(site: Site) -> None:
    visitor = site.visit("/catalogue", user="anna", name="Anna", plan="pro", event="purchase", note="tomato")
    site.go(visitor, "/cart")
    site.visit("/missing", fail="1")
    site.visit("/" + "long" * 60, user="a\u043dna", note="x" * 400, event="note")
    site.go(site.page(user_agent="Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)"), "/robots.txt")
    site.faults.clear()


def test_every_page_is_accessible(busy: Site) -> None:
    site = busy
    page = site.page()
    page.goto(f"{site.report}/login")
    found = check(page, "login")
    page.get_by_label("Password or token").fill("wrong")
    page.get_by_label("Password or token").press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    found += check(page, "login refused")
    site.faults.clear()

    page = site.reader()
    page.goto(f"{site.report}/sessions")
    anna = rows(page).filter(has_text="Anna").get_attribute("data-key")
    visitor = page.request.get(f"{site.report}/sessions.json?user=anna").json()[0]["visitor_id"]
    for name, below in {
        "overview": "/",
        "overview of an empty range": "/?since=2001-01-01T00:00Z&until=2001-01-02T00:00Z",
        "overview with a notice": "/?range=foo",
        "overview with other tabs": "/?tabs=campaigns,exits,devices",
        "panel": "/panels/errors",
        "panel filtered and sorted": "/panels/pages?source=Direct&sort=views&dir=up&find=/",
        "panel without a match": "/panels/pages?find=nothing",
        "releases": "/panels/releases",
        "sessions": "/sessions",
        "sessions filtered": "/sessions?user=anna&prop.plan=pro&since=2001-01-01T00:00Z&sort=pages",
        "sessions without a match": "/sessions?q=nothing&range=24h",
        "session": f"/sessions/{anna}",
        "user": "/users?id=anna",
        "visitor": f"/visitors?id={visitor}",
        "agents": "/agents",
        "no agents": "/agents?range=today&agent=none",
        "delivery": "/delivery",
        "tokens": "/tokens",
        "goals": "/goals?goal=Purchase&device=desktop",
        "funnels": "/funnels?by=visitor",
        "steps that are no funnel yet": "/funnels?steps=/catalogue > /cart",
        "retention": "/retention",
        "retention of users": "/retention?of=users&device=desktop",
        "alerts": "/alerts",
        "no saved view": "/views",
        "not found": "/nothing",
    }.items():
        page.goto(f"{site.report}{below}")
        page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true })")
        found += check(page, name)
    page.goto(f"{site.report}/?range=7d&measure=errors")
    page.get_by_text("Save view…").click()
    page.get_by_label("Name").fill("Shared")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("View: Shared").click()
    found += check(page, "a saved view")
    page.get_by_role("link", name="Manage views").click()
    page.get_by_role("button", name="Make a link").click()
    page.evaluate("document.querySelectorAll('main details').forEach(each => { each.open = true })")
    found += check(page, "saved views and links")
    page.locator('a[href*="/share/"]').click()
    expect(page.get_by_role("heading", name="Shared", level=1)).to_be_visible()
    found += check(page, "a shared view")
    site.faults.clear()  # the browser itself reports the 404
    assert found == [], "\n".join(found)


def test_the_first_run_is_accessible(chromium: Browser, tmp_path: Path) -> None:
    with site_at(tmp_path, chromium) as site:
        page = site.reader()
        expect(page.get_by_role("heading", name="No session was recorded yet")).to_be_visible()
        found = check(page, "first run")
    assert found == [], "\n".join(found)


@pytest.mark.parametrize("below", ["/", "/sessions", "/agents", "/panels/errors"])
def test_the_focus_is_seen_wherever_it_is(busy: Site, below: str) -> None:
    page = busy.reader()
    page.goto(f"{busy.report}{below}")
    wrong: list[str] = []
    reached = 0
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
        reached += 1
        if problem := page.evaluate(RING):
            wrong.append(problem)
    assert reached > 15
    assert wrong == []
