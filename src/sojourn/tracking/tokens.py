"""Whether a piece of a path was drawn at random or written by a person. Pure, and linear in the length of the piece.

A token's characters are drawn evenly from an alphabet; words follow the habits of a language, and their letters, digits and
capitals come in runs. For each character, two models say how many bits it costs: evenly drawn, or written after the one before
it. The sum of the differences says which model explains the piece better. Words of all languages that are written in Latin
letters pass, and so do dates, versions and product names; no list of words is needed.
"""

from __future__ import annotations

import re
from functools import cache
from itertools import pairwise
from math import log2
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final

_RUN: Final = re.compile(r"[A-Za-z0-9]+")
_HEX: Final = re.compile(r"[0-9a-f]+|[0-9A-F]+")
_LICENCE: Final = re.compile(r"\A[A-Z0-9]{4,8}(?:-[A-Z0-9]{4,8}){3,}")
_NUMBERED: Final = re.compile(r"\A(?:([A-Za-z]{2,})[0-9]{1,2}|[0-9]{1,2}([A-Za-z]{2,}))")
_SHORTEST_RUN: Final = 12
_LONGEST_WORD: Final = 64
"""The longest words of German, Turkish and Welsh are shorter."""
_SHORTEST_WHOLE: Final = 16
_LONGEST_WHOLE: Final = 256
_FEWEST_LETTERS: Final = 5
"""What repeats four characters (`aaaa`, `hahaha`) is no token."""
_STRETCH: Final = 20
"""Bits, in halves, that a stretch of at least 16 characters within words must have on the side of chance."""
_SHORTEST_CODE: Final = 4
_SHORTEST_WORD: Final = 4
_CENTURIES: Final = ("19", "20")
_ODD: Final = 6
"""Half bits from which a few letters are no word."""

# How likely one letter is to follow another, as its cost in half bits (base 36: `a` is 10, so 5 bits): rows are the letter
# before, from a to z, the columns the letter itself. Counted over the 20,000 most frequent words of 27 languages, without their
# accents, and over names of software packages.
_FIRST: Final = "89899aaaac9a8aa7h978bacifc"
_FOLLOWING: Final = (
    "db99aeacada795gak677bbeicc", "5cfg5jii6ei7he6fm7be7ikkbk", "6jch6jk56g99he5ekac89jnmed", "5efc4feh5ecceb6fm9be8egkcc",
    "aca9cdadadb795fci568ebfced", "6hgg69fi5fh8ge5io7d98kjjbk", "5ghf4iaa6fd9fa7fn7bb8ijjcj", "4hge4jki6ffadb5hg9e88efnck",
    "9c8a7d9eeca8958ch977dajfgc", "4hhd4ijj8kcffc6hhh7f6ghoji", "4gff5ige6fb9fc6ip9997ehobl", "5ffb5feh5dd7cd7eojaa8ejnaj",
    "4adf4hhi6ihcad78lgbe8jkmdk", "6ha76d6f7dceha8hkh86aejkaf", "daa9adbeccb885aal679aabgfd", "5iff5hhb7jh7gg6ao5ba9kkmal",
    "dheggjiidlk7gigfidec1jgjlk", "5dca5fcf6gbcbb7ekc989dhlce", "7g9e6ghb6g9acd89hg849dflcc", "5heh4hha5gfdfd7go7a98eflag",
    "aba97eae9da786can777edhfgc", "4jgg3kgk5hhdib7hpbdfbimmbg", "4hee5hia5kgdh96fob8fdnhkai", "7e8d7fge5hhccga5ked4aeidak",
    "5b8a8ebdada99888ja77bcdkfd", "5cea5ldf5gcbc88emdcb8bdm9c",
)  # fmt: skip
_DIGIT_COST: Final = 6
_CAPITAL_COST: Final = 10
"""At most: within an abbreviation any letter may follow any other."""
_STEPS: Final = {  # half bits for going from one class of characters to the next: s(eparator), l(ower), u(pper), d(igit)
    "sl": 2, "su": 4, "sd": 4, "ss": 8,
    "ll": 0, "lu": 10, "ld": 8, "ls": 6,
    "ul": 2, "uu": 2, "ud": 8, "us": 6,
    "dl": 6, "du": 6, "dd": 2, "ds": 2,
}  # fmt: skip
_ALPHABET: Final = "-" + ascii_lowercase + ascii_uppercase + digits
_CLASSES: Final = "s" + "l" * 26 + "u" * 26 + "d" * 10
_CODES: Final = bytes(max(_ALPHABET.find(chr(byte)), 0) for byte in range(256))
"""Characters as places in the alphabet, for `bytes.translate`; all separators are the first of it."""


def is_token(part: str) -> bool:
    """Whether text holds a token: a run of letters and digits, or a whole that mixes them with separators."""
    if len(part) < _SHORTEST_RUN:
        return False
    if any(_is_random_run(run) for run in _RUN.findall(part)):
        return True
    return len(part) >= _SHORTEST_WHOLE and part.isascii() and _is_random_whole(part[:_LONGEST_WHOLE])


def is_code(part: str) -> bool:
    """Whether text looks like a token or a short code, where one is expected: `482913`, `K7QM-2XAB`, but not `step-2`."""
    if is_token(part):
        return True
    letters = "".join(_RUN.findall(part))
    if letters.isdigit():
        return len(letters) >= _SHORTEST_CODE and not _is_date(part, letters)
    if not part.isascii() or len(letters) < _FEWEST_LETTERS:
        return False
    if letters.isalpha():
        is_one_word = len(letters) == len(part) and len(set(part)) >= _FEWEST_LETTERS
        return is_one_word and len(part) > _FEWEST_LETTERS and _chance(part) >= _ODD
    return not _is_numbered(part)


def _is_random_run(run: str) -> bool:
    """A run of letters and digits that no person wrote."""
    length = len(run)
    if length < _SHORTEST_RUN or run.isdigit() or len(set(run)) < _FEWEST_LETTERS:
        return False
    if _HEX.fullmatch(run) and not run.isalpha():
        return True
    return length > _LONGEST_WORD or _chance(run) >= _needed(run)


def _is_random_whole(part: str) -> bool:
    """A token with separators in it, alone or among words. One of a single case and without digits is a slug."""
    kinds = _kinds(part)
    if len(kinds) < 2 or kinds == {"d", "s"} or kinds <= {"l", "s"} or kinds <= {"u", "s"}:
        return False
    if _LICENCE.fullmatch(part) and len({len(group) for group in part.split("-")}) == 1:
        return True
    return _chance(part) >= _needed(part) or _likeliest_stretch(part) >= _STRETCH


def _needed(text: str) -> float:
    """The half bits on the side of chance that make a token; less evidence is asked for where three classes mix."""
    if len(_kinds(text) - {"s"}) == 3:
        return -4 if len(text) >= _SHORTEST_WHOLE else 0
    return 1 + max(0.0, 1.5 * (_SHORTEST_WHOLE - len(text)))


def _chance(text: str) -> float:
    """How much better chance explains the text than a person does, in half bits."""
    codes, costs = text.encode("ascii", "replace").translate(_CODES), _costs()
    written = costs[0][codes[0]] + sum(costs[before][after] for before, after in pairwise(codes))
    return written - len(codes) * _even(text)


def _likeliest_stretch(text: str) -> float:
    """The same for that stretch of at least 16 characters within the text where it is largest."""
    costs, even = _costs(), _even(text)
    current = stretch = 0.0
    before = length = 0
    for code in text.encode("ascii", "replace").translate(_CODES):
        current += costs[before][code] - even
        length += 1
        if current <= 0:
            current, length = 0.0, 0
        elif current > stretch and length >= _SHORTEST_WHOLE:
            stretch = current
        before = code
    return stretch


def _even(text: str) -> float:
    """What each character costs, in half bits, if all were drawn evenly from the classes that occur."""
    return 2 * log2(sum(_SIZES[kind] for kind in _kinds(text)))


_SIZES: Final = {"s": 2, "l": 26, "u": 26, "d": 10}


def _kinds(text: str) -> set[str]:
    return {_CLASSES[code] for code in set(text.encode("ascii", "replace").translate(_CODES))}


@cache
def _costs() -> tuple[bytes, ...]:
    """What a written character costs, in half bits: for each one before it, by the character itself."""
    size = len(_ALPHABET)
    return tuple(bytes(_cost(before, after) for after in range(size)) for before in range(size))


def _cost(before: int, after: int) -> int:
    step = _STEPS[_CLASSES[before] + _CLASSES[after]]
    match _CLASSES[after]:
        case "s":
            return step
        case "d":
            return step + _DIGIT_COST
        case kind:
            letter = ascii_lowercase.index(_ALPHABET[after].lower())
            if _CLASSES[before] in "sd" or (kind == "u" and _CLASSES[before] == "l"):
                return step + int(_FIRST[letter], 36)
            row = _FOLLOWING[ascii_lowercase.index(_ALPHABET[before].lower())]
            cost = int(row[letter], 36)
            return step + (min(cost, _CAPITAL_COST) if kind == "u" else cost)


def _is_date(part: str, number: str) -> bool:
    """A year, or a date with separators, the year first or last."""
    is_long_enough = len(number) == 4 or (len(number) in (6, 8) and number != part)
    return is_long_enough and (number.startswith(_CENTURIES) or number[-4:].startswith(_CENTURIES))


def _is_numbered(part: str) -> bool:
    """Words with numbers at them: `step-2`, `2fa`, `oauth2`, `article-4711`."""
    pieces = _RUN.findall(part)
    if any(len(piece) >= _SHORTEST_WORD and piece.isalpha() and _chance(piece) < _ODD for piece in pieces):
        return True
    return all(_is_numbered_word(piece) for piece in pieces)


def _is_numbered_word(piece: str) -> bool:
    """Letters alone, up to three characters, a year, or a word with a small number before or behind it."""
    if piece.isalpha() or len(piece) < _SHORTEST_WORD or _is_date(piece, piece):
        return True
    word = _NUMBERED.fullmatch(piece)
    return word is not None and _chance(word[1] or word[2]) < _ODD
