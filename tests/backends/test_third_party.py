"""The vendor of docs/backends.md: the example passes the contract, and works once it is registered."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from sojourn.backends import backend_from_url, registry
from sojourn.errors import SettingsError
from sojourn.testing.backend_contract import sample_events
from sojourn.testing.vendors import make_fake
from tests.backends.test_backend_docs import DOCS, INDEX, blocks


def block_with(page: Path, text: str) -> str:
    (block,) = (block for block in blocks(page, "python") if text in block)
    return block


EXAMPLE = block_with(INDEX, "class AcmeBackend")
MODULE = ModuleType("acme_for_sojourn")
for shown in (
    EXAMPLE,
    block_with(DOCS / "backends" / "fakes.md", "class FakeAcme"),
    block_with(INDEX, "class TestAcme"),
):
    exec(compile(shown, "docs", "exec", dont_inherit=True), vars(MODULE))

TestDocumentedVendor = MODULE.TestAcme


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, MODULE.__name__, MODULE)
    entry = EntryPoint("acme", f"{MODULE.__name__}:AcmeBackend", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry, "entry_points", lambda group: EntryPoints([entry]))


def test_example_has_at_most_40_lines() -> None:
    assert len(EXAMPLE.splitlines()) <= 40


@pytest.mark.usefixtures("registered")
def test_registered_backend_delivers_to_its_fake_by_url() -> None:
    fake: Any = make_fake("acme")
    with fake.serve() as url:
        backend = backend_from_url(f"{url}?region=us&heartbeats=1")
        assert backend.send(sample_events()).delivered == len(sample_events())
        backend.close()
    assert [request.path for request in fake.requests] == ["/us/events"]
    assert [event.id for event in fake.events()] == [event.id for event in sample_events()]


@pytest.mark.usefixtures("registered")
def test_registered_backend_is_listed_and_reports_wrong_options() -> None:
    with pytest.raises(SettingsError, match=r"did you mean acme:\? known are acme\+https://<key>@<host>, "):
        backend_from_url("acne+https://K@in.acme.example")
    with pytest.raises(SettingsError, match="did you mean region"):
        backend_from_url("acme+https://K@in.acme.example?regoin=us")


def test_its_own_outcome_pauses_delivery() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(402))
    receipt = MODULE.AcmeBackend("https://in.acme.example", "K", transport=transport).send(sample_events())
    assert "raise it in Acme's settings" in (receipt.pause or "")
