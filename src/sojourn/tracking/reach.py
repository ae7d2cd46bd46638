"""Whether this browser can keep a cookie of ours, and send it back. Pure.

A session whose cookie is lost on the way would be a new one with every request. What browsers do: RFC 6265bis, sections
5.6 and 5.7; the Fetch standard on credentials; Fetch Metadata for where a request comes from.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from . import admission
from .cookie_policy import CookiePolicy
from .facts import RequestFacts, ResponseFacts

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def keeps(request: RequestFacts, response: ResponseFacts, policy: CookiePolicy, *, has_cookie: bool) -> bool:
    """Whether the browser stores a cookie that this response sets, by everything but caches and redirects.

    `has_cookie`: the request carried a cookie of ours, so it is one that browsers send with it.
    """
    if has_cookie:
        return True
    if admission.is_prefetch(request) or not _is_secure_enough(request, policy):
        return False
    site = request.header("sec-fetch-site")
    mode = request.header("sec-fetch-mode")
    if site == "cross-site" and policy.samesite != "none":
        return mode == "navigate" and request.header("sec-fetch-dest") in {"document", ""}
    if mode == "cors" and site in {"cross-site", "same-site"}:
        return response.header("access-control-allow-credentials") == "true"
    return True


def site_of(request: RequestFacts, policy: CookiePolicy) -> str:
    """The domain that the cookie is for, where this host lies in it; else the host."""
    host, domain = host_of(request), _domain(policy)
    return domain if _covers(domain, host) else host


def leads_out_of_reach(
    request: RequestFacts, response: ResponseFacts, policy: CookiePolicy, *, is_cookieless: bool = False
) -> bool:
    """Whether a redirect goes on with this very site where a cookie that is set now is not sent.

    Another scheme of this host, or a host that is this one's parent or child: the visit begins there. A redirect to
    another site ends it here, so its session stays. Without a cookie only the host counts.
    """
    if response.status not in _REDIRECTS:
        return False
    try:
        target = urlsplit(response.header("location"))
        host = (target.hostname or "").lower()
    except ValueError:
        return False
    own = host_of(request)
    if not host or not own:
        return False
    is_https = target.scheme == "https" if target.scheme else request.is_https
    if host != own:
        is_family = host.endswith(f".{own}") or own.endswith(f".{host}")
        if not is_family:
            return False
        if not _covers(_domain(policy), host):
            return True
    if is_cookieless or is_https == request.is_https:
        return False
    # Over https only one name is read; a `Secure` cookie is not sent over http.
    return request.is_https or policy.name(is_https=True) != policy.name(is_https=False)


def parent_domains(request: RequestFacts) -> list[str]:
    """The host's own name and its parents, down to two labels: where a copy of our cookie may have been set.

    For a public suffix (`co.uk`) browsers ignore the removal, as they would have ignored the cookie.
    """
    host = host_of(request)
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        labels = host.split(".")
        return [".".join(labels[start:]) for start in range(len(labels) - 1)]
    return []


def host_of(request: RequestFacts) -> str:
    """The host that the browser named, in lower case, without its port."""
    try:
        return (urlsplit(f"//{request.header('host')}").hostname or "").lower()
    except ValueError:
        return ""


def _domain(policy: CookiePolicy) -> str:
    return (policy.domain or "").lstrip(".").lower()


def _covers(domain: str, host: str) -> bool:
    return bool(domain) and (host == domain or host.endswith(f".{domain}"))


def _is_secure_enough(request: RequestFacts, policy: CookiePolicy) -> bool:
    """Whether a `Secure` cookie is not lost on plain http.

    With `cookie_secure=True` a proxy may end TLS without a header. Browsers send Fetch Metadata only to trustworthy
    origins, so a request that has some came over https.
    """
    if policy.secure is not True or request.is_https or request.header("sec-fetch-site"):
        return True
    return host_of(request) in {"localhost", "127.0.0.1", "::1"}
