"""Parts of how visitors without a cookie are recognised; tests/doors/test_cookieless.py has the rest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.tracking.masking import masked_address
from sojourn.tracking.without_cookie import network_of


@given(st.ip_addresses().map(str))
def test_the_network_is_the_one_that_is_stored(address: str) -> None:
    assert network_of(address) == masked_address(address)


@pytest.mark.parametrize("name", ["testclient", "", "1.2.3", "010.2.3.4", "1.2.3.4.5", "1.2.3.4\n"])
def test_what_is_no_address_stands_for_itself(name: str) -> None:
    assert network_of(name) == name
