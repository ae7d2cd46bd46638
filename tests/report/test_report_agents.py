"""The agents' page: who read what, and whether it is who it claims to be."""

from __future__ import annotations

import pytest

from sojourn.core.agent_hits import AgentHit, Verdict
from sojourn.report._agents import identity
from sojourn.stores.reporting.agents_model import AgentLine
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


def test_all_pages(app: App, reader: Reader) -> None:
    for number in range(30):
        app.visit(f"/p/{number}", user_agent=GPTBOT)
    page = reader.get("/agents")
    assert "All (30)" in page.words
    assert "/p/9 1" not in page.words
    assert "/p/9 1" in reader.get("/agents", pages="all").words


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
