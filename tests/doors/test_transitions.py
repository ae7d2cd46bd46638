"""S5 as one table and its laws, through both doors: users, principals, manual sessions, parallel requests, hashes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sojourn import UNKNOWN, current_session, end_session, identify, start_session, track
from sojourn.core.events import Event
from sojourn.core.records import Record
from tests.doors.browser import Browser, Protocol, Response, Site, during, view_of

MakeSite = Callable[..., Site]
Step = tuple[object, tuple[str | None, ...]]
"""One request: what the framework says (`UNKNOWN`, `None` for anonymous, an id), and whom the app names in it."""


class Walk:
    """A browser whose requests name users."""

    def __init__(self, site: Site, says: dict[str, Any]) -> None:
        self.site = site
        self.browser = Browser(site)
        self._says = says

    def go(self, steps: Sequence[Step]) -> None:
        for principal, names in steps:
            self._says["user"] = principal
            self.site.views["/"] = view_of(*(lambda name=name: identify(name) for name in names))
            self.site.clock.advance(1)
            self.browser.navigate()

    def summary(self) -> str:
        words: list[str] = []
        for event in self.site.events:
            if event.name == "session.start":
                words.append("m+" if event.is_manual else "+")
            elif event.name == "session.end":
                words.append(f"-{event.user_id or 'anonymous'}")
            elif event.name == "user.identify":
                words.append(event.user_id or "anonymous")
        return " ".join(words)


@pytest.fixture
def walk(make_site: MakeSite) -> Callable[..., Walk]:
    def make(**own: Any) -> Walk:
        says: dict[str, Any] = {"user": UNKNOWN}
        return Walk(make_site(principal=lambda _request: says["user"], **own), says)

    return make


U, N = UNKNOWN, None
ONCE = [
    pytest.param([(U, ("ada", "ada", "ada"))], "+ ada", "+ ada", id="A three times in one request"),
    pytest.param(
        [(U, ("ada", None, "ada"))], "+ ada anonymous ada", "+ ada anonymous ada", id="A, out, A in one request"
    ),
    pytest.param(
        [(U, ("ada", None, "bob"))], "+ ada anonymous -anonymous + bob", "+ ada anonymous bob", id="A, out, B in one"
    ),
    pytest.param(
        [(U, ("ada",)), (U, ("bob", "ada"))],
        "+ ada -ada + bob -bob + ada",
        "+ ada bob ada",
        id="there and back in one request",
    ),
    pytest.param([("42", ("ada",)), ("42", ()), (U, ())], "+ ada", "+ ada", id="both sources name a user"),
    pytest.param(
        [("42", ()), (U, ()), (U, ()), ("42", ())], "+ 42", "+ 42", id="tokens on some routes, unknown on others"
    ),
    pytest.param(
        [("42", ()), (U, ()), ("43", ()), (U, ())], "+ 42 -42 + 43", "+ 42 43", id="another token, unknown between"
    ),
    pytest.param(
        [("42", ()), (N, ()), ("43", ())],
        "+ 42 anonymous -anonymous + 43",
        "+ 42 anonymous 43",
        id="logout, another login",
    ),
    pytest.param(
        [(N, ()), ("42", ()), (N, ()), ("42", ())], "+ 42 anonymous 42", "+ 42 anonymous 42", id="in, out and in again"
    ),
    pytest.param(
        [(U, ("bob", None)), (N, ()), ("42", ())],
        "+ bob anonymous -anonymous + 42",
        "+ bob anonymous 42",
        id="A, out, then another as the principal",
    ),
    pytest.param(
        [(U, ("42", None)), (N, ()), ("42", ())],
        "+ 42 anonymous 42",
        "+ 42 anonymous 42",
        id="A, out, then A as the principal",
    ),
    pytest.param([(U, ("ada",)), ("42", ()), ("43", ())], "+ ada -ada + 43", "+ ada", id="a principal changes under A"),
    pytest.param([(U, (None, "ada"))], "+ ada", "+ ada", id="out before anybody was in"),
]


@pytest.mark.parametrize("is_manual", [False, True], ids=["automatic", "manual"])
@pytest.mark.parametrize("mode", ["split", "keep"])
@pytest.mark.parametrize(("steps", "split", "keep"), ONCE)
def test_transitions(
    walk: Callable[..., Walk], steps: list[Step], split: str, keep: str, mode: str, *, is_manual: bool
) -> None:
    """The closing session ends with the user it had; a manual one is followed by a manual one."""
    visitor = walk(on_user_change=mode)
    expected = split if mode == "split" else keep
    if is_manual:
        visitor.site.views["/start"] = view_of(lambda: start_session("by-hand-1"))
        visitor.browser.navigate("/start")
        expected = expected.replace("+", "m+")
    visitor.go(steps)
    assert visitor.summary() == expected


NAMES = st.sampled_from(["ada", "bob", None])
STEPS = st.lists(
    st.tuples(st.sampled_from([UNKNOWN, None, "42", "43"]), st.lists(NAMES, max_size=3).map(tuple)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, deadline=None)
@given(steps=STEPS, mode=st.sampled_from(["split", "keep"]))
def test_both_doors_record_the_same_and_no_session_has_two_users(steps: list[Step], mode: str) -> None:
    summaries: list[str] = []
    for protocol in ("asgi", "wsgi"):
        says: dict[str, Any] = {"user": UNKNOWN}
        site = Site(protocol, principal=lambda _request, says=says: says["user"], on_user_change=mode)
        visitor = Walk(site, says)
        visitor.go(steps)
        summaries.append(visitor.summary())
        _check(site.events, is_split=mode == "split")
        assert site.ignored == {}
        site.close()
    assert summaries[0] == summaries[1]


def _check(events: Sequence[Event], *, is_split: bool) -> None:
    starts = [event.session_key for event in events if event.name == "session.start"]
    ends = [event.session_key for event in events if event.name == "session.end"]
    assert ends == starts[:-1]
    if not is_split:
        assert len(starts) == 1
    for key in starts:
        own = [event for event in events if event.session_key == key]
        named = [event.user_id for event in own if event.name == "user.identify"]
        if is_split:
            assert len({name for name in named if name in {"ada", "bob"}}) <= 1
            assert len({name for name in named if name in {"42", "43"}}) <= 1
        assert {event.user_id for event in own if event.user_id} <= set(named)
        assert all(event.user_id == named[-1] for event in own if event.name == "session.end" and named)


def test_events_before_the_change_belong_to_the_old_user_and_later_ones_to_the_new(
    site: Site, browser: Browser
) -> None:
    site.views["/"] = view_of(lambda: identify("ada"))
    browser.navigate()
    site.views["/"] = view_of(lambda: track("before"), lambda: identify("bob"), lambda: track("after"))
    browser.navigate()
    old, new = site.sessions
    shown = {event.name: (event.session_id, event.user_id) for event in site.events}
    assert shown["before"] == (old, "ada")
    assert shown["session.end"] == (old, "ada")
    assert shown["after"] == shown["page_view"] == (new, "bob")


def test_a_logout_page_that_ends_the_session_leaves_the_next_user_a_fresh_one(site: Site, browser: Browser) -> None:
    site.views["/in"] = view_of(lambda: identify("ada"))
    site.views["/out"] = view_of(end_session, lambda: identify("bob"))
    browser.navigate("/in")
    browser.navigate("/out")
    old, new = site.named("session.start")
    assert (new.previous_id, old.visitor_id) == (None, new.visitor_id)
    assert [event.user_id for event in site.named("session.end")] == ["ada"]
    assert site.named("page_view")[-1].user_id == "bob"


def test_parallel_requests_that_change_to_the_same_user_make_one_session(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: identify("ada"))
    browser.navigate()
    twin = browser.twin()
    site.views["/bob"] = view_of(lambda: identify("bob"))

    def meanwhile() -> None:
        twin.navigate("/bob")
        identify("bob")

    during(browser, "/slow", meanwhile)
    assert len(site.sessions) == 2
    assert [event.user_id for event in site.named("user.identify")] == ["ada", "bob"]


def test_a_user_named_after_the_response_start_is_recorded_at_once_and_corrects_the_next_cookie(
    site: Site, browser: Browser
) -> None:
    site.views["/"] = view_of(lambda: identify("ada"))
    browser.navigate()
    site.views["/"] = view_of(response=Response(late=lambda: identify("bob")))
    browser.navigate()
    site.views["/"] = view_of(lambda: track("seen"))
    assert browser.navigate().cookies != []
    assert site.named("seen")[0].user_id == "bob"
    assert len(site.sessions) == 2


PERSIAN = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
LONG = "𝔞é" * 128


@pytest.mark.parametrize(
    ("given_id", "user"),
    [
        pytest.param("x" * 256, "x" * 256, id="256 characters"),
        pytest.param(LONG, LONG, id="256 characters of any script"),
        pytest.param("a b", "a b", id="a space within"),
        pytest.param(0, "0", id="zero is a user"),
        pytest.param(UUID(int=7), str(UUID(int=7)), id="a UUID"),
        pytest.param(PERSIAN, PERSIAN, id="a non-joiner"),
        pytest.param("क्\u200dष", "क्\u200dष", id="a joiner"),
        pytest.param("山田\u3000太郎", "山田\u3000太郎", id="an ideographic blank"),
        pytest.param("anna\u00a0b", "anna\u00a0b", id="a no-break blank"),
        pytest.param("\u0378", "\u0378", id="a character that is not assigned yet"),
        pytest.param("x" * 257, None, id="257 characters"),
        pytest.param("a\ufdd0", None, id="a noncharacter"),
        pytest.param("a\udc80", None, id="half a character"),
        pytest.param("a\u2067b", None, id="an isolate"),
        pytest.param("a\nb", None, id="a line break"),
        pytest.param("\u202eada", None, id="turned around"),
        pytest.param(10**5000, None, id="a number beyond printing"),
    ],
)
def test_ids_are_kept_whole_or_refused_and_counted(
    site: Site, browser: Browser, given_id: Any, user: str | None
) -> None:
    site.views["/"] = view_of(lambda: identify(given_id))
    browser.navigate()
    assert site.named("page_view")[0].user_id == user
    assert site.ignored == ({} if user is not None else {"bad_user_id": 1})


def test_strict_raises_what_is_else_counted(make_site: MakeSite) -> None:
    site = make_site(strict=True)

    def view() -> None:
        with pytest.raises(ValueError, match="256"):
            identify("x" * 257)
        with pytest.raises(ValueError, match="no finite number"):
            track("seen", {"a": float("nan")})

    site.views["/"] = view
    Browser(site).navigate()
    assert site.names() == ["session.start", "page_view"]


@pytest.mark.parametrize("source", ["identify", "principal"])
def test_with_hashes_no_id_is_in_clear_in_records_cookies_and_events(
    make_site: MakeSite, protocol: Protocol, source: str
) -> None:
    """Nor as the framework's name for the user, nor as a trait; the app itself sees whom it named."""
    site = make_site(hash_user_ids=True, user_hash_key="a key that is never rotated")
    written: list[Record] = []
    append = site.engine.intake.append
    seen: list[Any] = []

    def watched(record: Record, **more: Any) -> bool:
        written.append(record)
        return append(record, **more)

    site.engine.intake.append = watched  # type: ignore[method-assign]
    browser = Browser(site)
    for name in ("ada@a.example", "bob@b.example"):
        if source == "principal":
            site.user = name
        else:
            site.views["/"] = view_of(
                lambda name=name: identify(name, name, traits={"mail": name, "plan": "pro"}),  # type: ignore[misc]
                lambda: seen.append(current_session()),
            )
        browser.navigate()
        assert name not in str(browser.cookies)
    assert "a.example" not in repr(written)
    assert "a.example" not in repr(site.events)
    assert len(site.sessions) == 2
    hashes = [event.user_id for event in site.named("user.identify")]
    assert len({*hashes}) == 2
    assert all(user is not None and len(user) == 32 for user in hashes)
    if source == "identify":
        assert [view.user_id for view in seen] == ["ada@a.example", "bob@b.example"]
        assert site.named("user.identify")[0].attributes["user.traits.plan"] == "pro"


def test_hashes_are_the_same_after_the_secret_key_was_rotated(make_site: MakeSite) -> None:
    hashes = []
    for secret in ("a key that only these tests use", "another key of these tests"):
        site = make_site(hash_user_ids=True, user_hash_key="a key that is never rotated", secret_key=secret)
        site.views["/"] = view_of(lambda: identify("ada"))
        Browser(site).navigate()
        hashes.append(site.named("user.identify")[0].user_id)
    assert hashes[0] == hashes[1] != "ada"


def test_a_browser_that_starts_to_send_gpc_is_untagged(make_site: MakeSite) -> None:
    site = make_site(gpc="anonymous")
    site.views["/"] = view_of(lambda: identify("ada"))
    browser = Browser(site)
    browser.navigate()
    browser.navigate(sec_gpc="1")
    site.views["/"] = view_of()
    browser.navigate(sec_gpc="1")
    assert [event.user_id for event in site.named("page_view")] == ["ada", None, None]
    assert len(site.sessions) == 1
    assert site.ignored == {"anonymous": 1}
