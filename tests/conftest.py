"""What every test runs under: the Hypothesis profiles. Fixtures live beside the tests that use them."""

from __future__ import annotations

import os

from hypothesis import settings

# A deadline measures the machine, not the code. On failure the blob reproduces the example anywhere.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, print_blob=True, max_examples=200, derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
