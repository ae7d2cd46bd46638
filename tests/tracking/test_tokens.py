"""Which segments of a path are masked: two hundred secrets, two hundred ordinary ones, and the kinds at large."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.tracking.masking import kept_query, masked_path, referrer
from sojourn.tracking.tokens import is_code, is_token

HERE = Path(__file__).parent
ORDINARY = (HERE / "ordinary_segments.txt").read_text(encoding="utf-8").splitlines()
SECRETS = (HERE / "secret_paths.txt").read_text(encoding="utf-8").splitlines()
LOWER, UPPER, DIGITS, HEX = string.ascii_lowercase, string.ascii_uppercase, string.digits, "0123456789abcdef"
BASE62 = LOWER + UPPER + DIGITS
LINKS = ["reset", "verify", "invite", "confirm", "magic", "unsubscribe", "share"]


def test_the_tables_hold_two_hundred_each() -> None:
    assert len(set(ORDINARY)) >= 200
    assert len(set(SECRETS)) >= 200


@pytest.mark.parametrize("segment", ORDINARY)
def test_an_ordinary_segment_stays(segment: str) -> None:
    assert masked_path(f"/blog/{segment}/comments") == f"/blog/{segment}/comments"
    assert masked_path(f"/{segment}") == f"/{segment}"


@pytest.mark.parametrize("path", SECRETS)
def test_a_secret_does_not(path: str) -> None:
    assert "*" in masked_path(path).split("/")


def drawn(alphabet: str, length: int) -> Callable[[Random], str]:
    return lambda draw: "".join(draw.choice(alphabet) for _ in range(length))


@pytest.mark.parametrize(
    ("template", "make"),
    [
        pytest.param("/d/{}", drawn(BASE62 + "-_", 22), id="token_urlsafe(16)"),
        pytest.param("/d/{}", drawn(BASE62 + "-_", 43), id="token_urlsafe(32)"),
        pytest.param("/d/{}", drawn(BASE62 + "-_", 21), id="nanoid"),
        pytest.param("/d/{}", drawn(BASE62, 16), id="base62 of 16"),
        pytest.param("/d/{}", drawn(LOWER + UPPER, 16), id="letters of both cases"),
        pytest.param("/d/{}", drawn(LOWER, 16), id="small letters"),
        pytest.param("/d/{}", drawn(UPPER, 16), id="capitals"),
        pytest.param("/d/{}", drawn(LOWER + DIGITS, 16), id="base36"),
        pytest.param("/d/{}", drawn(UPPER + "234567", 16), id="base32"),
        pytest.param("/d/{}", drawn(HEX, 12), id="12 hex digits"),
        pytest.param("/d/{}", drawn(HEX.upper(), 12), id="12 hex digits in capitals"),
        pytest.param("/verify/{}", drawn(DIGITS, 6), id="a code of six digits"),
        pytest.param("/verify/email/{}", drawn(DIGITS, 8), id="a code of eight digits"),
        pytest.param("/reset/{}", drawn(BASE62, 12), id="base62 of 12 behind a word"),
        pytest.param("/reset-password-{}", drawn(BASE62 + "-_", 22), id="in one segment with words"),
        pytest.param("/u?utm_source={}", drawn(BASE62 + "-_", 22), id="in a query parameter"),
    ],
)
def test_of_each_kind_at_most_one_in_a_hundred_stays_readable(template: str, make: Callable[[Random], str]) -> None:
    draw = random.Random(template)
    readable = 0
    for _ in range(2000):
        path, _, query = template.format(make(draw)).partition("?")
        readable += "*" not in ((kept_query(query, ("utm_*",)) or "") if query else masked_path(path))
    assert readable <= 20


names = st.text(LOWER + DIGITS + "._+-", min_size=1, max_size=20).filter(lambda name: name[-1].isalnum())
hosts = st.text(LOWER, min_size=2, max_size=20).filter(
    lambda host: (
        host not in {"latest", "next", "beta", "alpha", "canary", "rc", "dev", "nightly", "edge", "stable", "lts"}
        and host not in {"main", "master", "head"}
    )
)


@given(name=names, host=hosts, top=st.sampled_from(["", ".de", ".co.uk", ".рф", ":8080"]))
def test_every_mail_address_is_masked(name: str, host: str, top: str) -> None:
    assert masked_path(f"/m/{name}@{host}{top}/edit") == "/m/*/edit"
    assert masked_path(f"/m/{name}%40{host}{top}") == "/m/*"
    assert kept_query(f"utm_source={name.replace('+', '%2B')}@{host}{top}", ("utm_*",)) == "utm_source=*"


@given(
    country=st.integers(1, 998),
    number=st.integers(1_000_000, 99_999_999_999),
    mark=st.sampled_from(["+", "%2B", "00", "tel:+"]),
    between=st.sampled_from(["", " ", "-", "."]),
)
def test_every_international_phone_number_is_masked(country: int, number: int, mark: str, between: str) -> None:
    assert masked_path(f"/contact/{mark}{country}{between}{number}") == "/contact/*"
    assert kept_query(f"utm_id=%2B{country}{number}", ("utm_*",)) == "utm_id=*"
    assert kept_query(f"utm_id=+{country}{number}", ("utm_*",)) == "utm_id=*"


@given(word=st.sampled_from(LINKS), code=st.text(DIGITS, min_size=5, max_size=12), also=st.sampled_from(["", "email/"]))
def test_every_code_behind_such_a_word_is_masked(word: str, code: str, also: str) -> None:
    assert masked_path(f"/{word}/{also}{code}") == f"/{word}/{also}*"
    assert masked_path(f"/en/{word}-account/{code}/done") == f"/en/{word}-account/*/done"
    assert referrer(f"https://shop.example/{word.title()}/{code}?a=1") == f"https://shop.example/{word.title()}/*"


@given(words=st.lists(st.sampled_from([word for word in ORDINARY if word.isalpha() and word.isascii()]), min_size=1))
def test_words_stay_whatever_their_number(words: list[str]) -> None:
    for path in ("/" + "-".join(words)[:900], "/" + "/".join(words)[:900], "/" + "_".join(words).title()[:900]):
        assert masked_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "/reset",
        "/reset/password",
        "/password_reset/done/",
        "/reset-password/complete",
        "/verify/email",
        "/verify/2fa",
        "/verify/step-2",
        "/verify/oauth2",
        "/invite/friends",
        "/invite/accepted",
        "/confirm/order/thank-you",
        "/magic/card-tricks",
        "/magic/top-10-tricks",
        "/unsubscribe/newsletter",
        "/unsubscribe/confirmed",
        "/share/how-to-grow-tomatoes-2026",
        "/share/2026/11/21/my-first-post",
        "/share/article-4711",
        "/share/2026-11-21",
        "/share/iphone15",
        "/share/twitter",
        "/tel/support",
        "/phone/samsung-s24",
        "/codes/482913",
        "/orders/482913",
        "/tickets/20261121",
    ],
)
def test_what_looks_like_no_code_stays(path: str) -> None:
    assert masked_path(path) == path


@pytest.mark.parametrize(
    ("query", "patterns", "keep", "kept"),
    [
        pytest.param("utm_source=anna@example.org", ("utm_*",), (), "utm_source=*", id="a mail address"),
        pytest.param("utm_source=anna@example.org", ("utm_source",), (), "utm_source=*", id="allowed by its name"),
        pytest.param("gclid=3T8QmzPp0xLr9bWcVnKd2E", ("*",), (), "gclid=*", id="a token"),
        pytest.param(
            "gclid=3T8QmzPp0xLr9bWcVnKd2E", ("gclid",), (), "gclid=3T8QmzPp0xLr9bWcVnKd2E", id="asked for by name"
        ),
        pytest.param("code=de", ("*",), (), "code=*", id="a secret name"),
        pytest.param("code=de", ("*",), ("code",), "code=de", id="a secret name to keep"),
        pytest.param("reset_token=a&utm_term=b", ("*",), (), "reset_token=*&utm_term=b", id="a suffix"),
        pytest.param("utm_campaign=summer_sale_2026", ("utm_*",), (), "utm_campaign=summer_sale_2026", id="words"),
        pytest.param("utm_id=120210000000", ("utm_*",), (), "utm_id=120210000000", id="a number"),
    ],
)
def test_query_parameters(query: str, patterns: tuple[str, ...], keep: tuple[str, ...], kept: str) -> None:
    assert kept_query(query, patterns, keep) == kept


def test_a_token_is_not_recognised_by_half() -> None:
    """Where the path is cut, the beginning of a token is not what is left."""
    path = "/" + "ab/" * 338 + "3T8QmzPp0xLr9bWcVnKd2E3T8QmzPp0xLr9bWcVnKd2E"
    assert masked_path(path).endswith("/ab/*")


@given(text=st.text(max_size=60))
def test_what_is_a_token_is_a_code_too(text: str) -> None:
    assert is_code(text) or not is_token(text)
