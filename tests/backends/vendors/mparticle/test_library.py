"""The models of mParticle's own Python library accept the batches unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mparticle  # type: ignore[import-untyped]

from sojourn.testing.backend_contract import sample_events
from tests.backends.vendors.mparticle.samples import batches, wanted

MODELS: Mapping[str, Any] = {
    "session_start": mparticle.SessionStartEvent,
    "session_end": mparticle.SessionEndEvent,
    "screen_view": mparticle.ScreenViewEvent,
    "custom_event": lambda: mparticle.AppEvent("?", "other"),
    "crash_report": mparticle.CrashReportEvent,
    "opt_out": mparticle.OptOutEvent,
}
UNKNOWN_TO_IT = frozenset({"session_start_unixtime_ms"})
"""What their schema has and their models do not."""


def model(kind: Any, document: Mapping[str, Any]) -> Any:
    """Fill a model through its own setters, which check; every name has to be one of the model's."""
    made = kind()
    for name, value in document.items():
        if name not in UNKNOWN_TO_IT:
            assert name in made.swagger_types, name
            setattr(made, name, value)
    return made


def in_their_models(document: Mapping[str, Any]) -> Any:
    made = mparticle.Batch()
    for name, value in document.items():
        match name:
            case "events":
                made.events = [model(MODELS[event["event_type"]], event["data"]) for event in value]
            case "user_identities":
                # Their model says `customerid`, which their schema refuses.
                made.user_identities = model(mparticle.UserIdentities, {"customerid": value["customer_id"]})
            case "device_info":
                made.device_info = model(mparticle.DeviceInformation, value)
            case "application_info":
                made.application_info = model(mparticle.ApplicationInformation, value)
            case _:
                assert name in made.swagger_types, name
                setattr(made, name, value)
    return made


def test_models_of_the_library_accept_the_batches_unchanged() -> None:
    sent = batches(*wanted(sample_events(), heartbeats=True), heartbeats=True)
    assert {event["event_type"] for batch in sent for event in batch["events"]} == MODELS.keys()
    for document in sent:
        said = mparticle.ApiClient.sanitize_for_serialization(in_their_models(document))
        for event in said["events"]:
            if event["event_type"] == "commerce_event":  # so their library calls crash reports, by mistake
                event["event_type"] = "crash_report"
        if "user_identities" in said:
            said["user_identities"] = {"customer_id": said["user_identities"].pop("customerid")}
        for event in document["events"]:
            for name in UNKNOWN_TO_IT:
                del event["data"][name]
        assert said == document
