"""Which texts may be user ids."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.user_ids import is_user_id

ACCEPTED = {
    "text": "anna",
    "a blank": "anna schmidt",
    "a mail address": "anna@example.org",
    "Persian, with a non-joiner": "علی‌رضا",
    "a joiner": "क्‍ष",
    "an ideographic blank": "山田　太郎",
    "a no-break blank": "anna\u00a0schmidt",
    "a thin blank": "anna\u202fschmidt",
    "a soft hyphen": "an\u00adna",
    "a zero-width blank": "an\u200bna",
    "a byte order mark": "\ufeffanna",
    "a Hangul filler": "anna\u3164",
    "an emoji of several": "👩‍👩‍👧",
    "a private character": "\ue000",
    "one that is not assigned": "\u0378",
    "one that is not assigned, far out": "\U000e0080",
    "next to a noncharacter": "\ufdcf\ufdf0",
    "a mark of language": "\U000e0041",
    "256 characters": "é" * 256,
}
REFUSED = {
    "nothing": "",
    "257 characters": "x" * 257,
    "a line break": "a\nb",
    "a NUL": "a\x00",
    "an escape": "a\x1b[31m",
    "DEL": "a\x7f",
    "a C1 control": "a\x85",
    "a separator of lines": "a\u2028b",
    "a separator of paragraphs": "a\u2029b",
    "half a character": "\ud800",
    "the other half": "a\udfff",
    "a noncharacter": "\ufdd0",
    "the last noncharacter of the block": "\ufdef",
    "a noncharacter at the end of a plane": "\ufffe",
    "the last one of all": "\U0010ffff",
    "one of another plane": "\U0003fffe",
    "an Arabic letter mark": "\u061c",
    "a mark from right to left": "\u200f",
    "an embedding": "a\u202ab",
    "an override": "a\u202eb",
    "an isolate": "a\u2066b",
    "the end of one": "a\u2069",
}


@pytest.mark.parametrize("text", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted(text: str) -> None:
    assert is_user_id(text)


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_refused(text: str) -> None:
    assert not is_user_id(text)


@given(st.characters())
def test_one_character_is_refused_by_its_nature_and_not_by_this_pythons_tables(char: str) -> None:
    code = ord(char)
    is_hostile = (
        unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(char) in {"LRE", "RLE", "PDF", "LRO", "RLO", "LRI", "RLI", "FSI", "PDI"}
        or code in {0x61C, 0x200E, 0x200F}
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    )
    assert is_user_id(char) != is_hostile


def test_every_noncharacter_is_refused() -> None:
    refused = [code for code in range(0xA0, sys.maxunicode + 1) if not is_user_id(chr(code))]
    assert len(refused) == 66 + 2048 + 12 + 2
