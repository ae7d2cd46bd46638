"""What every test runs under: the Hypothesis profiles, and a PostgreSQL server for those who ask for one.

Other fixtures live beside the tests that use them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from tests.postgres import Cluster

# A deadline measures the machine, not the code. On failure the blob reproduces the example anywhere.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, max_examples=200, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

pytest.register_assert_rewrite("tests.stores.contract")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """A server for the whole session; a test that stops it starts it again. `fresh_database()` is a test's own."""
    with Cluster() as cluster:
        yield cluster
