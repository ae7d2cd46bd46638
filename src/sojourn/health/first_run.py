"""What stands between an installation and its first session: a checklist of what the counters say, and of nothing else. Pure.

The counters of each process travel with its records and are added up in the store. So the report and `sojourn doctor` know
them for every process and every host, some seconds late. When a reason was counted last is known of processes whose journal
is still there; for others the check says that it is not known.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from sojourn.stores.model import IGNORED

from .checks import HealthSnapshot
from .formatting import ago, span


class State(StrEnum):
    """What a check says."""

    GOOD = "good"
    BAD = "bad"
    NOTE = "note"
    """Neither: worth knowing."""
    UNKNOWN = "unknown"
    """Nothing that was recorded tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One line of the checklist. `fix`: what to do, where something is to do."""

    name: str
    state: State
    text: str
    fix: str = ""


_LATE_MS: Final = 30_000
"""A record that waits for longer may be the first session; until then one is just on its way."""
_BOTS: Final = {
    "crawler": "a crawler",
    "monitor": "a monitor",
    "link_preview": "a link preview",
    "probe": "a health probe",
    "http_client": "an HTTP client",
    "headless": "a headless browser",
}
_DECLARED: Final = "declared itself as {}, which starts no session"
REASONS: Final[Mapping[str, tuple[str, str]]] = {
    **{name: (_DECLARED.format(words), "open a page in a browser") for name, words in _BOTS.items()},
    "excluded": ("its path is excluded", "open a page whose path `exclude` does not match"),
    "not_a_navigation": (
        "it opens no page: a script, a style, an image, or a fetch",
        "open a page in a browser; for an app that serves only data, set session_starts='any' or call identify()",
    ),
    "method": ("only GET and POST open a page", "open a page in a browser"),
    "prefetch": ("the browser loaded it in advance", "open the page"),
    "cross_site_post": ("another site's page sent it", "open a page of your app"),
    "automatic_off": (
        "automatic=False: only start_session() begins one",
        "call start_session(), or remove the setting",
    ),
    "failed_response": ("the response failed (status 400 or above)", "open a page that works"),
    "passive": ("the page sent it by itself: its path is in `passive`", "open a page in a browser"),
    "redirected": (
        "it was redirected to another host, where the cookie is not valid",
        "open the app at the host it redirects to, or set cookie_domain",
    ),
    "undeliverable": (
        "its response cannot carry a cookie: publicly cacheable, 304, HEAD, or OPTIONS",
        "see docs/caching.md: let a page be private, or open one that is not cached",
    ),
    "flood": ("too many sessions were about to start at once", "raise session_budget, or block the flood"),
    "opted_out": ("the visitor has opted out", "call opt_in(), or use another browser"),
    "signal": ("the browser sent a privacy signal (Sec-GPC or DNT) that is set to 'off'", "set gpc or dnt differently"),
    "no_consent": ("there is no consent", "call opt_in() once the visitor has agreed, or see `consent`"),
    "no_address": (
        "without a cookie nothing tells visitors apart: their addresses are those of a proxy",
        "name the proxy in trusted_proxies",
    ),
    "consent_error": ("the consent callable failed", "read the app's log, and correct the callable"),
    "disputed": ("two of our cookies contradict each other", "open the next page"),
    "own_address": ("its address is in exclude_addresses", "open a page from another network"),
    "own_browser": ("this browser is marked as your own", "press 'Count this browser' in the report, or use another"),
    "own_user": ("its user is in exclude_users", "log in as another user"),
    "clock_lead": ("the cookie was written in the future", "set the clocks of the hosts right"),
    "fault": ("Sojourn failed", "read the app's log, and report the line"),
}
"""By counter: why a request begins no session, and what to do."""


def is_first_run(health: HealthSnapshot) -> bool:
    """Whether the store never had a session, not even one that was erased or is too old."""
    return not health.stats.sessions and not health.stats.counters.get("sessions.started", 0)


def first_run(health: HealthSnapshot) -> list[Check]:
    """Return the checklist: the middleware, the last request, the cookie, bots and excluded paths."""
    return [_middleware(health), _last_request(health), _cookie(health), _bots(health), _excluded(health)]


def _middleware(health: HealthSnapshot) -> Check:
    name, running = "Middleware", len(health.heard_of)
    if running:
        plural = "es" if running != 1 else ""
        return Check(name=name, state=State.GOOD, text=f"{running} process{plural} with it used this store just now")
    here = health.here
    if here is not None and here.living:
        text = "a process of this host runs with it, and nothing it noticed was recorded yet"
        return Check(name=name, state=State.NOTE, text=text, fix="wait some seconds")
    if health.marks:
        last = max(mark.recorded_until if mark.heard_at is None else mark.heard_at for mark in health.marks.values())
        text = f"no process with it is running; the last one was here {ago(health.now - last)}"
        return Check(name=name, state=State.BAD, text=text, fix="start the app")
    return Check(
        name=name,
        state=State.BAD,
        text="no process with it has used this store",
        fix="add the middleware, start the app, and check that both use this store",
    )


def _last_request(health: HealthSnapshot) -> Check:
    name = "Last request"
    if not is_first_run(health):
        return Check(name=name, state=State.GOOD, text="sessions were recorded")
    here = health.here
    if here is not None and here.oldest_at is not None and health.now - here.oldest_at >= _LATE_MS:
        waiting = "1 record waits" if here.records == 1 else f"{here.records:,} records wait"
        text = f"{waiting} to be recorded, since {span(health.now - here.oldest_at)}"
        return Check(
            name=name, state=State.NOTE, text=text, fix="check that a recorder is running: see `sojourn status`"
        )
    counted = dict(_counted(health.stats.counters))
    if (last := _last(health)) is not None:
        reason, at = last
        why, fix = REASONS[reason]
        return Check(
            name=name, state=State.BAD, text=f"{ago(health.now - at)}, and it began no session: {why}", fix=fix
        )
    if counted:
        reason = max(counted, key=lambda each: counted[each])
        why, fix = REASONS[reason]
        text = f"when is not known; {counted[reason]:,} began no session: {why}"
        return Check(name=name, state=State.BAD, text=text, fix=fix)
    return Check(
        name=name,
        state=State.UNKNOWN,
        text="no request was noticed",
        fix="open a page of the app in a browser",
    )


def _cookie(health: HealthSnapshot) -> Check:
    name, counters = "Cookie", health.stats.counters
    missing, started = counters.get(f"{IGNORED}cookie_missing", 0), counters.get("sessions.started", 0)
    undeliverable = counters.get(f"{IGNORED}undeliverable", 0)
    if missing:
        return Check(
            name=name,
            state=State.BAD if 2 * missing >= started else State.NOTE,
            text=f"{missing:,} of {started:,} sessions began on a page opened from this site, and yet without the cookie",
            fix="check cookie_domain, cookie_path and cookie_secure, and that no proxy removes Set-Cookie",
        )
    if undeliverable and not started:
        return Check(
            name=name,
            state=State.BAD,
            text=f"{undeliverable:,} responses could not carry it: publicly cacheable, 304, HEAD, or OPTIONS",
            fix="see docs/caching.md",
        )
    if not started:
        return Check(name=name, state=State.UNKNOWN, text="no response could set it yet")
    # That a browser keeps it shows in sessions of several requests; the counters say only that none came without.
    return Check(name=name, state=State.GOOD, text="no browser came back without it")


def _bots(health: HealthSnapshot) -> Check:
    counts = {name: health.stats.counters.get(IGNORED + name, 0) for name in _BOTS}
    total = sum(counts.values())
    if not total:
        return Check(name="Bots", state=State.NOTE, text="no request of a declared bot was noticed")
    listed = ", ".join(f"{count:,} of {_BOTS[name]}" for name, count in counts.items() if count)
    return Check(name="Bots", state=State.NOTE, text=f"{listed} began no session")


def _excluded(health: HealthSnapshot) -> Check:
    count = health.stats.counters.get(f"{IGNORED}excluded", 0)
    text = f"{count:,} requests had an excluded path" if count else "no request had an excluded path"
    return Check(name="Excluded paths", state=State.NOTE, text=text)


def _counted(counters: Mapping[str, int]) -> Iterator[tuple[str, int]]:
    for reason in REASONS:
        if count := counters.get(IGNORED + reason, 0):
            yield reason, count


def _last(health: HealthSnapshot) -> tuple[str, int] | None:
    """The reason that was counted last, and when (ms). What requests to the report count is none."""
    moments: dict[str, int] = {}
    for mark in health.marks.values():
        for reason, at in mark.last_ignored.items():
            if reason in REASONS:
                moments[reason] = max(at, moments.get(reason, 0))
    return max(moments.items(), key=lambda each: each[1], default=None)
