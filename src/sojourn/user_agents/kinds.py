"""What kind of client sent this `User-Agent`: a person's browser, a program, or a bot that says so.

Only what declares itself is told apart; who lies counts as a person. A library (`is-crawler`: string searches, no
regular expression that a hostile text could blow up) says whether a text declares a bot at all. It does not say of which
kind, takes every HTTP library for a bot, and lets pass a monitor that drives a real browser: what it lacks is in the
tables here, which are read first. They hold names; the library knows the rest of the world. Pure, but for its memory.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from sojourn.core.bounded import Bounded

_LONGEST: Final = 512
"""Characters that are looked at. Browsers send 80 to 400; in-app browsers are the longest."""
_REMEMBERED: Final = 1024
_MOST_FETCHES: Final = 3
"""The library reads on from each "fetch": a text of nothing else would take it milliseconds. No browser says it twice."""


class Kind(StrEnum):
    """Who is behind a request. The values are what is counted and shown."""

    PERSON = "person"
    HTTP_CLIENT = "http_client"
    HEADLESS = "headless"
    CRAWLER = "crawler"
    MONITOR = "monitor"
    LINK_PREVIEW = "link_preview"
    PROBE = "probe"

    @property
    def is_bot(self) -> bool:
        """It declares that nobody is looking: it starts no session, whatever the settings."""
        return self in _BOTS

    @property
    def is_program(self) -> bool:
        """A tool that may act for a person, or be a test: it starts sessions unless `ignore_http_clients` is set."""
        return self in _PROGRAMS


_BOTS: Final = frozenset({Kind.CRAWLER, Kind.MONITOR, Kind.LINK_PREVIEW, Kind.PROBE})
_PROGRAMS: Final = frozenset({Kind.HTTP_CLIENT, Kind.HEADLESS})

# All names are in lower case, and anywhere in the text unless said otherwise. The order of the kinds decides: iMessage
# calls itself Safari, Facebook and Twitter at once; LinkedIn names its HTTP library; monitors drive headless browsers.
_NAMES: Final[tuple[tuple[Kind, tuple[str, ...]], ...]] = (
    (
        Kind.PROBE,
        (
            "kube-probe",
            "healthcheck",  # ELB-HealthChecker, Cloudflare-Healthchecks and many a home-made one
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
        Kind.MONITOR,
        (
            "monitor",  # Dotcom-Monitor, Google Stackdriver, LogicMonitor, monitoring-plugins (Nagios, Icinga)
            "uptime",  # UptimeRobot, Better Uptime, Uptime-Kuma, Uptime.com, SentryUptimeBot
            "synthetic",  # Datadog, New Relic, CloudWatch, Dynatrace, Grafana
            "pingdom",
            "statuscake",
            "site24x7",
            "better stack",
            "betterstack",
            "newrelicpinger",
            "checkly",
            "hetrixtools",
            "updown.io",
            "nodeping",
            "freshping",
            "gatus/",
            "catchpoint",
            "thousandeyes",
            "appinsights",
            "nagios",
            "zabbix",
            "ptst/",  # WebPageTest
            "gtmetrix",
            "dareboost",
            "chrome-lighthouse",
        ),
    ),
    (
        Kind.LINK_PREVIEW,
        (
            "facebookexternalhit",
            "facebot",
            "twitterbot",
            "slackbot",
            "slack-imgproxy",
            "discordbot",
            "telegrambot",
            "linkedinbot",
            "skypeuripreview",
            "snap url preview",
            "pinterestbot",
            "redditbot",
            "embedly",
            "iframely",
            "cardyb",  # Bluesky
            "mastodon/",
            "kakaotalk-scrap",
            "vkshare",
            "googleimageproxy",  # pictures in Gmail
        ),
    ),
    (
        # Those that the library takes for browsers, or that declare nothing but their name.
        Kind.CRAWLER,
        (
            "meta-external",
            "facebookcatalog",
            "googleother",
            "anthropic-ai",
            "cohere-ai",
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

_PREVIEWS_BY_PRODUCT: Final = frozenset({"whatsapp", "viber"})
"""First product only: the apps' own browsers may carry the name later in the text, and are people."""

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

_CLIENTS_BY_PRODUCT: Final = frozenset(
    {
        # Python, and the test clients of its frameworks
        "python",
        "python-requests",
        "python-httpx",
        "python-httpx2",
        "python-urllib",
        "python-urllib3",
        "aiohttp",
        "niquests",
        "testclient",
        "werkzeug",
        "sojourn.testing",
        # command lines, and tools of developers
        "curl",
        "libcurl",
        "wget",
        "wget2",
        "httpie",
        "xh",
        "postmanruntime",
        "insomnia",
        "bruno-runtime",
        "apachebench",
        "k6",
        # other languages
        "axios",
        "node",
        "node-fetch",
        "node-superagent",
        "undici",
        "got",
        "bun",
        "deno",
        "okhttp",
        "java",
        "java-http-client",
        "apache-httpclient",
        "apache-httpasyncclient",
        "go-http-client",
        "go-resty",
        "fasthttp",
        "guzzlehttp",
        "symfony",
        "faraday",
        "http.rb",
        "rest-client",
        "typhoeus",
        "ruby",
        "libwww-perl",
        "lwp",
        "reqwest",
        "hyper",
        "ureq",
        "restsharp",
        "dart",
        # what apps on phones fetch with
        "dalvik",
    }
)
_CLIENTS: Final = ("cfnetwork/", "powershell/", "okhttp/", "httpclient")

_LOOKALIKES: Final = ("cubot",)
"""Words of people's browsers that end like a bot's: Cubot makes phones."""

_PEOPLE: Final = (
    "amazon cloudfront",  # replaces everybody's user agent unless told to forward it
    "midp",
    "blackberry",
    "nokia",
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
"""Browsers with none of the words that the library knows browsers by. It would call them bots."""

_kinds: Bounded[str, Kind] = Bounded(_REMEMBERED)


def kind_of(user_agent: str) -> Kind:
    """The kind of client, as it declares itself. Remembered; never raises; looks at 512 characters at most."""
    looked_at = user_agent[:_LONGEST]
    kind = _kinds.get(looked_at)
    if kind is None:
        kind = _kinds[looked_at] = _first_sight(looked_at.strip().lower())
    return kind


def _first_sight(low: str) -> Kind:
    if not low:
        return Kind.HTTP_CLIENT  # it declares nothing; test clients and scripts ask without one
    for kind, names in _NAMES:
        for name in names:
            if name in low:
                return kind
    product = low.partition("/")[0].partition(" ")[0]
    if product in _PREVIEWS_BY_PRODUCT:
        return Kind.LINK_PREVIEW
    if product in _CLIENTS_BY_PRODUCT and "bot" not in low:
        return Kind.HTTP_CLIENT
    if low.count("fetch") > _MOST_FETCHES:
        return Kind.CRAWLER
    return _by_library(low)


def _by_library(low: str) -> Kind:
    # Here and not above: the first look loads it, `import sojourn` does not.
    from is_crawler import crawler_contact, crawler_signals, crawler_url, is_crawler

    if is_crawler.cache_info().currsize >= _REMEMBERED:
        # Its own caches hold 32,768 texts each: tens of megabytes for a client that never repeats itself.
        for cached in (is_crawler, crawler_signals, crawler_url, crawler_contact):
            cached.cache_clear()
    undressed = low
    for name in _LOOKALIKES:
        undressed = undressed.replace(name, "")
    is_headless = False
    for name in _HEADLESS:
        if name in undressed:
            # The name alone would make it a bot: does it declare anything else?
            undressed, is_headless = undressed.replace(name, ""), True
    has_browser_words = not is_crawler(undressed)
    if not has_browser_words and any(signal != "no_browser_signature" for signal in crawler_signals(undressed)):
        return Kind.CRAWLER
    if is_headless:
        return Kind.HEADLESS
    if any(name in low for name in _CLIENTS):
        return Kind.HTTP_CLIENT
    if has_browser_words or any(name in low for name in _PEOPLE):
        return Kind.PERSON
    # A program, and no library that anybody knows. An address to read about it is what crawlers give.
    return Kind.CRAWLER if "://" in low else Kind.HTTP_CLIENT
