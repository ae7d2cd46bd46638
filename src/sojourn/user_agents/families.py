"""What a `User-Agent` says of browser, system and device, in families: enough for a table and a chart.

Browsers name their ancestors, so the order decides: Edge calls itself Chrome, and Chrome Safari. A text that names
nothing that stands here is `Other`. Whether somebody is a bot is not decided here. Pure, but for its memory.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from sojourn.core.bounded import Bounded

_LONGEST: Final = 512
_REMEMBERED: Final = 4096

OTHER: Final = "Other"

DESKTOP: Final = "desktop"
PHONE: Final = "phone"
TABLET: Final = "tablet"
TV: Final = "tv"
BOT: Final = "bot"
PROGRAM: Final = "program"


class Client(NamedTuple):
    """The families; `None` where there was no user agent to read."""

    browser: str | None
    system: str | None
    device: str | None


UNKNOWN_CLIENT: Final = Client(None, None, None)

# In lower case, anywhere in the text; the first that is found counts.
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

_clients: Bounded[str, Client] = Bounded(_REMEMBERED)


def client_of(user_agent: str | None) -> Client:
    """The families of this user agent. Remembered; never raises; looks at 512 characters at most."""
    if not user_agent or user_agent.isspace():
        return UNKNOWN_CLIENT
    looked_at = user_agent[:_LONGEST]
    client = _clients.get(looked_at)
    if client is None:
        client = _clients[looked_at] = _first_sight(looked_at.lower())
    return client


def _first_sight(low: str) -> Client:
    system = _named(low, _SYSTEMS)
    browser = _named(low, _BROWSERS)
    if any(name in low for name in _BOTS):
        return Client(browser or OTHER, system or OTHER, BOT)
    if browser is None:
        program = _named(low, _PROGRAMS)
        if program is not None or not low.startswith("mozilla/"):
            return Client(program or OTHER, system or OTHER, PROGRAM)
    return Client(browser or OTHER, system or OTHER, _device(low, system))


def _device(low: str, system: str | None) -> str:
    if any(name in low for name in _TVS):
        return TV
    if any(name in low for name in _TABLETS):
        return TABLET
    if system == "Android":  # a tablet's browser leaves the word out
        return PHONE if "mobile" in low else TABLET
    return PHONE if system in {"iOS", "Windows Phone"} or "mobi" in low else DESKTOP


def _named(low: str, table: tuple[tuple[str, str], ...]) -> str | None:
    return next((family for name, family in table if name in low), None)
