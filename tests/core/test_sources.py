"""Source and channel of a session, from its referrer and its campaign."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.events import INTERNAL_REFERRER, Scalar
from sojourn.core.sources import CHANNELS, channel_of, parameter_of, source_of


def origin(referrer: str | None, query: str = "", *, is_internal: bool = False) -> dict[str, Scalar]:
    values: dict[str, Scalar] = {} if referrer is None else {"http.request.header.referer": referrer}
    if query:
        values["url.query"] = query
    if is_internal:
        values[INTERNAL_REFERRER] = True
    return values


@pytest.mark.parametrize(
    ("referrer", "source", "channel"),
    [
        (None, "Direct", "Direct"),
        ("", "Direct", "Direct"),
        ("no URL at all", "Direct", "Direct"),
        ("https://www.google.com/", "google.com", "Organic search"),
        ("https://google.com/", "google.com", "Organic search"),
        ("https://www.google.co.uk/", "google.com", "Organic search"),
        ("https://www.google.de/", "google.com", "Organic search"),
        ("android-app://com.google.android.googlequicksearchbox/", "google.com", "Organic search"),
        ("https://mail.google.com/", "mail.google.com", "Email"),
        ("android-app://com.google.android.gm", "gmail.com", "Email"),
        ("https://gemini.google.com/app", "gemini.google.com", "AI assistants"),
        ("https://chat.openai.com/", "chatgpt.com", "AI assistants"),
        ("https://www.perplexity.ai/", "perplexity.ai", "AI assistants"),
        ("https://t.co/abc", "x.com", "Organic social"),
        ("https://l.facebook.com/", "facebook.com", "Organic social"),
        ("https://old.reddit.com/r/gardening", "reddit.com", "Organic social"),
        ("https://news.ycombinator.com/item", "news.ycombinator.com", "Organic social"),
        ("https://www.garden-friends.example/links", "garden-friends.example", "Referral"),
        ("https://garden-friends.example:8443/links", "garden-friends.example", "Referral"),
        ("https://evilgoogle.com/", "evilgoogle.com", "Referral"),
        ("https://google.com.evil.example/", "google.com.evil.example", "Referral"),
        ("https://[broken", "Direct", "Direct"),
        ("android-app://org.unknown.app", "org.unknown.app", "Referral"),
    ],
)
def test_referrer(referrer: str | None, source: str, channel: str) -> None:
    assert (source_of(origin(referrer)), channel_of(origin(referrer))) == (source, channel)


@pytest.mark.parametrize(
    ("query", "source", "channel"),
    [
        ("utm_source=google&utm_medium=cpc", "google.com", "Paid search"),
        ("utm_source=Google&utm_medium=CPC", "google.com", "Paid search"),
        ("utm_source=facebook&utm_medium=paid-social", "facebook.com", "Paid social"),
        ("utm_source=partner&utm_medium=display", "partner", "Paid other"),
        ("utm_source=spring&utm_medium=email", "spring", "Email"),
        ("utm_source=newsletter", "newsletter", "Email"),
        ("utm_source=friends&utm_medium=affiliate", "friends", "Affiliates"),
        ("utm_source=poster&utm_medium=print", "poster", "Campaign"),
        ("utm_source=reddit&utm_medium=social", "reddit.com", "Organic social"),
        ("utm_source=chatgpt.com", "chatgpt.com", "AI assistants"),
        ("utm_source=friends&utm_medium=referral", "friends", "Referral"),
        ("utm_campaign=only", "bing.com", "Organic search"),
        ("ref=1", "bing.com", "Organic search"),
        ("utm_source=first&utm_source=second", "first", "Campaign"),
    ],
)
def test_campaign_outranks_the_referrer(query: str, source: str, channel: str) -> None:
    values = origin("https://www.bing.com/", query)
    assert (source_of(values), channel_of(values)) == (source, channel)


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", None),
        ("utm_source=news", None),
        ("utm_campaign=spring", "spring"),
        ("utm_campaign=spring&utm_campaign=autumn", "spring"),
        ("q=utm_campaign", None),
    ],
)
def test_parameter_of_the_first_address(query: str, value: str | None) -> None:
    assert parameter_of(origin(None, query), "utm_campaign") == value


def test_own_host_is_no_source() -> None:
    values = origin("https://shop.example/cart", is_internal=True)
    assert source_of(values) == channel_of(values) == "(within the site)"
    tagged = origin("https://shop.example/cart", "utm_source=mail&utm_medium=email", is_internal=True)
    assert (source_of(tagged), channel_of(tagged)) == ("mail", "Email")


@given(st.one_of(st.none(), st.text()), st.text(), st.booleans())
def test_every_session_has_a_source_and_one_of_the_channels(referrer: str | None, query: str, internal: bool) -> None:
    values = origin(referrer, query, is_internal=internal)
    assert source_of(values)
    assert channel_of(values) in CHANNELS
