"""The demo has agents: they ask for pages, and a generated store has months of them."""

from __future__ import annotations

from pathlib import Path
from threading import Event

from sojourn.core.agent_hits import HOUR_MS
from sojourn.demo.agents import PATHS, USER_AGENTS, counts, read_shop
from sojourn.demo.generator import DAY_MS, generate
from sojourn.stores import SQLiteStore
from sojourn.stores.reporting.model import Span
from sojourn.user_agents.agents import AgentKind, agent_of

NOW = 1_769_860_800_000 + 1_234


def test_every_kind_that_a_shop_meets_is_there() -> None:
    kinds = {agent.kind for user_agent in USER_AGENTS if (agent := agent_of(user_agent)) is not None}
    assert kinds == set(AgentKind) - {AgentKind.PREVIEW}


def test_each_agent_asks_for_each_page_and_stops_when_told() -> None:
    asked: list[tuple[str, str]] = []
    stop = Event()
    stop.set()
    read_shop(lambda path, agent: asked.append((path, agent)), stop)
    assert asked == [(path, USER_AGENTS[0]) for path in PATHS]


def test_the_same_seed_makes_the_same_figures_of_each_hour() -> None:
    made = list(counts(NOW - DAY_MS, NOW, seed=1))
    assert made == list(counts(NOW - DAY_MS, NOW, seed=1))
    assert len(made) == 25
    rows = [row for hour in made for row in hour]
    assert all(row.at <= row.last_at <= min(NOW, row.at + HOUR_MS) for row in rows)
    assert all(row.verified + row.refuted <= row.hits for row in rows)


def test_a_generated_store_has_agents(tmp_path: Path) -> None:
    path = tmp_path / "sojourn.db"
    generate(path, 50, now=NOW, days=3, on_progress=lambda *_: None)
    store = SQLiteStore(path)
    lines = {line.agent: line for line in store.agents.agents(Span(0, 2 * NOW))}
    store.close()
    assert {"GPTBot", "ChatGPT-User", "Googlebot", "UptimeRobot"} <= lines.keys()
    assert lines["GPTBot"].llms > 0
    assert 0 < lines["Googlebot"].refuted < lines["Googlebot"].verified < lines["Googlebot"].hits
