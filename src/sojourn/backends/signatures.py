"""The signature of a webhook call: `sign` for the sender, `verify_signature` for the receiver.

`Sojourn-Signature: t=<unix seconds>,v1=<hex>`, where the hex is the HMAC-SHA256 of `<t>.` and the body exactly as it was sent
(compressed, if it was). While a secret is being replaced, there is one `v1=` for each secret.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Final

from sojourn.errors import SettingsError

SIGNATURE_HEADER: Final = "Sojourn-Signature"
TOLERANCE_S: Final = 300

Secret = str | bytes


def sign(body: bytes, secrets: Sequence[bytes], *, at: int) -> str:
    """Return the header's value for a body as it is sent. `at`: seconds since the epoch."""
    return ",".join([f"t={at}", *(f"v1={_digest(body, secret, str(at))}" for secret in secrets)])


def verify_signature(
    body: bytes,
    header: str | None,
    secret: Secret | Sequence[Secret],
    *,
    tolerance: float = TOLERANCE_S,
    now: float | None = None,
) -> bool:
    """Return whether `header` signs `body`, for receivers. Pass the raw body, before anything decompresses it.

    Returns false if the header is malformed, signed with another secret, or older or newer than `tolerance` seconds, so that
    a recorded call cannot be replayed later. `now`: seconds since the epoch; by default the system's clock.
    """
    secrets = as_secrets(secret)
    at, signatures = _parse(header or "")
    if at is None:
        return False
    # Every pair is compared, so that the time taken reveals nothing.
    matches = [
        hmac.compare_digest(_digest(body, key, at).encode(), signature) for key in secrets for signature in signatures
    ]
    moment = time.time() if now is None else now
    return any(matches) and abs(moment - int(at)) <= tolerance


def as_secrets(secret: Secret | Sequence[Secret]) -> tuple[bytes, ...]:
    """Return the secrets as bytes. An empty secret is a `SettingsError`, because anyone could sign with it."""
    values: Sequence[Secret] = [secret] if isinstance(secret, str | bytes) else secret
    secrets = tuple(item.encode() if isinstance(item, str) else bytes(item) for item in values)
    if not secrets or not all(secrets):
        msg = "secret is empty: pass a random text of at least 16 characters, or a list of two while you replace one"
        raise SettingsError(msg)
    return secrets


def _digest(body: bytes, secret: bytes, at: str) -> str:
    return hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _parse(header: str) -> tuple[str | None, list[bytes]]:
    at: str | None = None
    signatures: list[bytes] = []
    for part in header.split(",")[:16]:  # bounded, so that a forged header cannot cause much work
        key, _, value = part.strip().partition("=")
        if key == "t":
            if at is not None or not (value.isascii() and value.isdigit() and len(value) <= 12):
                return None, []
            at = value
        elif key == "v1":
            signatures.append(value.encode(errors="replace"))
    return at, signatures
