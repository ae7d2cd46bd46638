"""Group events into mParticle's batches, each of one user in one session, as its own libraries do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import msgspec
from msgspec import UNSET, UnsetType

from sojourn.backends._json import to_json
from sojourn.backends.contexts import valid_address, with_client
from sojourn.backends.http import Unsendable
from sojourn.backends.packing import CallLimits, Piece, packed
from sojourn.backends.protocol import Batch
from sojourn.core import events as names
from sojourn.core.events import USER_IDENTIFY, Event, Scalar
from sojourn.core.ids import hashed_uuid

from .events import encoded, fitted, is_silent

BATCH_BYTES: Final = 128_000
MAX_USER_ATTRIBUTES: Final = 100

_ID: Final = "source_request_id"
_ID_BYTES: Final = len(hashed_uuid())
_EVENTS: Final = b',"events":['
_TAIL: Final = b"]}"
_NAME: Final = "user.name"
_TRAITS: Final = "user.traits."
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


@dataclass(slots=True, kw_only=True)
class _Group:
    """Events of one user in one session. `named`: the `user.identify` events, which become part of the batch's head."""

    visitor_id: str
    user_id: str | None
    is_old: bool
    named: list[Event] = field(default_factory=list)
    listed: list[Event] = field(default_factory=list)
    last: list[Event] = field(default_factory=list)
    """The `opt_out`: what follows one is not forwarded, and the log has the end of its session behind it."""

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


def divided(events: Sequence[Event], environment: str, *, old_before: int) -> list[Batch]:
    """Divide events into batches. An event that is too large for any has one of its own."""
    batches: list[Batch] = []
    for group in _grouped(events, old_before=old_before):
        named, listed = tuple(group.named), (*group.listed, *group.last)
        pieces = (Piece(encoded(event), (event,)) for event in listed)
        frame = len(_framed("", _head((*named, *listed), environment), b""))
        for pack in packed(pieces, CallLimits(bytes=BATCH_BYTES, frame=_ID_BYTES + frame)):
            if isinstance(pack, Unsendable):
                batches.append(_batch(tuple(pack.events)))
            else:
                batches.append(_batch(tuple(pack.events), named))
                named = ()
        if named:
            batches.append(_batch((), named))  # a batch without events only identifies the user
    return batches


def pieces_of(batch: Batch, environment: str, *, old_before: int) -> Iterator[Piece | Unsendable]:
    """Encode a batch. One that was divided under a larger limit is divided once more."""
    listed = b",".join(encoded(event) for event in batch.events if event.name != USER_IDENTIFY)
    body = _framed(batch.id, _head(batch.events, environment), listed)
    if len(body) <= BATCH_BYTES:
        yield Piece(body, tuple(batch.events), batch)
    elif len(batch.events) == 1:
        yield Unsendable(batch.events, f"encoded it is {len(body)} bytes, and the receiver takes {BATCH_BYTES} at most")
    else:
        for part in divided(batch.events, environment, old_before=old_before):
            yield from pieces_of(part, environment, old_before=old_before)


def _grouped(events: Sequence[Event], *, old_before: int) -> list[_Group]:
    """Group events by session and user. When the user of a session changes, another group begins, so that order is kept."""
    groups: list[_Group] = []
    current: dict[str, _Group] = {}
    for event in events:
        if is_silent(event):
            continue
        is_old = event.time < old_before
        group = current.get(event.session_key)
        if group is None or not group.holds(event, is_old=is_old):
            group = _Group(visitor_id=event.visitor_id, user_id=event.user_id, is_old=is_old)
            groups.append(group)
            current[event.session_key] = group
        match event.name:
            case names.USER_IDENTIFY:
                group.named.append(event)
            case names.OPT_OUT:
                group.last.append(event)
            case _:
                group.listed.append(event)
    return groups


def _batch(listed: tuple[Event, ...], named: tuple[Event, ...] = ()) -> Batch:
    """Make a batch. Its id is the same when the same events are divided again, say after a process was killed."""
    own = listed or named
    return Batch(hashed_uuid("mparticle", own[0].id, own[-1].id, str(len(own))), (*named, *listed))


def _framed(batch_id: str, head: _Head, listed: bytes) -> bytes:
    return b'{"%b":"%b",%b%b%b%b' % (_ID.encode(), batch_id.encode(), to_json(head)[1:-1], _EVENTS, listed, _TAIL)


def _head(events: Sequence[Event], environment: str) -> _Head:
    first, named = events[0], [event for event in events if event.name == USER_IDENTIFY]
    name, version = (first.attributes.get(attribute) for attribute in ("service.name", "service.version"))
    client = _client(events)
    address, agent = client.get("client.address"), client.get("user_agent.original")
    return _Head(
        environment=environment,
        mp_deviceid=_device_id(first.visitor_id),
        ip=(valid_address(str(address)) or UNSET) if address else UNSET,
        user_identities=_Identities(first.user_id) if first.user_id else UNSET,
        user_attributes=_user_attributes(named) or UNSET,
        device_info=_Device("web", agent) if agent else UNSET,
        application_info=UNSET
        if name is None and version is None
        else _Application(UNSET if name is None else name, UNSET if version is None else version),
    )


def _client(events: Sequence[Event]) -> Mapping[str, Scalar]:
    """Return attributes of which one is the client's agent or address; empty if no event has any."""
    for event in events:
        attributes = with_client(event)
        if "client.address" in attributes or "user_agent.original" in attributes:
            return attributes
    return {}


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
