"""Group events into mParticle's batches, each of one user in one session, as its own libraries do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.backends._json import to_json
from sojourn.backends.contexts import with_client
from sojourn.backends.http import Unsendable
from sojourn.backends.packing import CallLimits, Pack, Piece, packed
from sojourn.core.events import OPT_OUT, USER_IDENTIFY, Event, Scalar
from sojourn.core.ids import hashed_uuid

from .events import encoded, fitted, is_silent

BATCH_BYTES: Final = 128_000
MAX_USER_ATTRIBUTES: Final = 100

_ID: Final = "source_request_id"
_ID_BYTES: Final = len(f'{{"{_ID}":"{hashed_uuid()}",')
_EVENTS: Final = b',"events":['
_TAIL: Final = b"]}"
_NAME: Final = "user.name"
_TRAITS: Final = "user.traits."
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


@dataclass(slots=True, kw_only=True)
class Group:
    """The events of one batch. `named`: its `user.identify` events, which become part of the batch's head."""

    visitor_id: str
    user_id: str | None
    is_old: bool
    pieces: list[Piece] = field(default_factory=list)
    last: list[Piece] = field(default_factory=list)
    """The `opt_out`: what follows one is not forwarded, and the log has the end of its session behind it."""
    named: list[Event] = field(default_factory=list)
    client: Mapping[str, Scalar] = field(default_factory=dict)
    """Attributes of which one is the client's agent or address."""
    service: tuple[Scalar | None, Scalar | None] = (None, None)

    def holds(self, event: Event, *, is_old: bool) -> bool:
        return self.user_id == event.user_id and self.is_old is is_old and self.visitor_id == event.visitor_id


class _Identities(msgspec.Struct, frozen=True, gc=False):
    customer_id: str


class _Application(msgspec.Struct, frozen=True, gc=False):
    application_name: Scalar | UnsetType
    application_version: Scalar | UnsetType


class _Device(msgspec.Struct, frozen=True, gc=False):
    platform: str
    http_header_user_agent: Scalar


class _Head(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    environment: str
    mp_deviceid: str
    ip: str | UnsetType
    user_identities: _Identities | UnsetType
    user_attributes: Mapping[str, Scalar] | UnsetType
    device_info: _Device | UnsetType
    application_info: _Application | UnsetType


def grouped(batch: Sequence[Event], *, old_before: int) -> list[Group]:
    """Group events by session and user. When the user of a session changes, another group begins, so that order is kept."""
    groups: list[Group] = []
    current: dict[str, Group] = {}
    for event in batch:
        if is_silent(event):
            continue
        is_old = event.time < old_before
        group = current.get(event.session_key)
        if group is None or not group.holds(event, is_old=is_old):
            get = event.attributes.get
            group = Group(
                visitor_id=event.visitor_id,
                user_id=event.user_id,
                is_old=is_old,
                service=(get("service.name"), get("service.version")),
            )
            groups.append(group)
            current[event.session_key] = group
        if not group.client:
            group.client = _client(event)
        if event.name == USER_IDENTIFY:
            group.named.append(event)
        else:
            (group.last if event.name == OPT_OUT else group.pieces).append(Piece(encoded(event), (event,)))
    for group in groups:
        group.pieces += group.last
    return groups


def _client(event: Event) -> Mapping[str, Scalar]:
    attributes = with_client(event)
    return attributes if "client.address" in attributes or "user_agent.original" in attributes else {}


def pieces_of(group: Group, environment: str) -> Iterator[Piece | Unsendable]:
    """Return a group as one batch, or as several if it is too large for one."""
    head = to_json(_head(group, environment))[1:-1] + _EVENTS
    named = tuple(group.named)
    for pack in packed(group.pieces, CallLimits(bytes=BATCH_BYTES, frame=_ID_BYTES + len(head) + len(_TAIL))):
        if isinstance(pack, Pack):
            yield Piece(pack.joined(_opening(pack.events) + head, _TAIL), (*named, *pack.events))
            named = ()
        else:
            yield pack
    if named:
        # A batch without events only identifies the user.
        yield Piece(_opening(named) + head + _TAIL, named)


def _opening(events: Sequence[Event]) -> bytes:
    """Return the beginning of a batch: its id, which is the same when the same events are sent again."""
    return f'{{"{_ID}":"{hashed_uuid("mparticle", events[0].id, events[-1].id, str(len(events)))}",'.encode()


def _head(group: Group, environment: str) -> _Head:
    name, version = group.service
    address, agent = group.client.get("client.address"), group.client.get("user_agent.original")
    return _Head(
        environment=environment,
        mp_deviceid=_device_id(group.visitor_id),
        ip=(_address(str(address)) or UNSET) if address else UNSET,
        user_identities=_Identities(group.user_id) if group.user_id else UNSET,
        user_attributes=_user_attributes(group.named) or UNSET,
        device_info=_Device("web", agent) if agent else UNSET,
        application_info=UNSET
        if name is None and version is None
        else _Application(UNSET if name is None else name, UNSET if version is None else version),
    )


def _user_attributes(named: Sequence[Event]) -> dict[str, Scalar]:
    attributes: dict[str, Scalar] = {}
    for event in named:
        for name, value in event.attributes.items():
            if name == _NAME:
                attributes["name"] = fitted(value)
            elif name.startswith(_TRAITS):
                attributes[name.removeprefix(_TRAITS)] = fitted(value)
    return dict(list(attributes.items())[:MAX_USER_ATTRIBUTES])


@lru_cache(maxsize=4096)
def _device_id(visitor_id: str) -> str:
    """Return the visitor as a UUID, which `mp_deviceid` must be. Sojourn's own ids are UUIDs; others are hashed."""
    return visitor_id if _UUID.fullmatch(visitor_id) else hashed_uuid("mparticle", visitor_id)


@lru_cache(maxsize=1024)
def _address(text: str) -> str | None:
    try:
        return str(ip_address(text))
    except ValueError:
        return None
