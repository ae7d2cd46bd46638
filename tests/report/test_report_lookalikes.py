"""User ids that may be mistaken for others are marked."""

from __future__ import annotations

import html
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn import identify
from sojourn.core.user_ids import is_user_id
from sojourn.health.lookalikes import problems
from sojourn.report import _formatting
from tests.report.harness import App, Reader
from tests.report.test_report_pages import visit

ORDINARY = {
    "letters": "anna",
    "digits": "4711",
    "a mail address": "anna@example.org",
    "a UUID": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "an accent": "andré",
    "a German name": "müller-lüdenscheidt",
    "Vietnamese": "nguyễn",
    "Russian": "анна",
    "Russian with digits": "анна_42",
    "Greek": "ελένη",
    "Persian with a non-joiner": "علی‌رضا",
    "Hindi with a joiner": "क्‍ष",
    "Hindi with a non-joiner": "क्‌ष",
    "Sinhala with a joiner": "ශ්‍රී",
    "Bengali with a joiner": "র‍্যাব",
    "Japanese": "山田太郎",
    "Japanese with its blank": "山田　太郎",
    "Japanese of three scripts": "Tシャツの店",
    "Chinese and Latin": "王wang",
    "Korean": "김철수",
    "Korean and Latin": "kim철수",
    "an emoji": "anna😀",
    "a family": "👩‍👩‍👧",
    "a heart": "❤️",
    "a blank between": "anna schmidt",
    "a sign": "5 µm",
}
MARKED = {
    "a Hangul filler": ("anna\u3164", "invisible"),
    "a zero-width blank": ("an\u200bna", "invisible"),
    "a joiner between Latin letters": ("an\u200dna", "invisible"),
    "a non-joiner at the end": ("anna\u200c", "invisible"),
    "a non-joiner at the end of Persian": ("علی\u200c", "invisible"),
    "a soft hyphen": ("an\u00adna", "invisible"),
    "a byte order mark": ("\ufeffanna", "invisible"),
    "a combining joiner": ("an\u034fna", "invisible"),
    "a braille blank": ("anna\u2800", "invisible"),
    "a variation selector": ("anna\ufe0f", "invisible"),
    "a tag": ("anna\U000e0061", "invisible"),
    "a word joiner": ("anna\u2060", "invisible"),
    "a halfwidth filler": ("anna\uffa0", "invisible"),
    "a no-break blank": ("anna\u00a0schmidt", "blanks"),
    "an ideographic blank": ("anna\u3000schmidt", "blanks"),
    "a blank at the end": ("anna ", "blanks"),
    "a blank at the beginning": (" anna", "blanks"),
    "two blanks": ("anna  schmidt", "blanks"),
    "a Cyrillic a": ("\u0430nna", "Cyrillic, Latin"),
    "a Cyrillic a at the end": ("ann\u0430", "Cyrillic, Latin"),
    "a Greek o": ("b\u03bfb", "Greek, Latin"),
    "an Armenian o": ("b\u0585b", "Armenian, Latin"),
    "Cherokee": ("\u13aaolin", "Cherokee, Latin"),
    "Cyrillic alone that looks Latin": ("\u0441\u043e\u0441\u043e", "look like Latin"),
    "Cyrillic and Greek": ("\u0430\u03bf", "Cyrillic, Greek"),
    "decomposed": (unicodedata.normalize("NFD", "andré"), "decomposed"),
    "decomposed Korean": (unicodedata.normalize("NFD", "김"), "decomposed"),
    "a compatibility character": ("\u212bngström", "decomposed"),
    "fullwidth": ("\uff41\uff4e\uff4e\uff41", "styled"),
    "mathematical": ("\U0001d41anna", "styled"),
}


@pytest.mark.parametrize("user_id", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_id_is_not_marked(user_id: str) -> None:
    assert problems(user_id) == ()
    assert _formatting.lookalike(user_id) == ""


@pytest.mark.parametrize(("user_id", "reason"), MARKED.values(), ids=MARKED)
def test_an_id_that_looks_like_another_is_marked(user_id: str, reason: str) -> None:
    assert is_user_id(user_id)
    assert reason in " ".join(problems(user_id))
    assert "look-alike" in _formatting.lookalike(user_id)


@given(st.text())
def test_the_mark_is_safe_for_any_id(user_id: str) -> None:
    mark = str(_formatting.lookalike(user_id))
    assert mark == "" or mark.startswith(' <span class="odd" title="This ID has ')
    assert mark.isprintable()


@pytest.mark.parametrize("user_id", ["anna\u3164", "\u0430nna", unicodedata.normalize("NFD", "andré")], ids=ascii)
def test_every_page_of_a_user_shows_the_mark(app: App, reader: Reader, user_id: str) -> None:
    key = visit(app, "/", lambda: identify(user_id, "Anna"))
    pages = [reader.get("/sessions"), reader.get(f"/sessions/{key}"), reader.get("/users", id=user_id)]
    assert [page.text.count('class="odd"') >= 1 for page in pages] == [True] * 3
    assert html.escape(problems(user_id)[0]) in pages[1].text
    visit(app, "/", lambda: identify("ben", "Ben"))
    assert reader.get("/users", id="ben").text.count('class="odd"') == 0


def test_an_invisible_letter_is_written_out() -> None:
    assert _formatting.visible("anna\u3164") == "anna⟨U+3164⟩"
    assert _formatting.visible("علی‌رضا") == "علی‌رضا"
