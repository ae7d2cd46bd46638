"""The report in headless Chromium: a real app, visits made in the browser, and the pages as readers use them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.chromium import in_chromium
from tests.report.browser import Site, chromium, quoted, rows, site
from tests.report.harness import PASSWORD

__all__ = ["chromium", "site"]

HOSTILE = '<script>document.title="owned"</script><img src=x onerror=alert(1)>\u202eevil\u2066 '

pytestmark = in_chromium


# --- log-in


def test_log_in_and_log_out(site: Site) -> None:
    page = site.page()
    page.goto(f"{site.report}/sessions?q=anna")
    field = page.get_by_label("Password or token")
    expect(field).to_be_focused()
    field.fill("not the password")
    with page.expect_response(re.compile("/login")) as response:
        field.press("Enter")
    assert response.value.status == 403
    expect(page.get_by_role("alert")).to_have_text("Wrong password or token.")
    site.faults.clear()  # the browser itself reports the 403
    page.get_by_label("Password or token").fill(PASSWORD)
    page.get_by_label("Password or token").press("Enter")
    expect(page).to_have_url(f"{site.report}/sessions?q=anna")
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(f"{site.report}/login")
    page.go_back()
    expect(page.get_by_label("Password or token")).to_be_visible()


def test_another_sites_page_cannot_submit_forms(site: Site) -> None:
    page = site.reader()
    other = page.context.new_page()
    # Another origin: the same host by its other name. The strict cookie is not sent, and the form has no token.
    elsewhere = site.address.replace("127.0.0.1", "localhost")
    other.goto(f"{elsewhere}/")
    other.set_content(f'<form method="post" action="{site.report}/logout"><button>Win a prize</button></form>')
    with other.expect_response(re.compile("/logout")) as response:
        other.get_by_role("button").click()
    assert response.value.status == 403
    site.faults.clear()
    page.reload()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


# --- live updates


def test_session_list_updates_without_a_reload(site: Site) -> None:
    visitor = site.visit("/first", user="anna", name="Anna")
    page = site.reader()
    page.goto(f"{site.report}/sessions")
    page.evaluate("window.isTheSame = true")
    row = rows(page).filter(has_text="Anna")
    expect(row.locator("[data-label=Pages]")).to_have_text("1")
    first = row.locator("[data-label=Duration]").inner_text()

    site.go(visitor, "/second")
    expect(row.locator("[data-label=Pages]")).to_have_text("2")
    expect(row).to_contain_text("/second")
    site.visit("/third", user="ben", name="Ben")
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("Ben")
    expect(page.locator(".online [data-number]")).to_have_text("2")
    assert row.locator("[data-label=Duration]").inner_text() != first  # it ticks
    assert page.evaluate("window.isTheSame") is True


def test_new_rows_wait_while_the_reader_uses_the_table(site: Site) -> None:
    site.visit("/first", user="anna", name="Anna")
    page = site.reader()
    page.goto(f"{site.report}/sessions")
    rows(page).first.hover()
    site.visit("/second", user="ben", name="Ben")
    notice = page.get_by_text("1 new session · show")
    expect(notice).to_be_visible()
    expect(rows(page)).to_have_count(1)
    notice.click()
    expect(rows(page)).to_have_count(2)


def test_timeline_updates_without_a_reload(site: Site) -> None:
    visitor = site.visit("/first", user="anna", name="Anna")
    page = site.reader()
    page.goto(f"{site.report}/sessions")
    page.get_by_role("link", name="Anna").click()
    steps = page.locator("ol.steps > li")
    expect(steps.filter(has_text="/first").first).to_be_visible()
    page.evaluate("window.isTheSame = true")
    site.go(visitor, "/buy", event="purchase", note="tomato")
    expect(steps.filter(has_text="purchase")).to_contain_text("tomato")
    assert page.evaluate("window.isTheSame") is True


# --- navigation


def test_filter_drill_down_and_back(site: Site) -> None:
    site.visit("/one", user="anna", name="Anna", plan="pro")
    site.visit("/two", user="ben", name="Ben")
    site.visit("/three", fail="1")
    site.faults.clear()  # the failing page's own
    page = site.reader()
    page.get_by_role("link", name="Sessions", exact=True).click()
    expect(rows(page)).to_have_count(3)
    page.get_by_label("With errors").check()
    page.get_by_role("button", name="Apply").click()
    expect(rows(page)).to_have_count(1)
    expect(page).to_have_url(re.compile(r"errors=1\.\."))
    page.get_by_role("link", name=re.compile("Errors.*remove this filter")).click()
    expect(rows(page)).to_have_count(3)

    page.get_by_text("More filters").click()
    page.get_by_label("Property", exact=True).fill("plan")
    page.get_by_label("Property value").fill("pro")
    page.get_by_label("Property value").press("Enter")
    expect(rows(page)).to_have_count(1)
    page.get_by_role("link", name="Anna").click()
    expect(page.get_by_role("heading", name="Anna", level=1)).to_be_visible()
    page.get_by_role("link", name="anna", exact=True).click()
    expect(page).to_have_url(f"{site.report}/users?id=anna")
    page.go_back()
    page.go_back()
    expect(page).to_have_url(re.compile(r"prop=plan&value=pro"))
    expect(rows(page)).to_have_count(1)
    page.get_by_role("columnheader", name="Pages").get_by_role("link").click()
    expect(page.locator("th[aria-sort=descending]")).to_have_text(re.compile("Pages"))
    expect(rows(page)).to_have_count(1)


def test_chart_zooms_by_drag_and_by_click(site: Site) -> None:
    site.visit("/one")
    page = site.reader()
    page.goto(f"{site.report}/?range=7d")
    box = page.locator(".plot").bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.55, middle)
    expect(page.locator("[data-readout]")).to_have_text(re.compile(r"\d+ sessions, \d+ visitors"))
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.97, middle, steps=4)
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"since=.*&until="))
    expect(page.locator(".card", has_text="Sessions").first.locator(".figure")).to_have_text("1")
    before = page.url
    page.mouse.click(box["x"] + box["width"] * 0.97, middle)
    expect(page).not_to_have_url(before)


def test_page_that_takes_long_shows_that_it_is_on_its_way(site: Site) -> None:
    site.visit("/")
    page = site.reader()
    waiting = page.locator(":root[data-waiting]")
    page.clock.install()
    page.goto(f"{site.report}/sessions")
    with page.expect_download():
        page.get_by_role("link", name="CSV").click()
    page.clock.fast_forward(1000)
    expect(waiting).not_to_be_attached()  # a download stays on the page
    page.get_by_role("searchbox").first.focus()
    page.evaluate("dispatchEvent(new Event('beforeunload'))")
    expect(waiting).not_to_be_attached()  # most pages are there at once
    page.clock.fast_forward(1000)
    expect(waiting).to_be_attached()
    page.keyboard.press("Escape")
    expect(waiting).not_to_be_attached()


def test_exports_follow_the_filter(site: Site) -> None:
    site.visit("/one", user="=1+1", name="=HYPERLINK(1)")
    site.visit("/two", user="ben")
    page = site.reader()
    page.goto(f"{site.report}/sessions?entry=/one")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    with Path(download.value.path()).open(newline="") as file:
        exported = list(csv.DictReader(file))
    assert [row["user_id"] for row in exported] == ["'=1+1"]
    with page.expect_download() as download:
        page.get_by_role("link", name="JSON").click()
    assert [row["user_name"] for row in json.loads(Path(download.value.path()).read_text())] == ["=HYPERLINK(1)"]
    assert download.value.suggested_filename.endswith(".json")


# --- layout


def test_times_are_in_the_zone_of_the_browser(site: Site) -> None:
    site.visit("/one", user="anna", name="Anna")
    page = site.reader()
    expect(page.locator(".foot").get_by_text("Times in Europe/Vienna", exact=True)).to_be_visible()
    page.goto(f"{site.report}/sessions")
    expect(rows(page).locator("time").first).to_have_attribute("title", re.compile(r"UTC\+[12]:00$"))


def luminance(page: Page, selector: str) -> float:
    colour = page.evaluate("s => getComputedStyle(document.querySelector(s)).backgroundColor", selector)
    return sum(float(part) for part in re.findall(r"[\d.]+", colour)[:3]) / 3


def test_theme_follows_the_system_and_the_switch(site: Site) -> None:
    page = site.reader(color_scheme="dark")
    assert luminance(page, ".top") < 60
    page.get_by_role("button", name=re.compile("Theme: auto")).click()
    assert luminance(page, ".top") > 200
    page.reload()
    assert luminance(page, ".top") > 200  # remembered
    page.get_by_role("button", name=re.compile("Theme: light")).click()
    assert luminance(page, ".top") < 60


def test_prints_on_white_and_without_controls_whatever_the_theme(site: Site) -> None:
    site.visit("/printed")
    page = site.reader(color_scheme="dark")
    page.get_by_role("button", name="Theme: auto").click()
    page.get_by_role("button", name="Theme: light").click()
    page.goto(f"{site.report}/?range=24h&browser=Firefox")
    assert luminance(page, ".card") < 60
    controls = page.get_by_text("Save view…")
    expect(controls).to_be_visible()
    page.emulate_media(media="print")
    assert luminance(page, ".card") == 255
    expect(controls).to_be_hidden()
    expect(page.get_by_role("heading", name="Overview", level=1)).to_be_visible()


def test_hostile_text_neither_runs_nor_breaks_the_layout(site: Site) -> None:
    path = "/" + quoted("<b>" + "long" * 60)
    note, plan = HOSTILE + "y" * 3000, HOSTILE + "z" * 4000
    site.visit(path, user="<b>" * 80, name=HOSTILE, event="x" * 90, note=note, plan=plan)
    page = site.reader()
    page.goto(f"{site.report}/sessions")
    key = rows(page).first.get_attribute("data-key")
    for below in ("/", "/sessions", f"/sessions/{key}", f"/users?id={quoted('<b>' * 80)}", "/delivery"):
        page.goto(f"{site.report}{below}")
        page.evaluate("document.querySelectorAll('main details:not(.custom)').forEach(each => { each.open = true })")
        for width in (390, 820, 1000, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (below, width)
        assert page.title() != "owned"
        assert page.locator("main :is(script, img, iframe)").count() == 0


def test_keyboard_reaches_sessions(site: Site) -> None:
    site.visit("/one", user="anna", name="Anna")
    page = site.reader()
    page.goto(f"{site.report}/sessions")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.matches('tr[data-key] a')"):
            break
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Anna", level=1)).to_be_visible()


def test_shortcuts_search_move_and_change_the_range(site: Site) -> None:
    site.visit("/one", user="anna", name="Anna")
    site.visit("/two", user="ben", name="Ben")
    page = site.reader()
    page.goto(f"{site.report}/?range=7d")
    page.keyboard.press("m")
    expect(page).to_have_url(f"{site.report}/?range=30d")
    page.keyboard.press("d")
    expect(page).to_have_url(f"{site.report}/?range=24h")
    page.goto(f"{site.report}/sessions")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator("tr[data-key] a").nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(page.locator("tr[data-key] a").nth(0)).to_be_focused()
    page.keyboard.press("/")
    search = page.get_by_placeholder("Search")
    expect(search).to_be_focused()
    page.keyboard.type("jk/dwm")  # letters, while one writes
    expect(search).to_have_value("jk/dwm")


def test_shortcuts_can_be_turned_off_for_good(site: Site) -> None:
    site.visit("/one")
    page = site.reader()
    page.goto(f"{site.report}/?range=7d")
    page.get_by_role("button", name="Turn shortcuts off").click()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("m")
    expect(page.get_by_role("button", name="Turn shortcuts on")).to_be_visible()
    expect(page).to_have_url(f"{site.report}/?range=7d")


def test_ids_are_copied(site: Site) -> None:
    site.visit("/one", user="anna", name="Anna")
    page = site.reader()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site.report}/sessions")
    rows(page).first.get_by_role("link").click()
    page.get_by_role("button", name="Copy anna").click()
    expect(page.get_by_role("button", name="Copied anna")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "anna"


def test_pages_work_without_scripts(site: Site) -> None:
    site.visit("/one", user="anna", name="Anna")
    page = site.reader(java_script_enabled=False)
    page.get_by_role("link", name="Sessions", exact=True).click()
    page.get_by_placeholder("Search").fill("anna")
    page.get_by_role("button", name="Apply").click()
    rows(page).get_by_role("link", name="Anna").click()
    expect(page.locator("ol.steps > li").first).to_be_visible()
    page.get_by_role("button", name=re.compile("Theme")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password or token")).to_be_visible()


def test_pages_load_nothing_from_other_hosts(site: Site) -> None:
    site.visit("/one")
    page = site.reader()
    urls: list[str] = []
    page.on("request", lambda request: urls.append(request.url))
    for below in ("/", "/sessions", "/delivery"):
        page.goto(f"{site.report}{below}")
        page.wait_for_load_state("networkidle")
    assert urls
    assert {url for url in urls if not url.startswith(f"{site.report}/")} == set()
