"""What every test runs under: Hypothesis profiles, a check for leaks, a PostgreSQL server on request, and what runs alone.

Other fixtures live beside the tests that use them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.leaks import OpenResources
from tests.postgres import Cluster

# A deadline measures the machine, not the code. On failure the blob reproduces the example anywhere.
settings.register_profile("default", deadline=None, print_blob=True)
# The same code on another Python or another database: what breaks there, few examples show.
settings.register_profile("few", deadline=None, print_blob=True, max_examples=20)
settings.register_profile("ci", deadline=None, print_blob=True, max_examples=200, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest.register_assert_rewrite("tests.stores.contract")

ALONE = tuple(Path(__file__).parent / name for name in ("examples", "faults", "processes"))
"""Folders whose tests start servers and workers and hold them to a time. Beside other tests they would time those."""


@pytest.hookimpl(tryfirst=True)  # before `-m` selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in ALONE):
            item.add_marker(pytest.mark.alone)
        if _starts_postgres(item):
            item.add_marker(pytest.mark.postgres)


def _starts_postgres(item: pytest.Item) -> bool:
    """Whether it asks for the server by name, or by a parameter of a fixture that then does."""
    parameters = (
        item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    )
    # Not isinstance: it asks a hostile object, of which tests have some, for its class.
    asked = [value.lower() for value in parameters if type(value) is str]
    return "postgres" in getattr(item, "fixturenames", ()) or "postgres" in asked or "postgresql" in asked


_clusters: list[Cluster] = []
"""The server of `postgres`, once a test has asked for it."""


@pytest.fixture(autouse=True)
def _leaves_nothing_open() -> Iterator[None]:
    """Fail a test that leaves a store, an engine, a connection, a file or a thread open."""
    before = OpenResources()
    yield
    leaks = before.leaks()
    assert not leaks, f"the test leaves open: {', '.join(leaks)}"


@pytest.fixture(autouse=True)
def _databases_are_taken_back() -> Iterator[None]:
    kept = sum(cluster.lent for cluster in _clusters)
    yield
    for cluster in _clusters:
        cluster.take_back(kept)


@pytest.fixture
def kept_handlers() -> Iterator[None]:
    """Put back what SIGINT and SIGTERM did, for a test of a program that takes them and leaves them taken."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A server for the whole session; a test that stops it starts it again. `fresh_database()` is a test's own."""
    with Cluster() as cluster:
        _clusters.append(cluster)
        yield cluster
        _clusters.clear()
