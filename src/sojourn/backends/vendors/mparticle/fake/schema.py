"""mParticle's published JSON schema of a batch, as types: decoding a batch checks it. Pure.

`null` is the same as an absent field, numbers and booleans are accepted as texts, but floats are not accepted as integers. An
event has `event_type` and `data`; unknown names in `data` are accepted.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

# The names are those of the schema.
String = str | bool | int | float | None
Uuid = (
    Annotated[str, Meta(pattern="^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$")] | None
)
Strings = dict[str, String]

_FNV_BASIS: Final = 14695981039346656037
_FNV_PRIME: Final = 1099511628211


class EventData(Struct, kw_only=True, frozen=True):
    timestamp_unixtime_ms: int | None = None
    event_id: int | None = None
    source_message_id: str | None = None
    session_id: int | None = None
    session_uuid: Uuid = None
    session_start_unixtime_ms: int | None = None
    event_start_unixtime_ms: int | None = None
    custom_attributes: Strings | None = None
    canonical_name: String = None


class SessionEndData(EventData, kw_only=True, frozen=True):
    session_duration_ms: int | None


class ScreenViewData(EventData, kw_only=True, frozen=True):
    screen_name: str
    activity_type: String = None
    custom_flags: Strings | None = None


class CustomEventData(EventData, kw_only=True, frozen=True):
    event_name: str
    custom_event_type: Literal[
        "navigation",
        "location",
        "search",
        "transaction",
        "user_content",
        "user_preference",
        "social",
        "other",
        "media",
    ]
    custom_flags: Strings | None = None


class CrashReportData(EventData, kw_only=True, frozen=True):
    severity: String
    message: String
    class_name: String = None
    stack_trace: String = None
    exception_handled: bool | None = None
    topmost_context: String = None


class OptOutData(EventData, kw_only=True, frozen=True):
    is_opted_out: bool | None


class _Event(Struct, tag_field="event_type", frozen=True):
    """An event: its type and its data. The own fields of types that no visit has are not checked."""

    data: EventData

    @property
    def type(self) -> str:
        return str(self.__struct_config__.tag)


class SessionStart(_Event, tag="session_start", frozen=True):
    """The start of a session."""


class SessionEnd(_Event, tag="session_end", frozen=True):
    data: SessionEndData


class ScreenView(_Event, tag="screen_view", frozen=True):
    data: ScreenViewData


class CustomEvent(_Event, tag="custom_event", frozen=True, forbid_unknown_fields=True):
    data: CustomEventData


class CrashReport(_Event, tag="crash_report", frozen=True):
    data: CrashReportData


class OptOut(_Event, tag="opt_out", frozen=True):
    data: OptOutData


class FirstRun(_Event, tag="first_run", frozen=True): ...


class PreAttribution(_Event, tag="pre_attribution", frozen=True): ...


class PushRegistration(_Event, tag="push_registration", frozen=True): ...


class ApplicationStateTransition(_Event, tag="application_state_transition", frozen=True): ...


class PushMessage(_Event, tag="push_message", frozen=True): ...


class NetworkPerformance(_Event, tag="network_performance", frozen=True): ...


class Breadcrumb(_Event, tag="breadcrumb", frozen=True): ...


class Profile(_Event, tag="profile", frozen=True): ...


class PushReaction(_Event, tag="push_reaction", frozen=True): ...


class CommerceEvent(_Event, tag="commerce_event", frozen=True): ...


class UserAttributeChange(_Event, tag="user_attribute_change", frozen=True): ...


class UserIdentityChange(_Event, tag="user_identity_change", frozen=True): ...


class Uninstall(_Event, tag="uninstall", frozen=True): ...


Event = (
    SessionStart
    | SessionEnd
    | ScreenView
    | CustomEvent
    | CrashReport
    | OptOut
    | FirstRun
    | PreAttribution
    | PushRegistration
    | ApplicationStateTransition
    | PushMessage
    | NetworkPerformance
    | Breadcrumb
    | Profile
    | PushReaction
    | CommerceEvent
    | UserAttributeChange
    | UserIdentityChange
    | Uninstall
)


class UserIdentities(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    customer_id: String = None
    customerid: String = None
    """What mParticle's own libraries call it, and its schema does not."""
    email: String = None
    other: String = None
    other_id_2: String = None
    other_id_3: String = None
    other_id_4: String = None
    other_id_5: String = None
    other_id_6: String = None
    other_id_7: String = None
    other_id_8: String = None
    other_id_9: String = None
    other_id_10: String = None
    facebook: String = None
    twitter: String = None
    google: String = None
    microsoft: String = None
    yahoo: String = None
    alias: String = None
    facebook_custom_audience_id: String = None
    mobile_number: String = None
    phone_number_2: String = None
    phone_number_3: String = None


class DeviceInformation(Struct, frozen=True, kw_only=True):
    platform: (
        Literal["iOS", "Android", "web", "tvOS", "roku", "out_of_band", "alexa", "smart_tv", "fire_tv", "xbox"] | None
    ) = None
    http_header_user_agent: String = None


class ApplicationInformation(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    application_name: String = None
    application_version: String = None
    application_build_number: String = None
    install_referrer: String = None
    package: String = None
    os: String = None
    apple_search_ads_attributes: dict[str, Strings] | None = None


class Batch(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    environment: Literal["development", "production"] | None = None
    source_request_id: String = None
    events: list[Event] | None = None
    user_identities: UserIdentities | None = None
    user_attributes: dict[str, String | list[String]] | None = None
    deleted_user_attributes: list[str] | None = None
    mpid: int | None = None
    origin_mpid: int | None = None
    mp_deviceid: Uuid = None
    ip: str | None = None
    timestamp_unixtime_ms: int | None = None
    device_info: DeviceInformation | None = None
    application_info: ApplicationInformation | None = None
    consent_state: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    integration_attributes: dict[str, Strings] | None = None
    source_info: dict[str, Any] | None = None
    attribution_info: dict[str, Any] | None = None
    partner_identity: String = None
    partner_identities: Strings | None = None
    api_key: String = None
    api_keys: list[str] | None = None
    batch_id: int | None = None
    sdk_version: String = None
    job_id: String = None
    schema_version: int | None = None
    """Not in the schema, but mParticle's own quick start sends it."""


_decoder = msgspec.json.Decoder(Batch)


def read_batch(text: bytes | msgspec.Raw) -> Batch:
    """Return a batch; raise `ValueError` with the reason if it is invalid."""
    batch = _decoder.decode(text)
    if batch.ip is not None:
        ip_address(batch.ip)
    return batch


@lru_cache(maxsize=8192)  # once per session
def session_id_of(session_uuid: str) -> int:
    """Return the 64-bit number of a session's UUID: the signed FNV-1a hash of its upper-case text in UTF-16."""
    value = _FNV_BASIS
    for byte in session_uuid.upper().encode("utf-16-le"):
        value = (value ^ byte) * _FNV_PRIME % 2**64
    return value if value < 2**63 else value - 2**64
