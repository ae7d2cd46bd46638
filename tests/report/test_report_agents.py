"""The agents' page: who read what, and whether it is who it claims to be."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from sojourn.core.agent_hits import AgentHit, Verdict
from sojourn.report._agents import identity
from sojourn.stores.reporting.agents_model import AgentLine
from sojourn.user_agents.published import KIND, Published
from tests.report.harness import App, Reader

GPTBOT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)"
CHATGPT = "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ChatGPT-User/1.0; +https://openai.com/bot)"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def test_agents_are_listed_and_no_visitors(app: App, reader: Reader) -> None:
    for path in ("/robots.txt", "/llms.txt", "/", "/seeds"):
        app.visit(path, user_agent=GPTBOT)
    app.status = 404
    app.visit("/gone", user_agent=GPTBOT)
    app.status = 200
    app.visit("/seeds", user_agent=CHATGPT)
    words = reader.get("/agents").words
    assert "Requests 6 by 2 agents Pages 5" in words
    assert "GPTBot AI training claims to be 5 5 1 1 1" in words
    assert "ChatGPT-User AI assistants claims to be 1 1 — — —" in words
    assert "/seeds 2 2 — —" in words
    assert "/gone 1 1 1 —" in words
    assert app.engine.stats().store.sessions == 0


def test_one_agent_or_one_kind(app: App, reader: Reader) -> None:
    app.visit("/a", user_agent=GPTBOT)
    app.visit("/b", user_agent=CHATGPT)
    of_one = reader.get("/agents", agent="GPTBot").words
    assert "Pages that GPTBot asked for" in of_one
    assert "/a 1 1" in of_one
    assert "/b 1 1" not in of_one
    of_kind = reader.get("/agents", kind="ai_assistant").words
    assert "ChatGPT-User AI assistants" in of_kind
    assert "GPTBot AI training" not in of_kind
    assert "No such agent in this range" in reader.get("/agents", agent="Nobody").words
    assert "Part of this address was ignored" in reader.get("/agents", kind="nobody").words


def test_agents_are_links_that_keep_the_range(app: App, reader: Reader) -> None:
    app.visit("/a", user_agent=GPTBOT)
    app.visit("/b", user_agent=CHATGPT)
    page = reader.get("/agents", range="today", find="gpt", kind="ai_training").text
    assert 'href="/_sojourn/agents?range=today&amp;agent=GPTBot"' in page
    assert 'href="/_sojourn/agents?range=today&amp;kind=ai_assistant"' in page
    assert 'href="/_sojourn/agents?range=today">All</a>' in page
    assert 'href="/_sojourn/agents?agent=GPTBot"' in reader.get("/agents").text


def test_all_pages(app: App, reader: Reader) -> None:
    for number in range(30):
        app.visit(f"/p/{number}", user_agent=GPTBOT)
    page = reader.get("/agents")
    assert "All (30)" in page.words
    assert "/p/9 1" not in page.words
    assert "/p/9 1" in reader.get("/agents", all="pages").words


def test_all_agents(app: App, reader: Reader) -> None:
    for number in range(30):
        app.visit("/", user_agent=f"Example{number:02}bot/1.0")
    page = reader.get("/agents")
    assert "by 30 agents" in page.words
    assert "All (30)" in page.words
    assert page.words.count("Example") == 25
    assert reader.get("/agents", all="agents").words.count("Example") == 30


def test_search_finds_agents_and_pages(app: App, reader: Reader) -> None:
    for path, agent in (("/seeds", GPTBOT), ("/gpt", CHATGPT), ("/", GOOGLEBOT)):
        app.visit(path, user_agent=agent)
    page = reader.get("/agents", find="GPT")
    assert "ChatGPT-User AI assistants" in page.words
    assert "GPTBot AI training" in page.words
    assert "Googlebot Search" not in page.words
    assert "/gpt 1 1" in page.words
    assert "/seeds 1 1" not in page.words
    assert "No agent and no page with “ tulip ”" in reader.get("/agents", find="tulip").words


def test_exports_have_what_the_page_shows(app: App, reader: Reader) -> None:
    app.visit("/robots.txt", user_agent=GPTBOT)
    app.visit("/=cmd()", user_agent=GPTBOT)
    app.visit("/seeds", user_agent=CHATGPT)
    document = json.loads(reader.get("/agents.json").text)
    assert [(row["agent"], row["identity"], row["requests"]) for row in document["agents"]] == [
        ("GPTBot", "claims to be", 2),
        ("ChatGPT-User", "claims to be", 1),
    ]
    assert ([row["path"] for row in document["pages"]], document["all_pages"]) == (
        ["/=cmd()", "/robots.txt", "/seeds"],
        3,
    )
    of_one = json.loads(reader.get("/agents.json", agent="GPTBot", find="robots").text)
    assert (of_one["agents"], [row["path"] for row in of_one["pages"]]) == ([], ["/robots.txt"])
    for table, rows in (("agents", document["agents"]), ("pages", document["pages"])):
        lines = list(csv.reader(io.StringIO(reader.get("/agents.csv", table=table).text)))
        assert lines[0] == list(rows[0])
        assert len(lines) == len(rows) + 1
    wrong = reader.get("/agents.csv", table="passwords")
    assert (wrong.status, wrong.text.startswith("table: unknown value")) == (400, True)


def test_published_networks_verify_and_are_shown_with_their_date(app: App, reader: Reader) -> None:
    app.visit("/", user_agent=GPTBOT)
    assert re.search(r"GPTBot ?: the operator publishes networks", reader.get("/agents").words)
    checks = app.engine.agent_checks
    assert checks is not None
    app.engine.store.definitions.set(KIND, "GPTBot", Published(app.clock.now(), "gptbot.json", ("8.8.4.0/27",)).text)
    for address in ("8.8.4.9", "8.8.8.8"):
        app.request("GET", "/", {"user-agent": GPTBOT}, client=address)
    checks.step(app.engine.intake.append_hit)
    app.engine.flush()
    page = reader.get("/agents")
    assert "GPTBot AI training 33% false 3" in page.words
    assert "Of 3 requests: 1 verified, 1 false, 1 not verified" in page.text
    assert re.search(r"GPTBot ?: 1 network, read", page.words)
    assert "agent-ranges update" not in page.words
    old = Published(app.clock.now() - 31 * 86_400_000, "bingbot.json", ("9.9.9.9/32",))
    app.engine.store.definitions.set(KIND, "bingbot", old.text)
    assert "older than 30 days: confirms only" in reader.get("/agents").words


def test_verdicts(app: App, reader: Reader) -> None:
    at = app.clock.now()
    for verdict in (Verdict.VERIFIED, Verdict.REFUTED, Verdict.CLAIMED, Verdict.CLAIMED):
        app.engine.intake.append_hit(AgentHit(at, "Googlebot", "search", "/", 200, verdict))
    app.engine.flush()
    page = reader.get("/agents")
    assert "Googlebot Search 25% false 4" in page.words
    assert "Of 4 requests: 1 verified, 1 false, 2 not verified" in page.text


@pytest.mark.parametrize(
    ("verified", "refuted", "word"),
    [(4, 0, "verified"), (0, 4, "false"), (0, 0, "claims to be"), (1, 0, "partly verified"), (3, 1, "25% false")],
)
def test_identity(verified: int, refuted: int, word: str) -> None:
    line = AgentLine("Googlebot", "search", 4, verified, refuted, 0, 0, 0, 0, 1, 0)
    assert identity(line).word == word


def test_an_empty_store_says_what_will_be_here(reader: Reader) -> None:
    assert "No agent in this range" in reader.get("/agents").words


def test_hostile_agents_and_paths_are_text(app: App, reader: Reader) -> None:
    app.visit("/<script>alert(1)</script>", user_agent="<img src=x onerror=alert(1)>bot (+http://x.example)")
    text = reader.get("/agents").text
    assert "<script>alert" not in text
    assert "<img" not in text
