"""Kinds of clients: a table of real user agents by kind, and hostile texts."""

from __future__ import annotations

import subprocess
import sys

import is_crawler
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.user_agents import kinds
from sojourn.user_agents.kinds import Kind, kind_of

_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_LINUX = f"Mozilla/5.0 (X11; Linux x86_64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36"
_ANDROID = f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {_WEBKIT} Chrome/138.0.0.0 Mobile Safari/537.36"
_IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
_MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"

PEOPLE = {
    "Chrome": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36",
    "Chrome on Android": _ANDROID,
    "Edge": f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {_WEBKIT} Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
    "Firefox": "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Safari": f"{_MAC} Version/17.5 Safari/605.1.15",
    "Safari on iPhone": f"{_IPHONE} Version/17.5 Mobile/15E148 Safari/604.1",
    "Chrome on iPhone": f"{_IPHONE} CriOS/138.0.7204.119 Mobile/15E148 Safari/604.1",
    "Google's app": f"{_IPHONE} GSA/323.0.647062479 Mobile/15E148 Safari/604.1",
    "Samsung Internet": f"Mozilla/5.0 (Linux; Android 13; SAMSUNG SM-S918B) {_WEBKIT} SamsungBrowser/25.0 "
    "Chrome/121.0.0.0 Mobile Safari/537.36",
    "DuckDuckGo's browser": f"{_MAC} Version/17.5 Safari/605.1.15 Ddg/17.5",
    "Yandex Browser": f"{_LINUX} YaBrowser/24.1.0.0",
    "Instagram": f"{_IPHONE} Mobile/21F90 Instagram 334.0.4.32.98 (iPhone14,5; iOS 17_5_1; de_DE; de; scale=3.00; "
    "1170x2532; 603150268)",
    "Facebook": f"{_IPHONE} Mobile/21F90 [FBAN/FBIOS;FBAV/467.0.0.40.106;FBBV/605109999;FBDV/iPhone14,5;FBMD/iPhone;"
    "FBSN/iOS;FBSV/17.5.1;FBSS/3;FBID/phone;FBLC/fr_FR;FBOP/5]",
    "Facebook on Android": f"{_ANDROID} [FB_IAB/FB4A;FBAV/467.0.0.40.106;]",
    "Twitter's app": f"{_IPHONE} Mobile/21F90 Twitter for iPhone/10.45",
    "LinkedIn's app": f"{_IPHONE} Mobile/21F90 [LinkedInApp]/9.29.1",
    "Pinterest's app": f"{_IPHONE} Mobile/21F90 [Pinterest/iOS]",
    "Slack's app": f"{_LINUX} Slack_SSB/4.38.0",
    "an Electron app": f"{_LINUX.replace('Chrome', 'Teams/1.6 Chrome')} Electron/29.4.0",
    "a phone called Cubot": f"Mozilla/5.0 (Linux; Android 11; Cubot) {_WEBKIT} Chrome/120.0 Mobile Safari/537.36",
    "Internet Explorer 6": "Mozilla/4.0 (compatible; MSIE 6.0; Windows NT 5.1; SV1; .NET CLR 1.1.4322)",
    "Internet Explorer 11": "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Netscape": "Mozilla/4.79 [en] (Windows NT 5.0; U)",
    "Opera": "Opera/9.80 (Windows NT 6.1; U; en) Presto/2.10.289 Version/12.02",
    "Opera Mini": "Opera/9.80 (J2ME/MIDP; Opera Mini/6.5.27510/34.1624; U; en) Presto/2.8.119 Version/11.10",
    "Konqueror": "Mozilla/5.0 (compatible; Konqueror/4.5; Linux; X11; en_US) KHTML/4.5.4 (like Gecko)",
    "Lynx": "Lynx/2.8.9rel.1 libwww-FM/2.14 SSL-MM/1.4.1 OpenSSL/1.1.1d",
    "w3m": "w3m/0.5.3+git20210102",
    "a BlackBerry": "BlackBerry8520/5.0.0.681 Profile/MIDP-2.1 Configuration/CLDC-1.1 VendorID/600",
    "a Samsung television": "Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) AppleWebKit/537.36 (KHTML, like Gecko) "
    "94.0.4606.31/7.0 TV Safari/537.36",
    "an LG television": "Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/94.0.4606.128 Safari/537.36 WebAppManager",
    "a Roku": "Roku/DVP-12.5 (12.5.0.4178-88)",
    "a PlayStation": "Mozilla/5.0 (PlayStation; PlayStation 5/2.26) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/13.0 Safari/605.1.15",
    "visitors behind a CDN that replaces the user agent": "Amazon CloudFront",
}

HTTP_CLIENTS = {
    "curl": "curl/8.7.1",
    "Wget": "Wget/1.21.4",
    "HTTPie": "HTTPie/3.2.3",
    "requests": "python-requests/2.32.3",
    "httpx": "python-httpx/0.28.1",
    "aiohttp": "Python/3.12 aiohttp/3.9.5",
    "urllib": "Python-urllib/3.11",
    "Starlette's test client": "testclient",
    "Flask's test client": "Werkzeug/3.1.9",
    "a fake visit of sojourn.testing": "sojourn.testing",
    "okhttp": "okhttp/4.12.0",
    "Go": "Go-http-client/1.1",
    "axios": "axios/1.7.2",
    "node-fetch, with its URL": "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
    "undici": "undici",
    "Apache's client": "Apache-HttpClient/4.5.14 (Java/17.0.11)",
    "Java": "Java/17.0.11",
    "Guzzle": "GuzzleHttp/7",
    "Postman": "PostmanRuntime/7.39.0",
    "PowerShell": "Mozilla/5.0 (Windows NT; Windows NT 10.0; en-US) WindowsPowerShell/5.1.22621.2506",
    "an iPhone app's own requests": "Shop/7.1.2 CFNetwork/1496.0.7 Darwin/23.5.0",
    "an Android app's own requests": "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/AP1A.240505.005)",
    "an unknown program": "inventory-sync/2.4",
}

HEADLESS = {
    "headless Chrome": _LINUX.replace("Chrome", "HeadlessChrome"),
    "Playwright": "Playwright/1.44.0 (x64; ubuntu 22.04) node/20.12",
    "PhantomJS": "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) PhantomJS/2.1.1 Safari/538.1",
    "Cypress": f"{_LINUX} Cypress/13.8.1 Electron/27.1.3",
    "Selenium": f"{_LINUX}; Selenium",
    "jsdom": "Mozilla/5.0 (linux) AppleWebKit/537.36 (KHTML, like Gecko) jsdom/24.0.0",
}

CRAWLERS = {
    "Google": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Google as a phone": f"{_ANDROID} (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "GoogleOther": "GoogleOther",
    "Bing": f"Mozilla/5.0 {_WEBKIT.replace(')', '; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)')} "
    "Chrome/116.0.1938.76 Safari/537.36",
    "Yahoo": "Mozilla/5.0 (compatible; Yahoo! Slurp; http://help.yahoo.com/help/us/ysearch/slurp)",
    "Baidu": "Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)",
    "Yandex": "Mozilla/5.0 (compatible; YandexBot/3.0; +http://yandex.com/bots)",
    "DuckDuckGo": "DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)",
    "Apple": f"{_MAC} Version/17.4 Safari/605.1.15 (Applebot/0.1; +http://www.apple.com/go/applebot)",
    "Amazon": f"Mozilla/5.0 {_WEBKIT.replace(')', '; compatible; Amazonbot/0.1; +https://developer.amazon.com/x)')} "
    "Chrome/119.0.6045.214 Safari/537.36",
    "OpenAI": f"Mozilla/5.0 {_WEBKIT}; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    "OpenAI, for a user": f"Mozilla/5.0 {_WEBKIT}; compatible; ChatGPT-User/1.0; +https://openai.com/bot",
    "Anthropic": f"Mozilla/5.0 {_WEBKIT}; compatible; ClaudeBot/1.0; +claudebot@anthropic.com)",
    "Perplexity": f"Mozilla/5.0 {_WEBKIT}; compatible; PerplexityBot/1.0; +https://perplexity.ai/perplexitybot)",
    "Common Crawl": "CCBot/2.0 (https://commoncrawl.org/faq/)",
    "ByteDance": f"Mozilla/5.0 (Linux; Android 5.0) {_WEBKIT} Mobile Safari/537.36 (compatible; Bytespider; "
    "spider-feedback@bytedance.com)",
    "Meta's AI": "meta-externalagent/1.1 (+https://developers.facebook.com/docs/sharing/webmasters/crawler)",
    "Ahrefs": "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Scrapy": "Scrapy/2.11.2 (+https://scrapy.org)",
    "a scanner": "Mozilla/5.0 zgrab/0.x",
    "headless Chrome with a bot's URL": f"{_LINUX.replace('Chrome', 'HeadlessChrome')} (+https://example.com/bot)",
    "an HTTP library with a bot's name": "python-requests/2.32.3 ExampleBot/1.0",
    "a program with a URL": "FeedBurner/1.0 (http://www.FeedBurner.com)",
}

MONITORS = {
    "UptimeRobot": "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    "Pingdom": "Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    "Pingdom, with a browser": f"{_LINUX.replace('Chrome', 'HeadlessChrome')} PingdomTMS/0.8.5",
    "StatusCake": f"{_LINUX} StatusCake_Pagespeed_Indev",
    "Site24x7": "Site24x7",
    "Better Uptime": f"{_MAC} Version/14.0 Safari/605.1.15 Better Uptime Bot",
    "Datadog, with a browser": f"{_LINUX} DatadogSynthetics",
    "Datadog": "Datadog/Synthetics",
    "New Relic": f"{_LINUX} NewRelicSynthetics/1.0",
    "Checkly": f"{_LINUX} (Checkly, https://www.checklyhq.com)",
    "Nagios": "check_http/v2.3.3 (monitoring-plugins 2.3.3)",
    "WebPageTest": f"{_LINUX} PTST/240512.192131",
    "Lighthouse": f"{_LINUX} Chrome-Lighthouse",
}

LINK_PREVIEWS = {
    "Facebook": "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    "Twitter": "Twitterbot/1.0",
    "Slack": "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
    "Slack, for images": "Slack-ImgProxy (+https://api.slack.com/robots)",
    "WhatsApp": "WhatsApp/2.23.20.0 A",
    "Discord": "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)",
    "Telegram": "TelegramBot (like TwitterBot)",
    "LinkedIn, with an HTTP library": "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient "
    "+http://www.linkedin.com)",
    "iMessage": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 "
    "Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    "Skype and Teams": "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
    "Mastodon": "Mastodon/4.2.9 (http.rb/5.1.1; +https://mastodon.example/)",
    "Gmail, for images": "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
}

PROBES = {
    "Kubernetes": "kube-probe/1.30",
    "AWS load balancer": "ELB-HealthChecker/2.0",
    "AWS Route 53": "Amazon-Route53-Health-Check-Service (ref 6a9d; report http://amzn.to/1vsZADi)",
    "Google Cloud": "GoogleHC/1.0",
    "Consul": "Consul Health Check",
    "Prometheus' blackbox": "Blackbox Exporter/0.25.0",
    "HAProxy": "HAProxy/2.9",
    "Envoy": "Envoy/HC",
    "Cloudflare": "Mozilla/5.0 (compatible; Cloudflare-Healthchecks/1.0; +https://www.cloudflare.com/; healthcheck-id: 1)",
    "Azure": "AlwaysOn",
}

TABLE = [
    pytest.param(text, kind, id=f"{kind}: {name}")
    for kind, texts in (
        (Kind.PERSON, PEOPLE),
        (Kind.HTTP_CLIENT, HTTP_CLIENTS),
        (Kind.HEADLESS, HEADLESS),
        (Kind.CRAWLER, CRAWLERS),
        (Kind.MONITOR, MONITORS),
        (Kind.LINK_PREVIEW, LINK_PREVIEWS),
        (Kind.PROBE, PROBES),
    )
    for name, text in texts.items()
]


@pytest.mark.parametrize(("user_agent", "kind"), TABLE)
def test_kind_of_user_agent(user_agent: str, kind: Kind) -> None:
    assert kind_of(user_agent) is kind
    assert kind_of(user_agent) is kind, "from the cache"
    assert kind_of(user_agent.upper()) is kind, "in upper case"


def test_bots_and_programs() -> None:
    assert {kind for kind in Kind if kind.is_bot} == {Kind.CRAWLER, Kind.MONITOR, Kind.LINK_PREVIEW, Kind.PROBE}
    assert {kind for kind in Kind if kind.is_program} == {Kind.HTTP_CLIENT, Kind.HEADLESS}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param("A" * 5_000_000, Kind.HTTP_CLIENT, id="megabytes"),
        pytest.param(_LINUX + " " * 5_000_000 + "Googlebot", Kind.PERSON, id="a bot after megabytes"),
        pytest.param("\x00\x1b[31m\r\nSet-Cookie: a=b", Kind.HTTP_CLIENT, id="control characters"),
        pytest.param("\ud800\udfff", Kind.HTTP_CLIENT, id="lone surrogates"),
        pytest.param("Mozilla/5.0 " + "((((a+)+)+)+)+$" * 40, Kind.PERSON, id="a regex bomb"),
        pytest.param(
            "Mozilla/5.0 " + "fetch" * 90 + "api", Kind.CRAWLER, id="a text that the library would scan repeatedly"
        ),
        pytest.param("@a.b" * 128, Kind.CRAWLER, id="a text full of addresses"),
        pytest.param("Mozilla/5.0 " + "botx" * 125, Kind.CRAWLER, id="a text full of almost bots"),
        pytest.param("\u0130" * 1000, Kind.HTTP_CLIENT, id="letters that grow in lower case"),
        pytest.param("\u0430\u0441\u0443rl/8.0", Kind.HTTP_CLIENT, id="look-alike letters"),
    ],
)
def test_kind_of_hostile_text(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind


class _SliceOnly(str):
    """A text that records its slices and fails the test when it is read in any other way."""

    __slots__ = ("slices",)

    slices: list[object]

    def __getitem__(self, part: object) -> str:
        assert isinstance(part, slice)
        self.slices.append(part)
        return str.__str__(self)[part]

    def _refuse(self, *_: object) -> str:
        pytest.fail("the whole text was read")

    lower = strip = casefold = partition = replace = encode = __str__ = _refuse  # type: ignore[assignment]


def test_only_the_first_512_characters_are_read() -> None:
    text = str.__new__(_SliceOnly, "x" * 100_000)
    text.slices = []
    assert kind_of(text) is Kind.HTTP_CLIENT
    assert text.slices == [slice(None, 512)]


_PIECES = st.sampled_from(
    (
        *(
            "Mozilla/5.0 ",
            "(compatible; ",
            ")",
            "bot",
            "fetch",
            "api",
            "@",
            "a.b",
            "+http://",
            "by ",
            "-agent",
            ";",
            " ",
        ),
        *("headless", "cubot", "curl/8", "WhatsApp", "KHTML", "uptime", "opera ", "\x00", "\u0130", "\ud800"),
    )
)
_TEXTS = st.one_of(st.text(st.characters(), max_size=700), st.lists(_PIECES, max_size=120).map("".join))


@given(text=_TEXTS)
def test_kind_is_the_same_without_the_cache(text: str) -> None:
    first = kind_of(text)
    assert isinstance(first, Kind)
    kinds._kinds.clear()
    assert kind_of(text) is first


@given(text=_TEXTS, tail=st.text(max_size=50))
def test_text_after_the_limit_changes_nothing(text: str, tail: str) -> None:
    full = (text + "x" * 512)[:512]
    assert kind_of(full + tail) is kind_of(full)


def test_caches_are_bounded() -> None:
    libraries = (
        is_crawler.is_crawler,
        is_crawler.crawler_signals,
        is_crawler.crawler_url,
        is_crawler.crawler_contact,
    )
    for number in range(6_000):
        kind_of(f"Mozilla/5.0 (X11; http://x/{number}; a@b.example)")
    assert 0 < len(kinds._kinds) <= 2 * 1024
    assert all(library.cache_info().currsize <= 1024 for library in libraries)


def test_library_is_loaded_by_the_first_call() -> None:
    program = (
        "import sys, sojourn; from sojourn.user_agents.kinds import kind_of\n"
        "assert 'is_crawler' not in sys.modules\n"
        "kind_of('Mozilla/5.0')\n"
        "assert 'is_crawler' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
