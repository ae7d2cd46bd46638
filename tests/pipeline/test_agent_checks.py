"""Agents are verified by published networks and the reverse DNS, confirmed forwards; addresses are forgotten then."""

from __future__ import annotations

import pytest

from sojourn.core.agent_hits import AgentHit, Verdict
from sojourn.errors import StoreError
from sojourn.pipeline.agent_checks import MOST_WAITING, AgentChecks, Lists, lists_of
from sojourn.stores import SQLiteStore
from sojourn.user_agents.agents import Agent, AgentKind
from sojourn.user_agents.networks import Networks
from sojourn.user_agents.published import FRESH_MS, KIND, AgentNetworks, Published

GOOGLEBOT = Agent("Googlebot", AgentKind.SEARCH, (".googlebot.com", ".google.com"))
ADDRESS = "66.249.66.1"
GPTBOT = Agent("GPTBot", AgentKind.AI_TRAINING)
NAME = "crawl-66-249-66-1.googlebot.com"
HIT = AgentHit(1, "Googlebot", "search", "/", 200)


class DNS:
    """Names by address, and addresses by name; an error where there is one."""

    def __init__(self, names: dict[str, str | Exception], addresses: dict[str, set[str]] | None = None) -> None:
        self.names = names
        self.addresses = {NAME: {ADDRESS}} if addresses is None else addresses
        self.asked: list[str] = []

    def name_of(self, address: str) -> str:
        self.asked.append(address)
        found = self.names.get(address, LookupError())
        if isinstance(found, Exception):
            raise found
        return found

    def addresses_of(self, name: str) -> set[str]:
        if name not in self.addresses:
            raise LookupError(name)
        return self.addresses[name]


class Bench:
    def __init__(self, dns: DNS) -> None:
        self.now = 0.0
        self.dns = dns
        self.time = FRESH_MS
        self.lists: Lists | StoreError = {}
        self.reads = 0
        self.checks = AgentChecks(lambda: self.now, dns, now=lambda: self.time, read_lists=self.read)

    def read(self) -> Lists:
        self.reads += 1
        if isinstance(self.lists, StoreError):
            raise self.lists
        return self.lists

    def publish(self, *networks: str, name: str = "GPTBot", at: int = 0) -> None:
        self.lists = {name: AgentNetworks(Networks(networks), at)}

    def ask(self, address: str = ADDRESS, agent: Agent = GOOGLEBOT) -> Verdict:
        return Verdict(self.checks.ask(agent, address, HIT).verdict)

    def step(self) -> list[AgentHit]:
        appended: list[AgentHit] = []
        while self.checks.step(appended.append) == 0.0:
            pass
        return appended


@pytest.mark.parametrize(
    ("name", "addresses", "verdict"),
    [
        pytest.param(NAME, None, Verdict.VERIFIED, id="named and confirmed"),
        pytest.param(f"{NAME.upper()}.", None, Verdict.VERIFIED, id="in capitals, with the root's dot"),
        pytest.param(NAME, {NAME: {"::ffff:66.249.66.1"}}, Verdict.VERIFIED, id="a mapped address"),
        pytest.param(NAME, {NAME: {"192.0.2.9"}}, Verdict.REFUTED, id="a name that has another address"),
        pytest.param(NAME, {}, Verdict.REFUTED, id="a name that does not exist"),
        pytest.param("evil-googlebot.com", {"evil-googlebot.com": {ADDRESS}}, Verdict.REFUTED, id="another domain"),
        pytest.param("googlebot.com.evil.example", None, Verdict.REFUTED, id="the domain in front"),
        pytest.param(LookupError(), None, Verdict.REFUTED, id="no name"),
        pytest.param(OSError("try again"), None, Verdict.CLAIMED, id="no answer"),
        pytest.param(UnicodeError(), None, Verdict.CLAIMED, id="a name that is none"),
    ],
)
def test_verdict(name: str | Exception, addresses: dict[str, set[str]] | None, verdict: Verdict) -> None:
    bench = Bench(DNS({ADDRESS: name}, addresses))
    assert bench.ask() is Verdict.CLAIMED
    late = [AgentHit(1, "Googlebot", "search", "/", 200, verdict, is_late=True)]
    assert bench.step() == ([] if verdict is Verdict.CLAIMED else late)
    assert bench.ask() is verdict
    assert bench.step() == []


def test_hits_that_come_while_it_is_looked_up_get_the_verdict_too() -> None:
    bench = Bench(DNS({ADDRESS: NAME}))
    for _ in range(3):
        bench.ask()
    assert [hit.verdict for hit in bench.step()] == [Verdict.VERIFIED] * 3
    assert bench.dns.asked == [ADDRESS]


@pytest.mark.parametrize(
    ("name", "kept_s"),
    [(NAME, 86_400), (LookupError(), 3_600), (OSError(), 300)],
    ids=["verified", "refuted", "unknown"],
)
def test_a_verdict_is_remembered_for_a_while(name: str | Exception, kept_s: int) -> None:
    bench = Bench(DNS({ADDRESS: name}))
    for later in (0, kept_s, 1):
        bench.now += later
        bench.ask()
        bench.step()
    assert len(bench.dns.asked) == 2


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "::1", "fe80::1%eth0", "testclient", "", "2001:db8::1"])
def test_addresses_that_the_public_dns_does_not_have_are_not_looked_up(address: str) -> None:
    bench = Bench(DNS({}))
    assert bench.ask(address) is Verdict.CLAIMED
    assert (bench.step(), bench.dns.asked) == ([], [])


def test_a_flood_waits_within_bounds_and_a_minute_at_most() -> None:
    bench = Bench(DNS({ADDRESS: NAME}))
    for number in range(MOST_WAITING + 50):
        bench.ask(f"66.249.{number // 250}.{number % 250}")
    bench.now += 61
    assert (bench.step(), bench.dns.asked) == ([], [])


def test_a_forked_child_leaves_what_waits_to_its_parent() -> None:
    bench = Bench(DNS({ADDRESS: NAME}))
    bench.ask()
    bench.checks.after_fork()
    assert bench.step() == []


def test_no_address_is_kept_once_it_is_verified() -> None:
    bench = Bench(DNS({ADDRESS: NAME}))
    bench.ask()
    assert ADDRESS in repr(bench.checks._waiting)
    bench.step()
    kept = repr((bench.checks._waiting, bench.checks._verdicts.young))
    assert "VERIFIED" in kept
    assert ADDRESS not in kept


@pytest.mark.parametrize(
    ("address", "at", "verdict"),
    [
        pytest.param("66.249.66.1", 0, Verdict.VERIFIED, id="in the list"),
        pytest.param("::ffff:66.249.66.1", 0, Verdict.VERIFIED, id="in the list, mapped"),
        pytest.param("66.249.80.1", 0, Verdict.REFUTED, id="not in the list"),
        pytest.param("2a03:f680::1", 0, Verdict.REFUTED, id="of the other family"),
        pytest.param("66.249.66.1", -1, Verdict.VERIFIED, id="in an old list"),
        pytest.param("66.249.80.1", -1, Verdict.CLAIMED, id="not in an old list, which says nothing"),
        pytest.param("10.0.0.1", 0, Verdict.CLAIMED, id="private"),
    ],
)
def test_published_networks(address: str, at: int, verdict: Verdict) -> None:
    bench = Bench(DNS({}))
    bench.publish("66.249.66.0/27", at=at)
    bench.ask(address, GPTBOT)
    assert [hit.verdict for hit in bench.step()] == ([] if verdict is Verdict.CLAIMED else [verdict])
    assert bench.ask(address, GPTBOT) is verdict
    assert bench.dns.asked == []


def test_the_dns_decides_where_the_list_does_not_have_it() -> None:
    bench = Bench(DNS({ADDRESS: NAME}))
    bench.publish("8.8.4.0/27", name="Googlebot")
    bench.ask()
    bench.ask("8.8.4.1")
    bench.ask("8.8.8.8")
    assert [hit.verdict for hit in bench.step()] == [Verdict.VERIFIED, Verdict.VERIFIED, Verdict.REFUTED]
    assert bench.dns.asked == [ADDRESS, "8.8.8.8"]


def test_the_list_of_one_agent_says_nothing_of_another() -> None:
    bench = Bench(DNS({}))
    bench.publish(f"{ADDRESS}/32")
    other = Agent("ChatGPT-User", AgentKind.AI_ASSISTANT)
    bench.ask(ADDRESS, GPTBOT)
    bench.ask(ADDRESS, other)
    assert [hit.verdict for hit in bench.step()] == [Verdict.VERIFIED]
    assert bench.ask(ADDRESS, other) is Verdict.CLAIMED


def test_lists_are_read_once_an_agent_came_and_again_after_minutes() -> None:
    bench = Bench(DNS({}))
    bench.step()
    assert bench.reads == 0, "a process that no agent asks opens no store"
    bench.ask(ADDRESS, GPTBOT)
    bench.step()
    bench.publish(f"{ADDRESS}/32")
    bench.ask(ADDRESS, GPTBOT)
    assert (bench.step(), bench.reads) == ([], 1)
    bench.now += 300
    bench.step()
    bench.ask(ADDRESS, GPTBOT)
    assert ([hit.verdict for hit in bench.step()], bench.reads) == ([Verdict.VERIFIED], 2)
    bench.lists = StoreError("gone")
    bench.now += 300
    bench.step()
    assert bench.ask(ADDRESS, GPTBOT) is Verdict.VERIFIED, "what was read last holds while the store is away"
    bench.publish("8.8.4.0/27", at=1)
    bench.now += 300
    bench.step()
    bench.ask(ADDRESS, GPTBOT)
    assert [hit.verdict for hit in bench.step()] == [Verdict.REFUTED], "a new list counts at once"


def test_lists_come_from_the_store() -> None:
    store = SQLiteStore(None)
    store.definitions.set(KIND, "GPTBot", Published(7, "gptbot.json", ("66.249.66.0/27",)).text)
    store.definitions.set(KIND, "Other", "of another version")
    lists = lists_of(store)
    assert (list(lists), len(lists["GPTBot"].networks), lists["GPTBot"].read_at) == (["GPTBot"], 1, 7)
    store.close()
