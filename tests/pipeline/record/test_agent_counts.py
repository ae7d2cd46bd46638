"""Hits of agents become rows: bounded, exactly once, and whatever else their batch holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.agent_hits import HOUR_MS, OTHER_PAGES, AgentHit, Verdict
from sojourn.core.session import Rules
from sojourn.pipeline import payloads
from sojourn.pipeline.record.agent_counts import MOST_AGENTS, MOST_PAGES, count_hits
from sojourn.pipeline.record.recorder import Recorder
from sojourn.stores.reporting.model import Span
from sojourn.user_agents.agents import OTHER_AGENTS
from tests.pipeline.conftest import NOW, Bench

KEY = "018bcfe5-6800-7000-8000-000000000001"
EVER = Span(0, 2 * NOW)
HOUR = NOW // HOUR_MS * HOUR_MS


def hit(path: str = "/", agent: str = "GPTBot", status: int = 200, **more: int) -> AgentHit:
    return AgentHit(NOW, agent, "ai_training", path, status, **more)  # type: ignore[arg-type]


def put(bench: Bench, *hits: AgentHit) -> None:
    for each in hits:
        assert bench.journal.append(payloads.encode_hit(each), kind="agent", essential=False, wall=NOW)


def test_hits_and_records_are_applied_together_and_once(bench: Bench) -> None:
    other = bench.another(bench.journal)
    other.step(bench.now)  # it has read the positions
    put(bench, hit("/a"))
    bench.request(KEY, 0, is_start=True)
    put(bench, hit("/a", status=404))
    assert [bench.apply(), bench.apply(), other.step(bench.now)[0]] == [3, 0, 0]
    assert bench.names == ["session.start", "page_view"]
    (line,) = bench.store.agents.agents(EVER)
    assert (line.agent, line.hits, line.client_errors) == ("GPTBot", 2, 1)
    assert bench.counter("records.accepted") == bench.counter("records.recorded") == 3


def test_hits_of_a_batch_that_is_rolled_back_are_counted_by_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill: positions and counts are one transaction."""
    put(bench, hit())
    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "_batch", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.recorder.step(bench.now)
    successor = bench.another(bench.journal, rules=Rules())
    assert [successor.step(bench.now)[0], successor.step(bench.now)[0]] == [1, 0]
    assert [line.hits for line in bench.store.agents.agents(EVER)] == [1]


def test_a_late_verdict_finds_its_row_and_adds_no_hit(bench: Bench) -> None:
    put(bench, hit("/a"), hit("/a"))
    bench.apply()
    put(bench, hit("/a", verdict=Verdict.VERIFIED, is_late=True), hit("/a", verdict=Verdict.REFUTED, is_late=True))
    bench.apply()
    (line,) = bench.store.agents.agents(EVER)
    assert (line.hits, line.verified, line.refuted) == (2, 1, 1)


def test_a_hit_from_a_clock_ahead_is_counted_now(bench: Bench) -> None:
    ahead = AgentHit(NOW + 9 * HOUR_MS, "GPTBot", "ai_training", "/", 200)
    put(bench, ahead)
    bench.apply()
    assert [hour.at for hour in bench.store.agents.hours(EVER)] == [HOUR]


def test_an_hour_holds_so_many_agents_and_pages(bench: Bench) -> None:
    put(bench, *(hit(f"/{n}", agent=f"Bot{n}") for n in range(MOST_AGENTS + 5)))
    put(bench, *(hit(f"/deep/{n}") for n in range(MOST_PAGES)), hit("/robots.txt"), hit("/llms.txt"))
    while bench.recorder.step(bench.now)[1]:
        pass
    lines = {line.agent: line for line in bench.store.agents.agents(EVER)}
    assert len(lines) == MOST_AGENTS + 1
    assert sum(line.hits for line in lines.values()) == MOST_AGENTS + 5 + MOST_PAGES + 2
    assert (lines[OTHER_AGENTS].kind, lines[OTHER_AGENTS].robots, lines[OTHER_AGENTS].llms) == ("tool", 1, 1)
    pages = bench.store.agents.pages(EVER, limit=5_000)
    assert len(pages.pages) <= MOST_PAGES + 3
    assert sum(page.hits for page in pages.pages) == MOST_AGENTS + 5 + MOST_PAGES + 2
    assert next(page.hits for page in pages.pages if page.path == OTHER_PAGES) == 105


_hits = st.builds(
    AgentHit,
    at=st.integers(0, 2 * HOUR_MS),
    agent=st.sampled_from([f"Bot{n}" for n in range(200)]),
    kind=st.just("search"),
    path=st.sampled_from(["/robots.txt", "/llms.txt", "/" + "x" * 300, *(f"/{n}" for n in range(60))]),
    status=st.integers(0, 999),
    verdict=st.sampled_from(list(Verdict)),
    is_late=st.booleans(),
)


@given(st.lists(_hits, max_size=60), st.integers(0, 60))
def test_no_hit_is_lost_however_the_batches_are_cut(hits: list[AgentHit], cut: int) -> None:
    whole = count_hits(hits, {})
    stored: dict[int, set[tuple[str, str]]] = {}
    first = count_hits(hits[:cut], stored)
    for count in first:
        stored.setdefault(count.at, set()).add((count.agent, count.path))
    parts = first + count_hits(hits[cut:], stored)
    assert sum(count.hits for count in parts) == sum(not each.is_late for each in hits)
    totals: dict[tuple[object, ...], list[int]] = {}
    for count in parts:
        sums = totals.setdefault((count.at, count.agent, count.path, count.status), [0, 0, 0])
        for place, value in enumerate((count.hits, count.verified, count.refuted)):
            sums[place] += value
    assert totals == {
        (count.at, count.agent, count.path, count.status): [count.hits, count.verified, count.refuted]
        for count in whole
    }
