"""What settings must be to each other. A table: the setting that is named, what must hold, and the fix if not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from sojourn.core.properties import MAX_DECLARED

from ._quantities import format_duration
from ._secrets import short_text, too_short

SMALLEST_JOURNAL: Final = 8 * 1024**2
"""Two segments: one in use, one spare."""

LONGEST_COOKIE: Final = timedelta(days=400)
"""Where browsers cap a cookie's age; a longer one would promise what they do not keep."""


class Values(Protocol):
    """The settings that the rules compare."""

    @property
    def enabled(self) -> bool: ...
    @property
    def secret_key(self) -> Sequence[bytes]: ...
    @property
    def idle_timeout(self) -> timedelta: ...
    @property
    def max_duration(self) -> timedelta | None: ...
    @property
    def manual_max_silence(self) -> timedelta | None: ...
    @property
    def retention(self) -> timedelta: ...
    @property
    def journal_max_age(self) -> timedelta: ...
    @property
    def journal_limit(self) -> int: ...
    @property
    def outbox_max(self) -> int | None: ...
    @property
    def cookie_max_age(self) -> timedelta: ...
    @property
    def cookie_samesite(self) -> str: ...
    @property
    def cookie_secure(self) -> object: ...
    @property
    def cookie_partitioned(self) -> bool: ...
    @property
    def cookieless(self) -> str: ...
    @property
    def consent_required(self) -> bool: ...
    @property
    def consent(self) -> object: ...
    @property
    def country_header(self) -> str | None: ...
    @property
    def trusted_proxies(self) -> Sequence[object]: ...
    @property
    def hash_user_ids(self) -> bool: ...
    @property
    def user_hash_key(self) -> bytes | None: ...
    @property
    def session_properties(self) -> Mapping[str, object] | None: ...
    @property
    def event_properties(self) -> Mapping[str, object] | None: ...


@dataclass(frozen=True, slots=True)
class Rule:
    name: str
    holds: Callable[[Values], bool]
    fix: Callable[[Values], str]


def _fits(limit: timedelta | None, span: timedelta) -> bool:
    return limit is None or span <= limit


def _is_exceeded(limit: timedelta | None, span: timedelta) -> bool:
    return limit is None or span > limit


def _text(span: timedelta | None) -> str:
    return "none" if span is None else format_duration(span)


RULES: Final = (
    Rule(
        "secret_key",
        lambda s: not (s.enabled and too_short(s.secret_key)),
        lambda s: short_text(s.secret_key),
    ),
    Rule(
        "idle_timeout",
        lambda s: _fits(s.max_duration, s.idle_timeout),
        lambda s: f"it must be at most max_duration, which is {_text(s.max_duration)}; lower it, or raise max_duration",
    ),
    Rule(
        "retention",
        lambda s: _is_exceeded(s.max_duration, s.retention),
        lambda s: f"it must be longer than max_duration, which is {_text(s.max_duration)}; raise it",
    ),
    Rule(
        "retention",
        lambda s: _is_exceeded(s.manual_max_silence, s.retention),
        lambda s: f"it must be longer than manual_max_silence, which is {_text(s.manual_max_silence)}; raise it",
    ),
    Rule(
        "retention",
        lambda s: s.retention > s.idle_timeout,
        lambda s: f"it must be longer than idle_timeout, which is {_text(s.idle_timeout)}; raise it",
    ),
    Rule(
        "journal_max_age",
        lambda s: s.journal_max_age < s.retention,
        lambda s: (
            f"it must be shorter than retention, which is {_text(s.retention)}, or deleted ids come back; lower it"
        ),
    ),
    Rule(
        "journal_limit",
        lambda s: s.journal_limit >= SMALLEST_JOURNAL,
        lambda s: "it must be at least 8MiB, which is one segment in use and one spare",
    ),
    Rule(
        "outbox_max",
        lambda s: s.outbox_max != 0,
        lambda s: "it must be above 0; None sets no bound",
    ),
    Rule(
        "cookie_max_age",
        lambda s: s.cookie_max_age <= LONGEST_COOKIE,
        lambda s: "browsers keep no cookie for longer than 400d; lower it",
    ),
    Rule(
        "cookie_samesite",
        lambda s: s.cookie_samesite != "none" or s.cookie_secure is not False,
        lambda s: (
            'browsers drop such a cookie unless it is secure; set cookie_secure to "auto" or True, or choose "lax"'
        ),
    ),
    Rule(
        "cookie_partitioned",
        lambda s: not s.cookie_partitioned or (s.cookie_samesite == "none" and s.cookie_secure is not False),
        lambda s: 'it is for pages embedded in other sites; set cookie_samesite="none" too, and leave cookie_secure on',
    ),
    Rule(
        "cookieless",
        lambda s: s.cookieless != "until_consent" or s.consent_required or s.consent is not None,
        lambda s: 'nothing would ever set the cookie; set consent_required=True or consent, or choose "always"',
    ),
    Rule(
        "cookieless",
        lambda s: s.cookieless != "always" or not s.consent_required or s.consent is not None,
        lambda s: 'the cookie is what remembers an opt_in(); choose "until_consent", or pass consent',
    ),
    Rule(
        "country_header",
        lambda s: s.country_header is None or bool(s.trusted_proxies),
        lambda s: "any visitor could send that header; name the proxy that sets it in trusted_proxies",
    ),
    Rule(
        "user_hash_key",
        lambda s: not s.hash_user_ids or s.user_hash_key is not None,
        lambda s: "hash_user_ids needs a key of its own, which is never changed; make one with `sojourn secret`",
    ),
    Rule(
        "session_properties",
        lambda s: len(s.session_properties or ()) + len(s.event_properties or ()) <= MAX_DECLARED,
        lambda s: f"session_properties and event_properties together may declare at most {MAX_DECLARED}; drop some",
    ),
)
