"""How the cookie is named and guarded: the `Set-Cookie` line. Pure.

See S11 in docs/internals.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sojourn.core.session import SessionState


@dataclass(frozen=True, slots=True, kw_only=True)
class CookiePolicy:
    """How the cookie is named and guarded.

    The `__Host-` prefix (RFC 6265bis, section 4.1.3.2) binds it to this host, the path `/` and https.
    """

    base_name: str = "sojourn"
    path: str = "/"
    domain: str | None = None
    samesite: str = "lax"
    secure: bool | None = None
    """`None`: as the request came, `Secure` on https only."""
    max_age: int = 395 * 86_400
    is_persistent: bool = True
    is_partitioned: bool = False
    """Kept apart by the site that embeds the page (CHIPS); only secure cookies are."""

    def name(self, *, is_https: bool) -> bytes:
        """The one name that is read and written for such a request."""
        return self._name(is_secure=self._is_secure(is_https=is_https)).encode("ascii")

    def line(self, value: str, state: SessionState, now: int, *, is_https: bool) -> str:
        """The `Set-Cookie` line. Its age counts from the visitor's first session: writing it again does not prolong it."""
        left = self.max_age - max(0, now - state.visitor_since) // 1000
        return self._line(value, max(left, 0) if self.is_persistent else None, is_https=is_https)

    def opt_out_line(self, value: str, *, is_https: bool) -> str:
        """The `Set-Cookie` line of an opt-out, which persists even with `visitor_cookie="session"`."""
        return self._line(value, self.max_age, is_https=is_https)

    def removal(self, *, is_https: bool) -> str:
        """The `Set-Cookie` line that makes the browser drop the cookie."""
        return self._line("", 0, is_https=is_https)

    def removals(self, domains: Sequence[str], *, is_https: bool) -> list[str]:
        """The lines that remove every copy: for this host alone, and for each of these domains."""
        is_secure = self._is_secure(is_https=is_https)
        name = self._name(is_secure=is_secure)
        if name.startswith("__Host-"):  # there is no other copy that a browser would have taken
            domains = ()
        paths = dict.fromkeys(("/", self.path))
        return [
            self._placed(name, "", 0, path=path, domain=domain, is_secure=is_secure)
            for path in paths
            for domain in (None, *domains)
        ]

    def has_expired(self, state: SessionState, now: int) -> bool:
        """Whether the browser should have forgotten this visitor by now."""
        return now - state.visitor_since >= self.max_age * 1000

    def _line(self, value: str, max_age: int | None, *, is_https: bool) -> str:
        is_secure = self._is_secure(is_https=is_https)
        name = self._name(is_secure=is_secure)
        return self._placed(name, value, max_age, path=self.path, domain=self.domain, is_secure=is_secure)

    def _placed(
        self, name: str, value: str, max_age: int | None, *, path: str, domain: str | None, is_secure: bool
    ) -> str:
        return set_cookie(
            name,
            value,
            path=path,
            samesite=self.samesite,
            is_secure=is_secure,
            domain=domain,
            max_age=max_age,
            is_partitioned=self.is_partitioned,
        )

    def _is_secure(self, *, is_https: bool) -> bool:
        return is_https if self.secure is None else self.secure

    def _name(self, *, is_secure: bool) -> str:
        is_host_only = self.domain is None and self.path == "/"
        return f"__Host-{self.base_name}" if is_secure and is_host_only else self.base_name


def set_cookie(
    name: str,
    value: str,
    *,
    path: str,
    samesite: str,
    is_secure: bool,
    domain: str | None = None,
    max_age: int | None = None,
    is_partitioned: bool = False,
) -> str:
    """A `Set-Cookie` line (RFC 6265). `max_age` in seconds; `None` makes it end with the browser."""
    parts = [f"{name}={value}"]
    if max_age is not None:
        parts.append(f"Max-Age={max_age}")
    if domain:
        parts.append(f"Domain={domain}")
    parts.append(f"Path={path}; HttpOnly; SameSite={samesite.capitalize()}")
    if is_secure:
        parts.append("Secure; Partitioned" if is_partitioned else "Secure")
    return "; ".join(parts)
