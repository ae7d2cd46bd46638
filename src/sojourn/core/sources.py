"""Where a session came from, in one word: its source and its channel. Pure.

`Direct` is a source and a channel like any other, so shares add up to all sessions. A page of the site itself is never a
source: a session that a click within the site began has come from nowhere new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from .events import INTERNAL_REFERRER, Scalar

WITHIN_SITE: Final = "(within the site)"
"""The referrer of a session that a click inside the site began. No URL, so it can be no visitor's."""
DIRECT: Final = "Direct"

_SEARCH: Final = "Search"
_SOCIAL: Final = "Social"
_EMAIL: Final = "Email"
_ASSISTANT: Final = "AI assistants"
REFERRAL: Final = "Referral"
_PAID: Final = {_SEARCH: "Paid search", _SOCIAL: "Paid social"}
_ORGANIC: Final = {_SEARCH: "Organic search", _SOCIAL: "Organic social"}
CHANNELS: Final = (
    DIRECT,
    *_ORGANIC.values(),
    *_PAID.values(),
    "Paid other",
    _EMAIL,
    "Affiliates",
    _ASSISTANT,
    "Campaign",
    REFERRAL,
    WITHIN_SITE,
)

_NAMES: Final = {
    _SEARCH: """google bing duckduckgo yahoo ecosia qwant startpage yandex baidu naver brave seznam kagi ask aol swisscows
        metager mojeek presearch""",
    _SOCIAL: """facebook instagram linkedin twitter x reddit pinterest tiktok youtube threads bluesky mastodon whatsapp
        telegram snapchat quora vk discord tumblr xing weibo ycombinator lobste""",
    _EMAIL: "gmail outlook mail newsletter mailchimp protonmail",
    _ASSISTANT: "chatgpt openai perplexity claude gemini copilot deepseek mistral phind",
}
_KINDS: Final = {name: kind for kind, names in _NAMES.items() for name in names.split()}
"""By the registered name: `google` is any of google.com, www.google.de and news.google.co.uk."""

_COM: Final = "google bing yahoo duckduckgo facebook instagram linkedin reddit pinterest tiktok youtube x"
_SITES: Final = {
    **{name: f"{name}.com" for name in _COM.split()},
    "twitter": "x.com",
    "fb": "facebook.com",
    "ig": "instagram.com",
}
"""What campaigns call a site, so that it is one source with and without a campaign."""

# Hosts that are another name for a source, or a part of a larger one that is a source by itself.
_HOSTS: Final = {
    "t.co": "x.com",
    "twitter.com": "x.com",
    "lnkd.in": "linkedin.com",
    "l.facebook.com": "facebook.com",
    "lm.facebook.com": "facebook.com",
    "m.facebook.com": "facebook.com",
    "fb.com": "facebook.com",
    "l.instagram.com": "instagram.com",
    "out.reddit.com": "reddit.com",
    "old.reddit.com": "reddit.com",
    "youtu.be": "youtube.com",
    "m.youtube.com": "youtube.com",
    "wa.me": "whatsapp.com",
    "t.me": "telegram.org",
    "bsky.app": "bluesky",
    "go.bsky.app": "bluesky",
    "chat.openai.com": "chatgpt.com",
    "html.duckduckgo.com": "duckduckgo.com",
    "lite.duckduckgo.com": "duckduckgo.com",
    "search.yahoo.com": "yahoo.com",
    "cn.bing.com": "bing.com",
    "search.brave.com": "brave.com",
}
# Android's `android-app://` referrers have an app's id in place of a host.
_APPS: Final = {
    "com.google.android.googlequicksearchbox": "google.com",
    "com.google.android.gm": "gmail.com",
    "com.google.android.youtube": "youtube.com",
    "com.facebook.katana": "facebook.com",
    "com.facebook.lite": "facebook.com",
    "com.instagram.android": "instagram.com",
    "com.linkedin.android": "linkedin.com",
    "com.twitter.android": "x.com",
    "com.reddit.frontpage": "reddit.com",
    "com.pinterest": "pinterest.com",
    "com.slack": "slack.com",
    "org.telegram.messenger": "telegram.org",
    "com.duckduckgo.mobile.android": "duckduckgo.com",
    "com.microsoft.office.outlook": "outlook.com",
}
_HOST_KINDS: Final = {
    "gemini.google.com": _ASSISTANT,
    "copilot.microsoft.com": _ASSISTANT,
    "bard.google.com": _ASSISTANT,
    "mail.google.com": _EMAIL,
    "outlook.live.com": _EMAIL,
    "outlook.office.com": _EMAIL,
    "mail.yahoo.com": _EMAIL,
    "news.ycombinator.com": _SOCIAL,
    "lobste.rs": _SOCIAL,
}
_OWN_SOURCES: Final = ("gemini", "copilot", "bard", "mail", "outlook", "news")
"""Hosts of a search engine or a portal that are no search: they stay a source of their own."""
_COUNTRY_DOMAIN: Final = re.compile(r"(?:^|\.)(google|bing|yahoo|yandex|amazon|ebay)\.(?:com?\.)?[a-z]{2,3}$")
_PAID_MEDIUM: Final = re.compile(r"cpc|ppc|cpm|cpv|cpa|paid|ads?$|display|banner|retarget")
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Origin:
    """The source and the channel of a session."""

    source: str
    channel: str


def source_of(origin: Mapping[str, Scalar]) -> str:
    """Return the campaign's `utm_source`, else the referring site, else `Direct`."""
    return _of(origin).source


def channel_of(origin: Mapping[str, Scalar]) -> str:
    """Return the kind of source, from the campaign's medium and the site: one of `CHANNELS`."""
    return _of(origin).channel


def parameter_of(origin: Mapping[str, Scalar], name: str) -> str | None:
    """Return a parameter of the first page's address, such as `utm_campaign`."""
    query = origin.get("url.query")
    if not isinstance(query, str) or name not in query:
        return None
    return next((value for key, value in parse_qsl(query) if key == name), None)


def _of(origin: Mapping[str, Scalar]) -> Origin:
    referrer, query = origin.get("http.request.header.referer"), origin.get("url.query")
    return _named(
        referrer if isinstance(referrer, str) else "",
        query if isinstance(query, str) else "",
        origin.get(INTERNAL_REFERRER) is True,
    )


@lru_cache(maxsize=4096)
def _named(referrer: str, query: str, is_internal: bool) -> Origin:  # noqa: FBT001 - a key of the cache
    site = "" if is_internal else _site(referrer)
    values = dict(reversed(parse_qsl(query))) if "utm_" in query else {}
    tag, medium = (values.get(name, "").strip().lower()[:_LONGEST] for name in ("utm_source", "utm_medium"))
    if tag or medium or values.get("utm_campaign"):
        source = _SITES.get(tag) or _HOSTS.get(tag, tag) or site or DIRECT
        return Origin(source, _campaign_channel(medium, _kind(tag or site)))
    if is_internal:
        return Origin(WITHIN_SITE, WITHIN_SITE)
    if not site:
        return Origin(DIRECT, DIRECT)
    kind = _kind(site)
    return Origin(site, _ORGANIC.get(kind, kind) or REFERRAL)


def _site(referrer: str) -> str:
    """Return the host without `www.`, or what it is another name of; empty if the text is no URL with a host."""
    try:
        parts = urlsplit(referrer)
        host = (parts.hostname or "").rstrip(".").removeprefix("www.")
    except ValueError:
        return ""
    if parts.scheme in {"android-app", "ios-app"}:
        return _APPS.get(host, host)
    if host in _HOSTS:
        return _HOSTS[host]
    country = _COUNTRY_DOMAIN.search(host)
    if country and not host.startswith(tuple(f"{name}." for name in _OWN_SOURCES)):
        return f"{country[1]}.com"
    return host


def _kind(name: str) -> str:
    if name in _HOST_KINDS:
        return _HOST_KINDS[name]
    parts = name.split(".")
    registered = parts[0] if len(parts) < 3 else parts[-2] if len(parts[-2]) > 3 else parts[-3]
    return _KINDS.get(registered, "")


def _campaign_channel(medium: str, kind: str) -> str:
    if medium in {"email", "e-mail", "newsletter", "mail"} or (not medium and kind == _EMAIL):
        return _EMAIL
    if medium in {"affiliate", "affiliates"}:
        return "Affiliates"
    if _PAID_MEDIUM.search(medium):
        return _PAID.get(kind, "Paid other")
    if medium in {"social", "social-media", "sm"}:
        return _ORGANIC[_SOCIAL]
    if medium in {"organic", "referral", ""}:
        return _ORGANIC.get(kind, kind) or ("Campaign" if medium != "referral" else REFERRAL)
    return "Campaign"
