"""What every store must return about agents."""

from __future__ import annotations

from sojourn.stores.model import AgentCount, Batch
from sojourn.stores.protocol import Store
from sojourn.stores.reporting.agents_model import AgentHour, AgentLine, AgentPage
from sojourn.stores.reporting.model import HOUR_MS, Span

from .steps import DAY, NOW, save

HERE = Span(NOW, NOW + HOUR_MS)


def count(
    path: str, agent: str = "GPTBot", status: int = 2, *, at: int = NOW, hits: int = 1, **more: int
) -> AgentCount:
    kind = "search" if agent == "bingbot" else "ai_training"
    return AgentCount(at=at, agent=agent, path=path, status=status, kind=kind, hits=hits, last_at=at + hits, **more)


class AgentsContract:
    """Part of `StoreContract`, which has the fixture."""

    def test_a_store_without_agents(self, store: Store) -> None:
        assert store.agents.agents(HERE) == []
        assert store.agents.hours(HERE) == []
        assert store.agents.pages(HERE, limit=5).pages == ()
        with store.records.recording() as recording:
            assert recording.agent_pages([NOW]) == {}

    def test_hits_add_up_per_agent_and_page(self, store: Store) -> None:
        save(store, Batch(agents=[count("/a", hits=2), count("/a", status=4), count("/robots.txt", verified=1)]))
        save(store, Batch(agents=[count("/a", hits=3), count("/llms.txt", "bingbot", status=5, refuted=1)]))
        assert store.agents.agents(HERE) == [
            AgentLine("GPTBot", "ai_training", 7, 1, 0, 1, 0, 1, 0, 2, NOW + 3),
            AgentLine("bingbot", "search", 1, 0, 1, 0, 1, 0, 1, 1, NOW + 1),
        ]
        pages = store.agents.pages(HERE, limit=2)
        assert pages.total == 3
        assert pages.pages == (AgentPage("/a", 6, 1, 0, 1, NOW + 3), AgentPage("/llms.txt", 1, 0, 1, 1, NOW + 1))
        of_one = store.agents.pages(HERE, agent="bingbot", limit=9)
        assert ([page.path for page in of_one.pages], of_one.total) == (["/llms.txt"], 1)
        assert [page.path for page in store.agents.pages(HERE, kind="search", limit=9).pages] == ["/llms.txt"]
        assert [page.path for page in store.agents.pages(HERE, find="LLMS", limit=9).pages] == ["/llms.txt"]
        assert store.agents.pages(HERE, find="%", limit=9).total == 0
        assert store.agents.hours(HERE) == [AgentHour(NOW, 8, 2)]
        assert store.agents.hours(HERE, agent="GPTBot") == [AgentHour(NOW, 7, 1)]
        assert store.agents.hours(HERE, kind="search") == [AgentHour(NOW, 1, 1)]
        assert store.agents.hours(HERE, agent="GPTBot", kind="search") == []

    def test_a_late_verdict_adds_no_hit(self, store: Store) -> None:
        save(store, Batch(agents=[count("/a")]))
        save(store, Batch(agents=[count("/a", hits=0, verified=1)]))
        (line,) = store.agents.agents(HERE)
        assert (line.hits, line.verified, line.refuted) == (1, 1, 0)

    def test_a_span_has_whole_hours(self, store: Store) -> None:
        save(store, Batch(agents=[count("/a", at=NOW + n * HOUR_MS) for n in range(3)]))
        assert [line.hits for line in store.agents.agents(Span(NOW + 1, NOW + HOUR_MS + 1))] == [2]
        with store.records.recording() as recording:
            assert recording.agent_pages([NOW, NOW + 9 * HOUR_MS]) == {NOW: {("GPTBot", "/a")}}

    def test_any_text_is_a_path(self, store: Store) -> None:
        save(store, Batch(agents=[count("/\x00'\"\ud800%s<script>", "'); DROP--")]))
        (page,) = store.agents.pages(HERE, agent="'); DROP--", limit=9).pages
        assert page.path == "/\ufffd'\"\ufffd%s<script>"

    def test_retention_takes_old_hours_in_slices(self, store: Store) -> None:
        save(store, Batch(agents=[*(count(f"/{n}", at=NOW - DAY) for n in range(3)), count("/new")]))
        done = [store.maintenance.expire(older_than=NOW, limit=2, now=NOW) for _ in range(3)]
        assert done == [2, 1, 0]
        assert [page.path for page in store.agents.pages(Span(0, NOW + DAY), limit=9).pages] == ["/new"]
