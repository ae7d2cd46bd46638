"""The client's browser, system and device under the names that PostHog's own script gives them, which its reports group by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from sojourn.user_agents import families
from sojourn.user_agents.families import OTHER, client_of

_BROWSERS: Final = {
    "Edge": "Microsoft Edge",
    "Yandex Browser": "Yandex",
    "Facebook": "Facebook Mobile",
    "Google app": "Google Search App",
    "Headless Chrome": "Chrome",
    "Android WebView": "Chrome",
}
_ON_IOS: Final = {"Chrome": "Chrome iOS", "Firefox": "Firefox iOS", "Safari": "Mobile Safari"}
_SYSTEMS: Final = {"macOS": "Mac OS X", "iPadOS": "iOS", "ChromeOS": "Chrome OS"}
_DEVICES: Final = {
    families.DESKTOP: "Desktop",
    families.PHONE: "Mobile",
    families.TABLET: "Tablet",
    families.TV: "TV",
}
_IOS: Final = frozenset({"iOS", "iPadOS"})
# By our own names. The script sends the version as a number: its major and minor figure.
_FIGURE: Final = r"/(\d{1,5}(?:\.\d{1,5})?)"
_VERSIONS: Final = {
    name: re.compile(marks + _FIGURE)
    for name, marks in (
        ("Edge", "Edg(?:e|A|iOS)?"),
        ("Opera", "(?:OPR|Opera|OPT)"),
        ("Samsung Internet", "SamsungBrowser"),
        ("Vivaldi", "Vivaldi"),
        ("Yandex Browser", "YaBrowser"),
        ("UC Browser", "UCBrowser"),
        ("DuckDuckGo", "(?:DuckDuckGo|Ddg)"),
        ("Whale", "Whale"),
        ("Google app", "GSA"),
        ("Firefox", "(?:FxiOS|Firefox)"),
        ("Chrome", "(?:CriOS|Chromium|Chrome)"),
        ("Headless Chrome", "HeadlessChrome"),
        ("Android WebView", "Chrome"),
        ("Safari", "Version"),
    )
}


@lru_cache(maxsize=4096)
def device_properties(agent: str) -> Mapping[str, str | float]:
    """Return `$browser`, `$browser_version`, `$os` and `$device_type`, as far as the user agent names them.

    A program or a bot has none: PostHog recognises it by `$raw_user_agent`.
    """
    client = client_of(agent)
    device = _DEVICES.get(client.device or "")
    if device is None:
        return {}
    properties: dict[str, str | float] = {"$device_type": device}
    if client.system is not None and client.system != OTHER:
        properties["$os"] = _SYSTEMS.get(client.system, client.system)
    browser = client.browser
    if browser is not None and browser != OTHER:
        is_on_ios = client.system in _IOS
        properties["$browser"] = (_ON_IOS.get(browser) if is_on_ios else None) or _BROWSERS.get(browser, browser)
        version = _VERSIONS[browser].search(agent) if browser in _VERSIONS else None
        if version is not None:
            figures = float(version[1])
            # As JavaScript writes it: 140, not 140.0, which would be another group of a report.
            properties["$browser_version"] = int(figures) if figures.is_integer() else figures
    return properties
