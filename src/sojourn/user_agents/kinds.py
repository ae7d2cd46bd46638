"""Which kind of client sent a `User-Agent`: a person's browser, a program, or a bot.

Only self-declared bots are detected; a bot that sends a browser's user agent counts as a person. A text is judged in this
order: the tables below, then the HTTP libraries and bots that `is-crawler` recognises, then what remains. The tables hold
only what that library misses. Pure, apart from the cache of results.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sojourn.core.bounded import Bounded

from .tags import Tag, leading_tag, load_index, tags_in

_MAX_LENGTH: Final = 512
"""Characters that are read. Browsers send 80 to 400; browsers inside apps send the most."""
_CACHE_SIZE: Final = 1024
_MAX_REPEATS: Final = {
    "fetch": 1,
    "@": 2,
    ";": 100,
    **dict.fromkeys(("bot", "scan", "wget", "nmap", "opera", "by ", "google"), 8),
}
"""The library spends time on each of these; a text full of them could take milliseconds. No browser repeats them so often,
so a text above the limit is a crawler."""


class Kind(StrEnum):
    """The kind of client behind a request. The values appear in counters and on the report."""

    PERSON = "person"
    HTTP_CLIENT = "http_client"
    HEADLESS = "headless"
    CRAWLER = "crawler"
    MONITOR = "monitor"
    LINK_PREVIEW = "link_preview"
    PROBE = "probe"

    @property
    def is_bot(self) -> bool:
        """Whether no person is looking. A bot never starts a session, whatever the settings."""
        return self in _BOTS

    @property
    def is_program(self) -> bool:
        """Whether it is a tool that may act for a person or a test. It starts sessions unless `ignore_http_clients`."""
        return self in _PROGRAMS


_BOTS: Final = frozenset({Kind.CRAWLER, Kind.MONITOR, Kind.LINK_PREVIEW, Kind.PROBE})
_PROGRAMS: Final = frozenset({Kind.HTTP_CLIENT, Kind.HEADLESS})

_NAMES: Final[tuple[tuple[Kind, tuple[str, ...]], ...]] = (
    (
        # The library tags some of them as monitors; the others it does not list.
        Kind.PROBE,
        (
            "kube-probe",
            "healthcheck",  # ELB-HealthChecker, Cloudflare-Healthchecks and many in-house ones
            "health-check",  # Amazon-Route53-Health-Check-Service
            "health check",  # Consul Health Check
            "health probe",  # Azure Front Door
            "googlehc",
            "envoy/hc",
            "haproxy",
            "blackbox exporter",
            "blackbox-exporter",
            "prometheus/",
            "load balancer agent",  # Azure
            "endpoint monitor",  # Azure Traffic Manager
            "alwayson",  # Azure App Service
        ),
    ),
    (
        # The first three cover most of the market. The others drive real browsers, and the library takes them for people.
        Kind.MONITOR,
        (
            "monitor",
            "uptime",
            "synthetic",  # Datadog, New Relic, CloudWatch, Dynatrace, Grafana
            "pingdom",
            "statuscake",
            "site24x7",
            "checkly",
            "gatus/",
            "catchpoint",
            "thousandeyes",
            "appinsights",
            "ptst/",  # WebPageTest
            "gtmetrix",
            "dareboost",
        ),
    ),
    (
        # Sent together with a browser's user agent.
        Kind.LINK_PREVIEW,
        (
            "facebookexternalhit",
            "googleimageproxy",  # pictures in Gmail
        ),
    ),
    (
        # Crawlers that the library takes for browsers.
        Kind.CRAWLER,
        (
            "googleother",
            "mediapartners-google",
            "google-physicalweb",
            "playstore-google",
            "googleagent-",
            "manus-user",
            "zgrab",
            "acunetix",
            "openvas",
            "brandverity",
            "feed parser",  # SimplePie, Fever
        ),
    ),
)
"""In lower case, anywhere in the text. The order of the kinds decides: monitors drive headless browsers, for example."""

_HEADLESS: Final = (
    "headless",
    "playwright",
    "puppeteer",
    "phantomjs",
    "slimerjs",
    "selenium",
    "cypress/",
    "htmlunit",
    "jsdom/",
    "splash version/",
)
"""Anywhere in the text. The library calls some of them bots and others browsers; both may be the developer's own tests."""

_CLIENTS: Final = ("cfnetwork/", "powershell/", "okhttp/", "httpclient")
"""HTTP stacks anywhere in the text, also behind the name of a phone app."""

_CLIENTS_BY_PRODUCT: Final = frozenset(
    {
        "apachebench",  # tagged as a monitor
        "dalvik",
        "go-resty",
        "got",
        "k6",
        "node-fetch",
        "python",
        "rest-client",
        "typhoeus",
        "wget",
    }
)
"""First products of HTTP libraries and test tools that the library takes for a bot or a browser.

Others need no entry: an unknown program is an HTTP client anyway, unless it gives a URL.
"""

_LOOKALIKES: Final = ("cubot",)
"""Words in people's browsers that end like a bot's: Cubot makes phones."""

_PEOPLE: Final = (
    "amazon cloudfront",  # replaces every visitor's user agent unless configured to forward it
    "midp",
    "blackberry",
    "nokia",
    "docomo/",
    "wap browser",
    "wap-browser",
    "up.browser",
    "netfront",
    "obigo",
    "elinks",
    "w3m/",
    "smarttv",
    "smart-tv",
    "roku/",
    "browser/",
)
"""Browsers without any word by which the library recognises browsers."""

_KINDS: Final = {
    Tag.HTTP_LIBRARY: Kind.HTTP_CLIENT,
    Tag.BROWSER_AUTOMATION: Kind.HEADLESS,
    Tag.MONITORING: Kind.MONITOR,
    Tag.SOCIAL_PREVIEW: Kind.LINK_PREVIEW,
    Tag.SEARCH: Kind.CRAWLER,
    Tag.AI_TRAINING: Kind.CRAWLER,
    Tag.CRAWLER: Kind.CRAWLER,
}

_kinds: Bounded[str, Kind] = Bounded(_CACHE_SIZE)


def kind_of(user_agent: str) -> Kind:
    """Return the kind of client that `user_agent` declares. Cached; reads at most 512 characters; never raises."""
    head = user_agent[:_MAX_LENGTH]
    kind = _kinds.get(head)
    if kind is None:
        kind = _kinds[head] = _classify(head.strip().lower()[:_MAX_LENGTH])  # some letters grow
    return kind


def _classify(text: str) -> Kind:
    if not text:
        return Kind.HTTP_CLIENT  # test clients and scripts send no user agent
    for kind, names in _NAMES:
        for name in names:
            if name in text:
                return kind
    product = text.partition("/")[0].partition(" ")[0]
    if product in _CLIENTS_BY_PRODUCT and "bot" not in text:
        return Kind.HTTP_CLIENT
    if any(text.count(part) > limit for part, limit in _MAX_REPEATS.items()):
        return Kind.CRAWLER
    return _classify_by_library(text)


def _classify_by_library(text: str) -> Kind:
    plain = text
    for name in _LOOKALIKES:
        plain = plain.replace(name, "")
    is_headless = False
    for name in _HEADLESS:
        if name in plain:
            # The name alone would make it a bot. Is there any other sign?
            plain, is_headless = plain.replace(name, ""), True
    signals = _signals(plain)
    is_browser = "no_browser_signature" not in signals
    if len(signals) > (0 if is_browser else 1):
        return _kind_of_bot(text)
    return Kind.HEADLESS if is_headless else _kind_without_signals(text, is_browser=is_browser)


def _signals(text: str) -> list[str]:
    """Return why the library takes a text for a bot: an empty list for a browser."""
    # Not above: the first call loads the library, `import sojourn` does not.
    from is_crawler import crawler_contact, crawler_signals, crawler_url

    load_index()
    if crawler_signals.cache_info().currsize >= _CACHE_SIZE:
        # The library's caches hold 32,768 texts each: tens of megabytes if every request sends another text.
        for cached in (crawler_signals, crawler_url, crawler_contact):
            cached.cache_clear()
    return crawler_signals(text)


def _kind_of_bot(text: str) -> Kind:
    tags = tags_in(text)
    if Tag.MONITORING in tags:
        return Kind.MONITOR
    if Tag.SOCIAL_PREVIEW in tags:
        return Kind.LINK_PREVIEW
    return Kind.CRAWLER


def _kind_without_signals(text: str, *, is_browser: bool) -> Kind:
    tag = leading_tag(text)
    if tag is Tag.SOCIAL_PREVIEW and not is_browser:
        return Kind.LINK_PREVIEW  # before the HTTP stacks: WhatsApp on an iPhone names its own
    if any(name in text for name in _CLIENTS):
        return Kind.HTTP_CLIENT
    if any(name in text for name in _PEOPLE):
        return Kind.PERSON
    if tag is Tag.HTTP_LIBRARY:
        return Kind.HTTP_CLIENT  # before the browsers: "(Linux" looks like one
    if is_browser:
        return Kind.PERSON
    if tag is not None:
        return _KINDS[tag]
    # An unknown program. Crawlers give a URL to read about them.
    return Kind.CRAWLER if "://" in text else Kind.HTTP_CLIENT
