"""The attribute of a vendor's own session id."""

from __future__ import annotations

from sojourn.core.browser_sessions import attribute_of


def test_each_vendor_has_an_attribute_of_its_own() -> None:
    assert (attribute_of("posthog"), attribute_of("rudderstack")) == ("posthog.session_id", "rudderstack.session_id")
