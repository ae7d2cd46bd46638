"""The families of a `User-Agent`: its browser, system and device, as shown in tables and charts of the report.

Browsers also name their predecessors (Edge names Chrome, Chrome names Safari), so the order of the tables decides. A text
without any name from the tables is `Other`. Which clients count as bots is decided in `kinds`, not here. Pure, apart from
the cache of results; imports nothing but the core, because the stores use it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sojourn.core.bounded import Bounded

_MAX_LENGTH: Final = 512
"""Characters that are read."""
_CACHE_SIZE: Final = 4096

OTHER: Final = "Other"

DESKTOP: Final = "desktop"
PHONE: Final = "phone"
TABLET: Final = "tablet"
TV: Final = "tv"
BOT: Final = "bot"
PROGRAM: Final = "program"


class Client(NamedTuple):
    """The three families. All are `None` if the client sent no user agent."""

    browser: str | None
    system: str | None
    device: str | None


UNKNOWN_CLIENT: Final = Client(None, None, None)

# In lower case, anywhere in the text. The first match wins.
_BROWSERS: Final = (
    ("edg/", "Edge"),
    ("edga/", "Edge"),
    ("edgios/", "Edge"),
    ("edge/", "Edge"),
    ("opr/", "Opera"),
    ("opera", "Opera"),
    ("opt/", "Opera"),
    ("samsungbrowser/", "Samsung Internet"),
    ("vivaldi/", "Vivaldi"),
    ("yabrowser/", "Yandex Browser"),
    ("ucbrowser/", "UC Browser"),
    ("miuibrowser/", "Mi Browser"),
    ("huaweibrowser/", "Huawei Browser"),
    ("duckduckgo/", "DuckDuckGo"),
    ("ddg/", "DuckDuckGo"),
    ("brave/", "Brave"),
    ("silk/", "Silk"),
    ("whale/", "Whale"),
    ("fbav/", "Facebook"),
    ("fban/", "Facebook"),
    ("instagram", "Instagram"),
    ("focus/", "Firefox"),
    ("fxios/", "Firefox"),
    ("firefox/", "Firefox"),
    ("headlesschrome/", "Headless Chrome"),
    ("crios/", "Chrome"),
    ("gsa/", "Google app"),
    ("; wv)", "Android WebView"),
    ("chromium/", "Chrome"),
    ("chrome/", "Chrome"),
    ("trident/", "Internet Explorer"),
    ("msie ", "Internet Explorer"),
    ("safari/", "Safari"),
    ("applewebkit/", "WebKit"),
)
_PROGRAMS: Final = (
    ("curl/", "curl"),
    ("wget/", "Wget"),
    ("httpie/", "HTTPie"),
    ("postmanruntime/", "Postman"),
    ("python", "Python"),
    ("aiohttp/", "Python"),
    ("okhttp/", "OkHttp"),
    ("go-http-client", "Go"),
    ("java/", "Java"),
    ("node", "Node.js"),
    ("axios/", "Node.js"),
    ("testclient", "test client"),
    ("werkzeug/", "test client"),
)
_BOTS: Final = ("bot", "crawl", "spider", "slurp", "preview", "monitor")
_SYSTEMS: Final = (
    ("windows phone", "Windows Phone"),
    ("windows", "Windows"),
    ("android", "Android"),
    ("ipad", "iPadOS"),
    ("iphone", "iOS"),
    ("ipod", "iOS"),
    ("cros ", "ChromeOS"),
    ("mac os x", "macOS"),
    ("macintosh", "macOS"),
    ("tizen", "Tizen"),
    ("web0s", "webOS"),
    ("webos", "webOS"),
    ("freebsd", "BSD"),
    ("openbsd", "BSD"),
    ("linux", "Linux"),
    ("x11", "Linux"),
)
_TVS: Final = ("smart-tv", "smarttv", "googletv", "appletv", "hbbtv", "netcast", "web0s", "roku", "; aft", "bravia")
_TABLETS: Final = ("ipad", "tablet", "kindle", "silk/", "playbook")

_clients: Bounded[str, Client] = Bounded(_CACHE_SIZE)


def client_of(user_agent: str | None) -> Client:
    """Return the families of `user_agent`. Cached; reads at most 512 characters; never raises."""
    if not user_agent or user_agent.isspace():
        return UNKNOWN_CLIENT
    head = user_agent[:_MAX_LENGTH]
    client = _clients.get(head)
    if client is None:
        client = _clients[head] = _parse(head.lower())
    return client


def _parse(text: str) -> Client:
    system = _first_match(text, _SYSTEMS)
    browser = _first_match(text, _BROWSERS)
    if any(name in text for name in _BOTS):
        return Client(browser or OTHER, system or OTHER, BOT)
    if browser is None:
        program = _first_match(text, _PROGRAMS)
        if program is not None or not text.startswith("mozilla/"):
            return Client(program or OTHER, system or OTHER, PROGRAM)
    return Client(browser or OTHER, system or OTHER, _device(text, system))


def _device(text: str, system: str | None) -> str:
    if any(name in text for name in _TVS):
        return TV
    if any(name in text for name in _TABLETS):
        return TABLET
    if system == "Android":  # tablets leave "Mobile" out
        return PHONE if "mobile" in text else TABLET
    return PHONE if system in {"iOS", "Windows Phone"} or "mobi" in text else DESKTOP


def _first_match(text: str, table: tuple[tuple[str, str], ...]) -> str | None:
    return next((family for name, family in table if name in text), None)
