"""Verifies whether agents are who they claim to be, in a thread of its own: by published networks, and by the reverse DNS.

An operator may publish the networks of its crawlers (`user_agents.published`): an address in one of them is verified. Or it
gives their addresses names in its domain, and those names the addresses: both are looked up, since anyone may name an address
of theirs so. The request path only asks what is known already. Addresses wait in memory, for a minute at most, and what was
found out is remembered under a hash that only this process can make.

See P34 in docs/internals.md.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections import deque
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Final, NamedTuple, Protocol

import msgspec

from sojourn.core.agent_hits import AgentHit, Verdict
from sojourn.core.bounded import Bounded
from sojourn.errors import StoreError
from sojourn.stores.protocol import Store
from sojourn.user_agents.agents import Agent
from sojourn.user_agents.published import KIND, AgentNetworks, networks_of

log = logging.getLogger("sojourn")

MOST_WAITING: Final = 1_000
_REMEMBERED: Final = 4_096
_LONGEST_WAIT_S: Final = 60.0
_REST_S: Final = 0.5
_ASKED_AT_ONCE: Final = 20
_LISTS_KEPT_S: Final = 300.0
"""For so long a process uses the published networks before it reads the store again."""
_KEPT_S: Final = {Verdict.VERIFIED: 86_400.0, Verdict.REFUTED: 3_600.0, Verdict.CLAIMED: 300.0}


class Resolver(Protocol):
    """The DNS. Both may block; both raise `LookupError` for what does not exist, and `OSError` for what is not known now."""

    def name_of(self, address: str) -> str: ...

    def addresses_of(self, name: str) -> set[str]: ...


class SystemResolver:
    """The resolver of the operating system."""

    def name_of(self, address: str) -> str:
        try:
            return socket.getnameinfo((address, 0), socket.NI_NAMEREQD)[0]
        except socket.gaierror as error:
            raise _lookup_error(error) from None

    def addresses_of(self, name: str) -> set[str]:
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise _lookup_error(error) from None
        return {str(address[0]) for *_, address in found}


def _lookup_error(error: socket.gaierror) -> Exception:
    return LookupError(error.errno) if error.errno in _NOT_THERE else error


_NOT_THERE: Final = frozenset(
    value for name in ("EAI_NONAME", "EAI_NODATA") if (value := getattr(socket, name, None)) is not None
)


Lists = Mapping[str, AgentNetworks]
"""Published networks by the name of the agent."""


class _Waiting(NamedTuple):
    agent: Agent
    address: str
    since: float
    hit: AgentHit


def lists_of(store: Store) -> Lists:
    """Read the published networks from a store. Raises `StoreError`."""
    listed = {each.name: networks_of(each.text) for each in store.definitions.of(KIND)}
    return {name: networks for name, networks in listed.items() if networks is not None}


class AgentChecks:
    """Asked by any thread, worked off by one. `monotonic`: seconds; `now`: ms.

    `read_lists` may block, and raise `StoreError`; it is called by the one.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        resolver: Resolver | None = None,
        *,
        now: Callable[[], int] = lambda: 0,
        read_lists: Callable[[], Lists] = dict,
    ) -> None:
        self._monotonic = monotonic
        self._resolver: Resolver = resolver or SystemResolver()
        self._now = now
        self._read_lists = read_lists
        self._lists: Lists = {}
        self._lists_at: float | None = None
        self._key = os.urandom(16)
        self._verdicts: Bounded[bytes, tuple[Verdict, float]] = Bounded(_REMEMBERED)
        self._waiting: deque[_Waiting] = deque()

    def after_fork(self) -> None:
        """What waits is the parent's to find out."""
        self._waiting = deque()

    def ask(self, agent: Agent, address: str, hit: AgentHit) -> AgentHit:
        """Return the hit with the verdict, if it is known; else find it out, if it can be. Takes microseconds."""
        if not agent.domains and self._lists_at is not None and agent.name not in self._lists:
            return hit
        verdict = self._known(agent, address)
        if verdict is not None:
            return hit if verdict is Verdict.CLAIMED else msgspec.structs.replace(hit, verdict=verdict)
        if len(self._waiting) < MOST_WAITING and _is_public(address):
            self._waiting.append(_Waiting(agent, address, self._monotonic(), hit))
        return hit

    def step(self, append: Callable[[AgentHit], object]) -> float:
        """Look up what waits, append the verdicts, and return for how many seconds to rest. Blocks."""
        self._refresh_lists()
        for _ in range(_ASKED_AT_ONCE):
            if not self._waiting:
                return _REST_S
            waiting = self._waiting.popleft()
            if self._monotonic() - waiting.since > _LONGEST_WAIT_S:
                continue
            verdict = self._known(waiting.agent, waiting.address)
            if verdict is None:
                verdict = self._judged(waiting.agent, waiting.address)
                self._verdicts[self._name(waiting.agent, waiting.address)] = verdict, self._monotonic()
            if verdict is not Verdict.CLAIMED:
                append(msgspec.structs.replace(waiting.hit, verdict=verdict, is_late=True))
        return 0.0

    def _refresh_lists(self) -> None:
        """Read the lists, once an agent has come, and from then on every few minutes."""
        at = self._monotonic()
        if not self._waiting if self._lists_at is None else at - self._lists_at < _LISTS_KEPT_S:
            return
        self._lists_at = at
        try:
            lists = self._read_lists()
        except StoreError as error:
            log.debug("The published networks of agents cannot be read: %s", error)
            return
        if {name: each.read_at for name, each in lists.items()} != {
            name: each.read_at for name, each in self._lists.items()
        }:
            self._verdicts = Bounded(_REMEMBERED)  # what was found out may be otherwise now
        self._lists = lists

    def _judged(self, agent: Agent, address: str) -> Verdict:
        listed = self._lists.get(agent.name)
        plain = _plain(address)
        if listed is not None and plain is not None and plain in listed.networks:
            return Verdict.VERIFIED
        if agent.domains:
            return self._looked_up(agent.domains, address)
        return Verdict.REFUTED if listed is not None and listed.refutes(self._now()) else Verdict.CLAIMED

    def _known(self, agent: Agent, address: str) -> Verdict | None:
        found = self._verdicts.get(self._name(agent, address))
        if found is None or self._monotonic() - found[1] > _KEPT_S[found[0]]:
            return None
        return found[0]

    def _looked_up(self, domains: tuple[str, ...], address: str) -> Verdict:
        try:
            name = self._resolver.name_of(address).lower().rstrip(".")
            if not name.endswith(domains):
                return Verdict.REFUTED
            confirmed = {_plain(each) for each in self._resolver.addresses_of(name)}
        except LookupError:
            return Verdict.REFUTED
        except (OSError, UnicodeError):  # no answer now, or a name that is none
            return Verdict.CLAIMED
        return Verdict.VERIFIED if _plain(address) in confirmed else Verdict.REFUTED

    def _name(self, agent: Agent, address: str) -> bytes:
        return blake2b(f"{address} {agent.name}".encode(errors="replace"), key=self._key, digest_size=16).digest()


def _is_public(address: str) -> bool:
    plain = _plain(address)
    return plain is not None and plain.is_global


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        plain = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    return getattr(plain, "ipv4_mapped", None) or plain
