"""Mail addresses and phone numbers within text. Pure, and linear in the length of the text."""

from __future__ import annotations

import re
from itertools import pairwise

_PHONE = re.compile(r"(?<![0-9])(?:\+|00)[1-9][0-9 ()./-]{5,20}")
_LOCAL_PHONE = re.compile(r"\A\+?[0-9][0-9 ()./-]{5,20}")
_AT = str.maketrans("\uff20\ufe6b", "@@")
_HOST_END = re.compile(r"[\s/:?]")
_DENSITY = re.compile(r"\A[0-9](?:\.[0-9])?x(?:\.[a-z]+)?")
"""Of pictures: `logo@2x.png`."""
_RELEASES = frozenset(
    (
        "latest",
        "next",
        "beta",
        "alpha",
        "canary",
        "rc",
        "dev",
        "nightly",
        "edge",
        "stable",
        "lts",
        "main",
        "master",
        "head",
    )
)
"""What stands behind the `@` of a package, as in `lodash@latest`."""


def names_person(part: str) -> bool:
    """Whether there is a mail address or an international phone number in it."""
    return _has_mail(part) or any(map(_is_phone, _PHONE.finditer(part)))


def is_phone(text: str) -> bool:
    """Whether the text is a phone number, national ones included."""
    return _is_phone(_LOCAL_PHONE.fullmatch(text))


def _is_phone(number: re.Match[str] | None) -> bool:
    return number is not None and 7 <= sum(map(str.isdigit, number[0])) <= 17


def _has_mail(part: str) -> bool:
    pieces = part.translate(_AT).split("@")
    return any(_is_mail(left, right) for left, right in pairwise(pieces))


def _is_mail(local: str, rest: str) -> bool:
    """Whether text around an `@` is an address: with or without a dot in its host, but no release and no size of a picture."""
    if not local or local[-1].isspace() or local[-1] == "/" or not rest or not (rest[0].isalnum() or rest[0] == "["):
        return False
    host = _HOST_END.split(rest, maxsplit=1)[0].lower()
    return not (_DENSITY.fullmatch(host) or _is_release(host.split(".")))


def _is_release(labels: list[str]) -> bool:
    """Whether it is the version of a package, as in `react@18.2.0` or `lodash@latest`, and not `163.com` or an IP address."""
    first, last = labels[0].removeprefix("v"), labels[-1]
    if not first[:1].isdigit():
        return len(labels) == 1 and first in _RELEASES
    if all(map(str.isdigit, labels)):
        return len(labels) != 4
    return len(labels) == 1 or labels[1].isdigit() or not last.isalpha()
