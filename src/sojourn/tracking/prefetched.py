"""Pages that browsers load in advance: opened later without a request, which only what comes from the page shows.

A prefetched page is kept per session, shared by the workers of the host, until a request whose `Referer` is the page, or
the page's beacon, confirms it: then it is a page view and activity. A page that was viewed in this session already is not:
it may be open in another tab, and what comes from it proves nothing.

See S16 in docs/internals.md.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Final
from zlib import crc32

from sojourn.core.events import PAGE_VIEW

from . import admission
from .facts import ResponseFacts
from .guard import Guard
from .own_page import own_page, page_of
from .pages import Pages
from .presence_judge import Presence
from .session_cache import Shared, SharedSession
from .visit import Visit

_OK: Final = 200
_DAY_MS: Final = 24 * 3_600_000
_LOOK_EVERY_MS: Final = 1_000
_SECONDS: Final = 0xFFFF
_HASH: Final = (1 << 30) - 1
_VIEWED, _PRERENDERED = 1, 2
_FLAGS: Final = 3


class PrefetchedPages:
    """The pages of all sessions. Any thread; two workers that see the same page opened at one instant may count it twice."""

    __slots__ = ("_guard", "_has_page_views", "_look_at", "_pages", "_presence", "_shared", "is_used")

    def __init__(self, shared: Shared, *, guard: Guard, pages: Pages, presence: Presence, has_page_views: bool) -> None:
        self._shared = shared
        self._guard = guard
        self._pages = pages
        self._presence = presence
        self._has_page_views = has_page_views
        self.is_used = False
        """Whether a browser has prefetched a page in the last day, as of the latest look: if not, all of this is spared."""
        self._look_at = 0

    def look(self, now: int) -> bool:
        """Whether a browser has prefetched a page in the last day: looked up once a second."""
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY_MS
            self.is_used = now - self._entry("").look()[0] < _DAY_MS
        return self.is_used

    def note(self, visit: Visit, response: ResponseFacts) -> None:
        """Note the page that this request prefetches, if the browser can use it."""
        facts, live = visit.facts, visit.live
        if live is None or facts.method != "GET" or response.status != _OK:
            return
        if "html" not in response.header("content-type").lower():
            return
        now, entry = visit.now, self._entry(live.state.key)
        self._entry("").see(now)
        self.is_used = True
        if (opener := own_page(facts)) is not None:  # it is open, whether or not its view is among the latest
            known = _find(entry, page_of(*opener))
            if known is None or known[1] & _VIEWED:
                _put(entry, page_of(*opener), now, _VIEWED)
        page = _page(visit)
        if _find(entry, page) is None:
            _put(entry, page, now, _PRERENDERED if admission.is_prerender(facts) else 0)
            self._guard.count("prefetched_pages")

    def view(self, visit: Visit) -> None:
        """Note that this request, or a beacon, has shown its page: there is nothing more to confirm."""
        if visit.live is not None:
            _put(self._entry(visit.live.state.key), _page(visit), visit.now, _VIEWED)

    def confirm(self, visit: Visit) -> None:
        """See whether this request comes from a prefetched page: then a person has opened that."""
        live = visit.live
        if live is None or visit.refused is not None:
            return
        opener, intent = own_page(visit.facts), visit.intent
        # A page that is being prerendered fetches and prefetches too; only one that is shown navigates.
        is_shown = intent.is_navigation and not intent.is_prefetch
        if opener is None or not self._take(visit, live.state.key, opener, is_shown=is_shown):
            return
        if visit.enter(by_helper=True) is not None:
            self._presence.turn_to_page(visit, live)
            self._add_view(visit, opener)

    def confirm_shown(self, visit: Visit) -> None:
        """The beacon of a page says that a person uses it: if it was prefetched, it is opened."""
        shown = (visit.facts.path, visit.facts.query)
        if visit.live is not None and self._take(visit, visit.live.state.key, shown, is_shown=True):
            self._add_view(visit, shown)

    def _take(self, visit: Visit, key: str, page: tuple[str, str], *, is_shown: bool) -> bool:
        entry = self._entry(key)
        found = _find(entry, page_of(*page))
        if found is None or found[1] & _VIEWED or (found[1] & _PRERENDERED and not is_shown):
            return False
        _put(entry, page_of(*page), visit.now, _VIEWED)
        self._guard.count("prefetched_opened")
        return True

    def _add_view(self, visit: Visit, page: tuple[str, str]) -> None:
        if self._has_page_views:
            visit.note(PAGE_VIEW, self._pages.opened(*page, visit.facts))

    def _entry(self, key: str) -> SharedSession:
        """What is shared of a session's pages; without a key, whether there are any at all."""
        return self._shared(blake2b(f"prefetched:{key}".encode(), digest_size=16).hexdigest())


def _page(visit: Visit) -> str:
    """The page of this request as a `Referer` names it: some servers leave the mount out of the path."""
    facts = visit.facts
    is_whole = facts.path.startswith(facts.mount)
    return page_of(facts.path if is_whole else facts.mount + facts.path, facts.query)


# --- ten pages of 48 bits: a hash, the second it was noted, and two flags


def _find(entry: SharedSession, page: str) -> tuple[int, int] | None:
    """The place of a page and its flags."""
    own = _hash(page)
    for place, value in enumerate(entry.targets()):
        if value >> 18 == own:
            return place, value & _FLAGS
    return None


def _put(entry: SharedSession, page: str, now: int, flags: int) -> None:
    found = _find(entry, page)
    seconds = now // 1000 & _SECONDS
    if found is not None:
        place = found[0]
    else:  # a free place, or the one noted longest ago
        ages = [(seconds - (value >> 2)) & _SECONDS if value else _SECONDS + 1 for value in entry.targets()]
        place = max(range(len(ages)), key=ages.__getitem__)
    entry.put_target(place, _hash(page) << 18 | seconds << 2 | flags, now)


def _hash(page: str) -> int:
    return crc32(page.encode("utf-8", "surrogatepass")) & _HASH or 1
