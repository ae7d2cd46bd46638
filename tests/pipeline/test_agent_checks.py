"""Agents are verified by the reverse DNS, confirmed forwards; addresses are forgotten as soon as that is done."""

from __future__ import annotations

import pytest

from sojourn.core.agent_hits import AgentHit, Verdict
from sojourn.pipeline.agent_checks import MOST_WAITING, AgentChecks
from sojourn.user_agents.agents import Agent, AgentKind

GOOGLEBOT = Agent("Googlebot", AgentKind.SEARCH, (".googlebot.com", ".google.com"))
ADDRESS = "66.249.66.1"
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
        self.checks = AgentChecks(lambda: self.now, dns)

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
