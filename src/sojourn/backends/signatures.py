"""The signature of a webhook call: made here, and checked here by receivers. Knows no transport and no clock but `now`.

`Sojourn-Signature: t=<unix seconds>,v1=<hex>` where the hex is HMAC-SHA256 over `<t>.` and the body exactly as it was
sent (compressed, if it was). While a secret is being replaced there is one `v1=` for each.
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
    """Return the header's value for a body as it goes on the wire."""
    return ",".join([f"t={at}", *(f"v1={_digest(body, secret, str(at))}" for secret in secrets)])


def verify_signature(
    body: bytes,
    header: str | None,
    secret: Secret | Sequence[Secret],
    *,
    tolerance: float = TOLERANCE_S,
    now: float | None = None,
) -> bool:
    """Tell whether `header` signs `body`, for receivers: pass the raw body, before anything decompresses it.

    False for whatever is malformed, signed with another secret, or older or newer than `tolerance` seconds: a caller
    who kept an old call cannot replay it later.
    """
    secrets = as_secrets(secret)
    at, given = _parse(header or "")
    if at is None:
        return False
    # Every pair is compared, whatever was found before: the time taken tells nothing.
    matches = [
        hmac.compare_digest(_digest(body, known, at).encode(), signature) for known in secrets for signature in given
    ]
    moment = time.time() if now is None else now
    return any(matches) and abs(moment - int(at)) <= tolerance


def as_secrets(secret: Secret | Sequence[Secret]) -> tuple[bytes, ...]:
    """Return the secrets as bytes; one that is empty would sign for everybody, so it is an error."""
    several: Sequence[Secret] = [secret] if isinstance(secret, str | bytes) else secret
    secrets = tuple(item.encode() if isinstance(item, str) else bytes(item) for item in several)
    if not secrets or not all(secrets):
        msg = "secret is empty: pass a random text of at least 16 characters, or a list of them while one is replaced"
        raise SettingsError(msg)
    return secrets


def _digest(body: bytes, secret: bytes, at: str) -> str:
    return hmac.new(secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()


def _parse(header: str) -> tuple[str | None, list[bytes]]:
    at: str | None = None
    signatures: list[bytes] = []
    for part in header.split(",")[:16]:  # bounded: a forged header must not buy much work
        key, _, value = part.strip().partition("=")
        if key == "t":
            if at is not None or not (value.isascii() and value.isdigit() and len(value) <= 12):
                return None, []
            at = value
        elif key == "v1":
            signatures.append(value.encode(errors="replace"))
    return at, signatures
