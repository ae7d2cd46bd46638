"""Masking takes time in proportion to the text, whatever the text: a visitor chooses it, and the event loop waits for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from itertools import product
from time import thread_time

import pytest

from sojourn.tracking import masking, persons, route_parameters, tokens
from sojourn.tracking.masking import kept_query, masked_path, referrer
from sojourn.tracking.paths import Paths

MODULES = (masking, persons, route_parameters, tokens)
PATTERNS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in MODULES
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
}
PIECES = (
    "a", "A", "0", "9f", "a@", "@", ".", "@.", "a.", "1.", "-", "a-", "1-", "aB1",
    "aB1-", "00", "+", "+1", "+1 ", "(1", "/", "a/", "%", "%25", "%40", "%2F", "=", "a=",
    ";", ";a=", "&", ",", "eyJ", "eyJaaaaa.", "eyJaaaaa.aaaaa.", "3f2504e0-", "3f2504e0-4f89-", "{", "{a", "{a:", "}", "<",
    "<a:", "<a(", ">", "reset-", "reset/", "verify/1", "resetPassword", "tel/", " ", "ä", "x ", "a1b2/", "code=", "token=a;",
    "aB3dE6gH9kLm/", "2x.", "v1.", "[", "\x00", "\ud800",
)  # fmt: skip
ENDS = ("", "!", "@")


def hostile(length: int) -> list[str]:
    """A piece again and again, after another one or none, before an end that makes a match fail."""
    repeated = [(piece * length)[:length] for piece in PIECES]
    halves = [
        f"{first[: length // 2]}@{second[: length // 2]}" for first, second in product(repeated[:8], repeated[:8])
    ]
    return [text + end for text in repeated + halves for end in ENDS]


def seconds(work: Callable[[str], object], text: str, runs: int = 5) -> float:
    """The fastest of several runs: what else the machine does makes a run slower, never faster."""
    best = sys.float_info.max
    for _ in range(runs):
        start = thread_time()
        work(text)
        best = min(best, thread_time() - start)
    return best


def all_ways(pattern: re.Pattern[str], text: str) -> None:
    pattern.match(text)
    pattern.fullmatch(text)
    pattern.sub("", text)


@pytest.mark.parametrize("name", PATTERNS)
def test_a_pattern_takes_linear_time(name: str) -> None:
    """Four times the text takes some four times as long. Where it is quadratic, sixteen."""
    work = partial(all_ways, PATTERNS[name])
    for short, long in zip(hostile(1_000), hostile(4_000), strict=True):
        if seconds(work, long, runs=1) < 0.003:  # a quadratic pattern takes longer, at this length
            continue
        assert seconds(work, long) < 9 * seconds(work, short), short[:20]


SECRET_ROUTES = Paths()
for number in range(64):
    SECRET_ROUTES.shown("/", route=f"/{number}/{{token:path}}/x")


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(masked_path, id="a path"),
        pytest.param(lambda text: referrer(f"https://a.example/{text}"), id="a referrer"),
        pytest.param(lambda text: kept_query(f"utm_source={text}", ("utm_*",)), id="a query"),
        pytest.param(SECRET_ROUTES.shown, id="with routes"),
    ],
)
def test_the_worst_kilobyte_costs_at_most_ten_times_an_ordinary_one(work: Callable[[str], object]) -> None:
    """Against text of the same length that is ordinary, and within the same run: no clock of another machine counts."""
    ordinary = seconds(work, "/how-to-grow-tomatoes-2026/Comments" * 30)
    for text in hostile(1_030):
        limit = 10 * ordinary
        assert seconds(work, text, runs=1) < limit or seconds(work, text) < limit, text[:20]
