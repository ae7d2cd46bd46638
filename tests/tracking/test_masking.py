"""What is hidden before anything is kept, and what stays readable."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.tracking.masking import kept_query, masked_address, masked_path, printable, referrer, user_agent


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        pytest.param("203.0.113.77", "203.0.113.0", id="IPv4 to /24"),
        pytest.param("2001:db8:1234:5678::1", "2001:db8:1234::", id="IPv6 to /48"),
        pytest.param("::ffff:203.0.113.77", "203.0.113.0", id="IPv4 written as IPv6"),
        pytest.param("2002:cb00:714d::1", "203.0.113.0", id="6to4 carries a whole IPv4 address"),
        pytest.param("fe80::1%eth0", "fe80::", id="with a zone"),
        pytest.param("::1", "::", id="loopback"),
        pytest.param(None, None, id="none"),
        pytest.param("", None, id="empty"),
        pytest.param("testclient", None, id="a name"),
        pytest.param("203.0.113.77:8080", None, id="with a port"),
        pytest.param("203.0.113.999", None, id="no address"),
    ],
)
def test_an_address_is_masked(address: str | None, masked: str | None) -> None:
    assert masked_address(address) == masked


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "/users/12345",
        "/articles/how-to-grow-tomatoes-2026",
        "/blog/2026-11-21-my-first-post",
        "/Docs/API-Reference-for-Version-3",
        "/docs/getting_started_with_python3_11_and_up",
        "/docs/v1.2.3/release.notes.html",
        "/release-notes.version-2.html",
        "/npm/pkg@1.2.3",
        "/@ada/posts",
        "/orders/2026-000123",
        "/wiki/Überraschung-im-Jänner-2026",
        "/search;page=2;sort=date",
        "/a/b/c/d/e/f/g",
        "/internationalization",
    ],
)
def test_a_readable_path_stays(path: str) -> None:
    assert masked_path(path) == path


@pytest.mark.parametrize(
    ("path", "masked"),
    [
        pytest.param("/u/ada@example.com/edit", "/u/*/edit", id="a mail address"),
        pytest.param("/u/ada%40example.com", "/u/*", id="a mail address, still encoded"),
        pytest.param("/unsubscribe/mailto:ada@пример.рф", "/unsubscribe/*", id="an international one"),
        pytest.param("/auth/eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "/auth/*", id="a JWT"),
        pytest.param("/auth/eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "/auth/*", id="an unsigned JWT"),
        pytest.param("/o/3f2504e0-4f89-41d3-9a0c-0305e82c3301", "/o/*", id="a UUID"),
        pytest.param("/o/{3F2504E0-4F89-41D3-9A0C-0305E82C3301}", "/o/*", id="a UUID in braces"),
        pytest.param("/o/3f2504e04f8941d39a0c0305e82c3301/x", "/o/*/x", id="a UUID without hyphens"),
        pytest.param("/reset/3T8QmzPp0xLr9bWcVnKd2E", "/reset/*", id="a random token"),
        pytest.param("/reset/Mw/c8y5zd-0123456789abcdef0123456789abcdef", "/reset/Mw/*", id="Django's reset token"),
        pytest.param("/c/ImFkYSI.ZxYkAA.abcDEFghiJKL1mno_pqRS", "/c/*", id="an itsdangerous token"),
        pytest.param("/l/AB12-CD34-EF56-GH78-IJ90", "/l/*", id="a licence key"),
        pytest.param("/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/t/*", id="a ULID"),
        pytest.param("/bot123456:AAHdqTcvCH1vGWJxfSeofSAs0K5P/send", "/*/send", id="a bot's token"),
        pytest.param("/cart;jsessionid=1A2B3C4D5E6F708192A3B4C5D6E7F809", "/*", id="a session id in a parameter"),
        pytest.param("/reset-password-a8f3k2m9x0c7b5n1q4w6e8r2t5y7u9i1", "/*", id="a token behind words"),
        pytest.param("/card/4111111111111111", "/card/*", id="a card number"),
    ],
)
def test_tokens_and_personal_data_are_masked(path: str, masked: str) -> None:
    assert masked_path(path) == masked


def test_a_path_is_bounded_and_printable() -> None:
    assert masked_path("/a\nb\x1b[31m\ud800") == "/a\ufffdb\ufffd[31m\ufffd"
    assert len(masked_path("/ab" * 5_000)) == 1024


@given(path=st.text(max_size=80))
def test_masking_never_raises_and_is_done_once(path: str) -> None:
    once = masked_path(path)
    assert masked_path(once) == once
    assert once.count("/") == path.count("/")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("https://a.example/b?q=1#top", "https://a.example/b", id="no query, no fragment"),
        pytest.param("https://ada:secret@a.example/", "https://a.example/", id="no user, no password"),
        pytest.param("https://a.example", "https://a.example", id="an origin"),
        pytest.param("http://A.Example:8080/x", "http://a.example:8080/x", id="a port"),
        pytest.param("https://[2001:db8::1]:444/x", "https://[2001:db8::1]:444/x", id="IPv6"),
        pytest.param("https://a.example/reset/3T8QmzPp0xLr9bWcVnKd2E", "https://a.example/reset/*", id="a token"),
        pytest.param(
            "https://a.example/%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82",
            "https://a.example/%D0%9F%D1%80%D0%B8%D0%B2%D0%B5%D1%82",
            id="words in another script",
        ),
        pytest.param("", None, id="empty"),
        pytest.param("about:blank", None, id="no page"),
        pytest.param("android-app://com.example", None, id="an app"),
        pytest.param("javascript:alert(1)", None, id="a script"),
        pytest.param("https:///x", None, id="no host"),
        pytest.param("https://[::1", None, id="a broken host"),
        pytest.param("https://a.example:port/", None, id="a broken port"),
    ],
)
def test_a_referrer_is_origin_and_path(value: str, shown: str | None) -> None:
    assert referrer(value) == shown


@given(value=st.text() | st.text().map(lambda rest: f"https://{rest}"))
def test_no_referrer_raises_or_keeps_a_query(value: str) -> None:
    shown = referrer(value)
    assert shown is None or not {"?", "#"} & set(shown)


@pytest.mark.parametrize(
    ("query", "patterns", "kept"),
    [
        pytest.param("utm_source=a&token=b&utm_term=c%20d", ("utm_*",), "utm_source=a&utm_term=c+d", id="the allowed"),
        pytest.param("token=b", ("utm_*",), None, id="nothing is left"),
        pytest.param("utm_source=a", (), None, id="nothing is allowed"),
        pytest.param("", ("*",), None, id="no query"),
        pytest.param("a=%FF&b", ("*",), "a=%EF%BF%BD", id="no text"),
        pytest.param("a=" + "x" * 9_000, ("*",), "a=" + "x" * 1_022, id="bounded"),
    ],
)
def test_only_allowed_query_parameters_are_kept(query: str, patterns: tuple[str, ...], kept: str | None) -> None:
    assert kept_query(query, patterns) == kept


def test_a_user_agent_is_bounded_and_printable() -> None:
    assert user_agent("") is None
    assert user_agent("curl/8\r\n") == "curl/8\ufffd\ufffd"
    assert user_agent("x" * 900) == "x" * 512
    assert printable("a\x85b", 9) == "a\ufffdb"
