"""The registry: built-in backends are found with and without metadata, and are public names."""

from __future__ import annotations

import importlib.metadata
import tomllib
from pathlib import Path

import pytest

from sojourn import backends
from sojourn.backends import backend_from_url, registry
from sojourn.backends.registry import built_in, load
from sojourn.testing import vendors
from sojourn.testing.vendors import FAKES, FakeVendor, make_fake

ROOT = Path(__file__).parent.parent.parent
SCHEMES = sorted(entry.name for entry in built_in())


def test_entry_points_match_the_built_in_backends() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][registry.ENTRY_POINT_GROUP] == {
        entry.name: f"{entry.value}:{load(entry).__name__}" for entry in built_in()
    }


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_backend_is_a_public_name(scheme: str) -> None:
    backend = load(registry.registered()[scheme])
    assert getattr(backends, backend.__name__) is backend
    assert backend.__doc__
    assert backend.url_form.format(scheme=scheme).startswith(f"{scheme}")


@pytest.mark.parametrize("scheme", FAKES)
def test_every_fake_is_a_public_name_and_builds_its_backend(scheme: str) -> None:
    fake = make_fake(scheme)
    assert type(fake) is getattr(vendors, FAKES[scheme])
    assert FAKES[scheme] in vendors.__all__
    assert isinstance(fake, FakeVendor)
    backend = backend_from_url(fake.url("http://127.0.0.1:9000"))
    assert (fake.vendor, type(backend)) == (scheme, load(registry.registered()[scheme]))


def test_a_broken_backend_does_not_hide_another(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = importlib.metadata.EntryPoint("acme", "no_such_module_anywhere", registry.ENTRY_POINT_GROUP)
    ours = list(built_in())
    monkeypatch.setattr(registry, "built_in", lambda: iter([broken, *ours]))
    assert registry.built_in_class("PostHogBackend").scheme == "posthog"


def test_built_in_backend_is_found_without_reading_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(group: str) -> importlib.metadata.EntryPoints:
        raise AssertionError(group)

    monkeypatch.setattr(registry, "entry_points", fail)
    assert make_fake("posthog").vendor == "posthog"
    assert backend_from_url("console:").name == "console"


def test_built_in_backends_resolve_without_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a frozen app, or in a copy below another package's folder."""
    monkeypatch.setattr(registry, "entry_points", lambda group: importlib.metadata.EntryPoints())
    assert sorted(registry.registered()) == SCHEMES
    assert backend_from_url("console:").name == "console"
