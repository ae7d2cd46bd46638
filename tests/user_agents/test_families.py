"""Families of browsers, systems and devices."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.user_agents.families import UNKNOWN_CLIENT, client_of

MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
WINDOWS = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
ANDROID = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
IPAD = "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "browser", "system", "device"),
    [
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36", "Chrome", "Windows", "desktop"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0", "Edge", "Windows", "desktop"),
        (f"{WINDOWS} Chrome/140.0.0.0 Safari/537.36 OPR/120.0.0.0", "Opera", "Windows", "desktop"),
        (f"{MAC} Version/18.1 Safari/605.1.15", "Safari", "macOS", "desktop"),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox", "Linux", "desktop"),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 Chrome/140.0.0.0",
            "Chrome",
            "ChromeOS",
            "desktop",
        ),
        (f"{ANDROID} Chrome/140.0.0.0 Mobile Safari/537.36", "Chrome", "Android", "phone"),
        (f"{ANDROID} Chrome/140.0.0.0 Safari/537.36", "Chrome", "Android", "tablet"),
        (
            f"{ANDROID} SamsungBrowser/27.0 Chrome/125.0.0.0 Mobile Safari/537.36",
            "Samsung Internet",
            "Android",
            "phone",
        ),
        ("Mozilla/5.0 (Android 14; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0", "Firefox", "Android", "phone"),
        (f"{IPHONE} Version/18.1 Mobile/15E148 Safari/604.1", "Safari", "iOS", "phone"),
        (f"{IPHONE} CriOS/140.0.0.0 Mobile/15E148 Safari/604.1", "Chrome", "iOS", "phone"),
        (f"{IPHONE} FxiOS/140.0 Mobile/15E148 Safari/605.1.15", "Firefox", "iOS", "phone"),
        (f"{IPAD} Version/16.6 Mobile/15E148 Safari/604.1", "Safari", "iPadOS", "tablet"),
        ("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", "Windows", "desktop"),
        ("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 Chrome/94.0 Safari/537.36", "Chrome", "webOS", "tv"),
        (
            "Mozilla/5.0 (Linux; Android 9; AFTMM) AppleWebKit/537.36 Chrome/94.0 Safari/537.36",
            "Chrome",
            "Android",
            "tv",
        ),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "Other", "Other", "bot"),
        ("curl/8.5.0", "curl", "Other", "program"),
        ("python-requests/2.32", "Python", "Other", "program"),
        ("SeedShopApp/3.1 (sdk 34)", "Other", "Other", "program"),
        ("Mozilla/5.0 (Plan 9)", "Other", "Other", "desktop"),
        ("Mozilla/5.0 (Plan 9) node", "Node.js", "Other", "program"),
    ],
)
def test_families(user_agent: str, browser: str, system: str, device: str) -> None:
    assert client_of(user_agent) == (browser, system, device)
    assert client_of(user_agent.upper()) == (browser, system, device)


@pytest.mark.parametrize("user_agent", [None, "", "  "])
def test_missing_user_agent_has_no_families(user_agent: str | None) -> None:
    assert client_of(user_agent) == UNKNOWN_CLIENT


@given(st.text(max_size=2000))
def test_any_text_has_families(user_agent: str) -> None:
    client = client_of(user_agent)
    assert client == client_of(user_agent)
    assert client == UNKNOWN_CLIENT or all(client)


def test_only_the_first_512_characters_are_read() -> None:
    assert client_of("Mozilla/5.0 " + "x" * 600 + " Firefox/140.0").browser == "Other"
