"""Signatures of webhook calls: what verifies, and what does not."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.backends import verify_signature
from sojourn.backends.signatures import as_secrets, sign
from sojourn.errors import SettingsError

NOW = 1_769_860_800
BODY = b'[{"id":"1"}]'
OLD, NEW, STRANGER = "old secret of ours", "new secret of ours", "another sender's"


def header(*secrets: str, at: int = NOW, body: bytes = BODY) -> str:
    return sign(body, as_secrets(secrets), at=at)


def test_the_header_is_as_documented() -> None:
    digest = hmac.new(NEW.encode(), b"1769860800." + BODY, hashlib.sha256).hexdigest()
    assert header(NEW) == f"t=1769860800,v1={digest}"


@pytest.mark.parametrize(
    ("given", "secret", "verifies"),
    [
        pytest.param(header(NEW), NEW, True, id="its secret"),
        pytest.param(header(NEW), NEW.encode(), True, id="its secret as bytes"),
        pytest.param(header(OLD, NEW), OLD, True, id="sender rotates, receiver has the old one"),
        pytest.param(header(OLD, NEW), NEW, True, id="sender rotates, receiver has the new one"),
        pytest.param(header(NEW), [OLD, NEW], True, id="receiver rotates"),
        pytest.param(header(NEW).replace(",", " , "), NEW, True, id="spaces between the parts"),
        pytest.param(header(NEW) + ",v2=later", NEW, True, id="a scheme of the future beside it"),
        pytest.param(header(NEW), STRANGER, False, id="another secret"),
        pytest.param(header(NEW, body=BODY + b" "), NEW, False, id="another body"),
        pytest.param(header(NEW).replace(f"t={NOW}", f"t={NOW + 1}"), NEW, False, id="another time"),
        pytest.param(f"t={NOW + 1}," + header(NEW), NEW, False, id="two times"),
        pytest.param(header(NEW).replace("v1=", "v0="), NEW, False, id="another scheme"),
        pytest.param(header(NEW).partition(",")[2], NEW, False, id="no time"),
        pytest.param(f"t={NOW}", NEW, False, id="no signature"),
        pytest.param("", NEW, False, id="empty"),
        pytest.param(None, NEW, False, id="no header"),
        pytest.param(header(NEW).replace(f"t={NOW}", "t=١٧٦٩٨٦٠٨٠٠"), NEW, False, id="digits of another script"),
        pytest.param(f"t={NOW},v1=é\ud83d", NEW, False, id="not ascii"),
    ],
)
def test_verification(given: str | None, secret: str | bytes | list[str | bytes], verifies: bool) -> None:
    assert verify_signature(BODY, given, secret, now=NOW) is verifies


@pytest.mark.parametrize(
    ("age", "verifies"),
    [
        pytest.param(300, True, id="just in time"),
        pytest.param(301, False, id="replayed"),
        pytest.param(-300, True, id="sender's clock ahead"),
        pytest.param(-301, False, id="from the future"),
    ],
)
def test_old_signature_is_refused(age: int, verifies: bool) -> None:
    assert verify_signature(BODY, header(NEW), NEW, now=NOW + age) is verifies


def test_the_tolerance_is_the_receivers() -> None:
    assert verify_signature(BODY, header(NEW), NEW, now=NOW + 3_000, tolerance=3_600)


def test_without_now_it_is_checked_against_the_clock() -> None:
    assert not verify_signature(BODY, header(NEW, at=0), NEW)


@given(st.text(st.characters(exclude_categories=()), max_size=80))
def test_any_header_raises_nothing(text: str) -> None:
    assert not verify_signature(BODY, text, NEW, now=NOW)
    assert not verify_signature(BODY, f"t={NOW},v1={text}", NEW, now=NOW)


@pytest.mark.parametrize("empty", ["", b"", [], ["good secret", ""]], ids=["text", "bytes", "list", "one of a list"])
def test_an_empty_secret_is_refused(empty: str | bytes | list[str | bytes]) -> None:
    with pytest.raises(SettingsError, match="secret is empty"):
        as_secrets(empty)
