"""Where a visit came from, as analytics vendors name it: the referring domain, and the parameters of advertisers.

The parameters are only in `url.query` if `query_parameters` keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlsplit

UTM: Final = "utm_"
CLICK_IDS: Final = frozenset(
    {
        *("gclid", "gad_source", "gclsrc", "dclid", "gbraid", "wbraid"),  # Google
        *("fbclid", "igshid"),  # Meta
        "msclkid",  # Microsoft
        "twclid",  # X
        "li_fat_id",  # LinkedIn
        "ttclid",  # TikTok
        "rdt_cid",  # Reddit
        "epik",  # Pinterest
        "qclid",  # Quora
        "sccid",  # Snapchat
        "irclid",  # Impact
        "_kx",  # Klaviyo
        "mc_cid",  # Mailchimp
    }
)
"""Ids of a click on an ad, and the like: the names that PostHog's own script lifts."""


@lru_cache(maxsize=1024)
def campaign_parameters(query: str) -> Mapping[str, str]:
    """Return the `utm_*` parameters and click ids of a query, by name. Of a name that is repeated, the first counts."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query):
        if value and (name in CLICK_IDS or name.startswith(UTM)):
            parameters.setdefault(name, value)
    return parameters


@lru_cache(maxsize=1024)
def domain(url: str) -> str:
    """Return the host and port of a URL; empty if it has none or cannot be read."""
    try:
        return urlsplit(url).netloc
    except ValueError:
        return ""
