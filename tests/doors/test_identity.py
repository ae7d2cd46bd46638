"""S5 and S6 through both doors: whose session it is, and sessions by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import pytest

from sojourn import UNKNOWN, User, current_session, end_session, identify, start_session, track
from sojourn.core.events import Event
from tests.doors.browser import HTML, Browser, Response, Site, view_of

MakeSite = Callable[..., Site]
PUBLIC = Response(headers=(HTML, ("cache-control", "public")))


def summary(events: Sequence[Event]) -> list[str]:
    """What happened, in short: `+` a start, `-reason` an end, `ada`/`anonymous` a `user.identify`."""
    words: list[str] = []
    for event in events:
        if event.name == "session.start":
            words.append("+")
        elif event.name == "session.end":
            words.append(f"-{event.attributes['session.end_reason']}")
        elif event.name == "user.identify":
            words.append(event.user_id or "anonymous")
    return words


def play(site: Site, steps: Sequence[object]) -> list[str]:
    """One request per step: text is a user to identify, None an untagging, a number a pause, a tuple the principal."""
    browser = Browser(site)
    for step in steps:
        if isinstance(step, tuple):
            (site.user,) = step
            continue
        if isinstance(step, int):
            site.clock.advance(step)
            continue
        names = step if isinstance(step, list) else [step]
        calls = [lambda name=name: identify(name) if name != "-" else None for name in names]
        site.views["/"] = view_of(*calls)
        site.clock.advance(1)
        browser.navigate()
    return summary(site.events)


EXPLICIT = [
    pytest.param(["-", "ada"], "+ ada", id="anonymous to A keeps the session"),
    pytest.param(["ada", "ada", "ada"], "+ ada", id="A again is nothing"),
    pytest.param(["ada", "bob"], "+ ada -user_changed + bob", id="A to B is a user change"),
    pytest.param(["ada", None, "bob"], "+ ada anonymous -user_changed + bob", id="A to B over an untagging is one too"),
    pytest.param(["ada", None, "ada"], "+ ada anonymous ada", id="A comes back"),
    pytest.param(["ada", "", "-"], "+ ada anonymous", id="an empty id untags"),
    pytest.param([None, "-"], "+", id="untagging an anonymous session records nothing"),
    pytest.param([["ada", "bob"]], "+ ada -user_changed + bob", id="both in one request"),
    pytest.param([["ada", None]], "+ ada anonymous", id="in and out in one request"),
    pytest.param(["ada", 1800, "-"], "+ ada -idle_timeout +", id="carried over an idle split, untold"),
    pytest.param(["ada", 1800, "ada"], "+ ada -idle_timeout +", id="still the same user after an idle split"),
    pytest.param(["ada", 1800, "bob"], "+ ada -idle_timeout + -user_changed + bob", id="another one after it"),
    pytest.param(
        ["ada", None, 1800, "bob"], "+ ada anonymous -idle_timeout + bob", id="nothing to carry when untagged"
    ),
]


@pytest.mark.parametrize(("steps", "expected"), EXPLICIT)
def test_explicit_users(site: Site, steps: list[object], expected: str) -> None:
    assert " ".join(play(site, steps)) == expected


PRINCIPALS = [
    pytest.param([("42",), "-", "-"], "+ 42", id="a principal tags, once"),
    pytest.param(["-", ("42",), "-"], "+ 42", id="in mid-session"),
    pytest.param([("42",), "-", ("43",), "-"], "+ 42 -user_changed + 43", id="another principal is a user change"),
    pytest.param([("42",), "-", (None,), "-", ("42",), "-"], "+ 42", id="an unknown one changes nothing"),
    pytest.param([("42",), "-", (None,), "-", ("43",), "-"], "+ 42 -user_changed + 43", id="compared with the bound"),
    pytest.param(
        [("42",), *["ada@example.com"], "-", "-", "-", "-"], "+ ada@example.com", id="identify(email) at login, 42 else"
    ),
    pytest.param([("42",), "-", "ada"], "+ 42 ada", id="an explicit tag replaces one of a principal"),
    pytest.param(["ada", ("42",), "-"], "+ ada", id="a principal never replaces an explicit tag"),
    pytest.param(
        [("42",), "-", "ada", "-", ("43",), "-"],
        "+ 42 ada -user_changed + 43",
        id="a new principal, despite the app's tag",
    ),
    pytest.param(
        [("42",), "-", "ada", ("43",), "bob", "-"],
        "+ 42 ada -user_changed + bob",
        id="the request that names a user does not compare",
    ),
    pytest.param([("42",), "-", ("43",), "ada"], "+ 42 ada", id="nor splits by it: at login it may still be another"),
    pytest.param([("42",), "ada", ("43",), "-"], "+ ada", id="nor binds it: at login it may be the user before"),
    pytest.param([("42",), "-", None, "-", "-"], "+ 42 anonymous", id="after identify(None) the same one stays silent"),
    pytest.param([("42",), "-", None, "-", ("43",), "-"], "+ 42 anonymous -user_changed + 43", id="until it changes"),
    pytest.param(
        [("42",), "-", None, "-", 1800, "-"], "+ 42 anonymous -idle_timeout +", id="silent over an idle split"
    ),
    pytest.param([("42",), "-", 1800, "-"], "+ 42 -idle_timeout +", id="carried over an idle split"),
]
ANONYMOUS = [
    pytest.param([("42",), "-", ("",), "-", "-"], "+ 42 anonymous", id="an anonymous principal untags"),
    pytest.param([("42",), "-", ("",), "-", ("42",), "-"], "+ 42 anonymous 42", id="and the same one tags again"),
    pytest.param(
        [("42",), "-", ("",), "-", ("43",), "-"], "+ 42 anonymous -user_changed + 43", id="another one is a change"
    ),
    pytest.param(["ada", ("",), "-"], "+ ada", id="an anonymous principal keeps an explicit tag"),
    pytest.param([("",), "-", "-"], "+", id="anonymous from the first"),
]


@pytest.mark.parametrize(("steps", "expected"), PRINCIPALS)
def test_principals(site: Site, steps: list[object], expected: str) -> None:
    assert " ".join(play(site, steps)) == expected


def said(principals: dict[str, Any]) -> Callable[[Any], Any]:
    return lambda _request: principals["user"]


@pytest.mark.parametrize(("steps", "expected"), PRINCIPALS + ANONYMOUS)
def test_principals_from_the_apps_own_callable(make_site: MakeSite, steps: list[object], expected: str) -> None:
    principals: dict[str, Any] = {"user": UNKNOWN}
    site = make_site(principal=said(principals))
    browser = Browser(site)
    for step in steps:
        if isinstance(step, tuple):
            principals["user"] = UNKNOWN if step[0] is None else step[0] or None
            continue
        if isinstance(step, int):
            site.clock.advance(step)
            continue
        site.views["/"] = view_of(lambda name=step: identify(name) if name != "-" else None)  # type: ignore[misc]
        site.clock.advance(1)
        browser.navigate()
    assert " ".join(summary(site.events)) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(["ada", "bob"], "+ ada bob", id="explicit"),
        pytest.param([("42",), "-", ("43",), "-", "-"], "+ 42 43", id="principal"),
        pytest.param(
            [("42",), "-", None, "-", ("43",), "-", "-"], "+ 42 anonymous 43", id="principal after an untagging"
        ),
    ],
)
def test_keeping_the_session_at_a_user_change(make_site: MakeSite, steps: list[object], expected: str) -> None:
    assert " ".join(play(make_site(on_user_change="keep"), steps)) == expected


@pytest.mark.parametrize(
    "principal",
    [
        pytest.param(7, id="a number"),
        pytest.param(User("7", "Ada", {"plan": "pro"}), id="a User"),
        pytest.param(UUID(int=7), id="a UUID"),
    ],
)
def test_what_a_callable_may_return(make_site: MakeSite, principal: object) -> None:
    site = make_site(principal=lambda _: principal)
    Browser(site).navigate()
    (event,) = site.named("user.identify")
    assert event.user_id == (principal.id if isinstance(principal, User) else str(principal))
    if isinstance(principal, User):
        assert event.attributes["user.name"] == "Ada"
        assert event.attributes["user.traits.plan"] == "pro"


@pytest.mark.parametrize(
    "principal",
    [
        pytest.param(lambda _: 1 / 0, id="raises"),
        pytest.param(lambda _: object(), id="returns nonsense"),
        pytest.param(lambda _: "x" * 999, id="returns too much"),
    ],
)
def test_a_failing_callable_is_counted_and_the_response_unharmed(make_site: MakeSite, principal: object) -> None:
    site = make_site(principal=principal)
    browser = Browser(site)
    assert browser.navigate().body == b"<p>hello</p>"
    browser.navigate()
    assert summary(site.events) == ["+"]
    assert site.ignored == {"principal_error": 2}


def test_a_callable_is_called_once_per_request(make_site: MakeSite) -> None:
    principals = iter(["42", "42", "43", "43", None])
    site = make_site(principal=lambda _: next(principals))
    browser = Browser(site)
    for _ in range(5):
        browser.navigate()
    assert summary(site.events) == ["+", "42", "-user_changed", "+", "43", "anonymous"]
    assert site.ignored == {}


def test_a_user_change_links_the_sessions_and_leaves_the_old_its_user(site: Site) -> None:
    play(site, ["ada", "bob"])
    old, new = site.named("session.start")
    (end,) = site.named("session.end")
    assert (end.session_id, end.user_id) == (old.session_id, "ada")
    assert new.previous_id == old.session_id
    assert site.named("page_view")[-1].user_id == "bob"


def test_an_idle_successor_belongs_to_the_same_user(site: Site) -> None:
    play(site, ["ada", 1800, "-"])
    assert site.named("session.start")[1].user_id == "ada"


def test_after_end_session_nothing_is_linked_or_carried(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: identify("ada"))
    browser.navigate()
    site.views["/"] = view_of(end_session)
    browser.navigate()
    site.views["/"] = view_of()
    browser.fetch("/")
    second = site.named("session.start")[1]
    assert (second.previous_id, second.user_id) == (None, None)
    assert summary(site.events) == ["+", "ada", "-ended", "+"]


def test_a_user_change_by_principal_waits_for_a_response_that_can_carry_the_cookie(
    site: Site, browser: Browser
) -> None:
    site.user = "42"
    browser.navigate()
    site.user = "43"
    site.views["/cached"] = view_of(response=PUBLIC)
    browser.navigate("/cached")
    assert summary(site.events) == ["+", "42"]
    browser.navigate()
    assert summary(site.events) == ["+", "42", "-user_changed", "+", "43"]


# --- sessions by hand ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(1234567890, id="ten digits"),
        pytest.param("12345678901234", id="digits as text"),
        pytest.param("abcd-123", id="eight characters"),
        pytest.param("A" * 100, id="a hundred"),
    ],
)
def test_a_manual_id_is_what_events_carry(site: Site, browser: Browser, given: str | int) -> None:
    site.views["/"] = view_of(lambda: start_session(given))
    browser.navigate()
    browser.navigate()  # the running session's own id: a no-op
    assert site.sessions == [str(given)]
    assert site.ends() == []
    (start,) = site.named("session.start")
    assert start.is_manual
    assert UUID(start.session_key).version == 7
    assert len(browser.cookies["sojourn"]) < 450


@pytest.mark.parametrize(
    ("given", "error"),
    [
        pytest.param(123456789, ValueError, id="nine digits"),
        pytest.param(-12345678901, ValueError, id="negative"),
        pytest.param("123456789", ValueError, id="nine digits as text"),
        pytest.param("abc-123", ValueError, id="seven characters"),
        pytest.param("A" * 101, ValueError, id="too long"),
        pytest.param("abcdefgh_", ValueError, id="underscore"),
        pytest.param("abcdefgh\n", ValueError, id="newline"),
        pytest.param("äbcdefghi", ValueError, id="not ASCII"),
        pytest.param("", ValueError, id="empty"),
        pytest.param("\u0661" * 12, ValueError, id="digits of another script"),
        pytest.param(True, TypeError, id="bool"),
        pytest.param(1e12, TypeError, id="float"),
        pytest.param(b"abcdefgh", TypeError, id="bytes"),
    ],
)
def test_a_bad_manual_id_raises_and_changes_nothing(
    site: Site, browser: Browser, given: Any, error: type[Exception]
) -> None:
    browser.navigate()

    def view() -> None:
        with pytest.raises(error, match="start_session"):
            start_session(given)

    site.views["/"] = view
    browser.navigate()
    assert len(site.sessions) == 1
    assert not site.named("session.start")[0].is_manual


def test_a_manual_session_ignores_idle_timeout_and_maximum_duration(site: Site, browser: Browser) -> None:
    site.views["/go"] = view_of(start_session)
    browser.navigate()
    browser.navigate("/go")
    for _ in range(30):
        site.clock.advance(3 * 3600)
        browser.navigate()
    assert site.engine.sweep() == 0
    assert site.ends() == [("restarted", 0)]
    assert site.named("session.start")[1].previous_id == site.sessions[0]


def test_a_manual_session_ends_when_silent_for_long_and_what_follows_is_automatic(site: Site, browser: Browser) -> None:
    site.views["/go"] = view_of(start_session)
    browser.navigate("/go")
    site.clock.advance(86_400)
    browser.navigate()
    assert site.ends() == [("idle_timeout", 0)]
    assert [event.is_manual for event in site.named("session.start")] == [True, False]


def test_without_automatic_only_start_session_starts(make_site: MakeSite) -> None:
    site = make_site(automatic=False)
    browser = Browser(site)
    site.views["/track"] = view_of(lambda: track("x"), lambda: identify("ada"))
    site.views["/go"] = view_of(start_session, lambda: track("y"))
    site.views["/out"] = view_of(end_session)
    for path in ("/", "/track"):
        assert browser.navigate(path).cookies == []
    assert site.events == []
    browser.navigate("/go")
    browser.fetch()
    browser.navigate("/out")
    for path in ("/", "/track"):
        browser.navigate(path)
    assert summary(site.events) == ["+", "-ended"]
    assert len(site.named("y")) == 1
    browser.navigate("/go")
    site.clock.advance(86_400)
    browser.navigate()
    assert len(site.sessions) == 2
    assert site.engine.sweep() == 1
    assert site.ends() == [("ended", 0), ("idle_timeout", 0)]


@pytest.mark.parametrize("is_new", [True, False], ids=["first visit", "running session"])
def test_starting_twice_in_one_request(site: Site, browser: Browser, *, is_new: bool) -> None:
    if not is_new:
        browser.navigate()
    site.views["/"] = view_of(
        lambda: start_session("first-one"), lambda: track("x"), lambda: start_session("second-one"), start_session
    )
    browser.navigate()
    assert site.sessions[-2:][0] == "first-one"
    assert len(site.sessions) == (2 if is_new else 3)
    assert site.named("x")[0].session_id == "first-one"
    assert UUID(site.sessions[-1]).version == 7


def test_a_user_change_in_a_manual_session_makes_a_manual_one_with_an_id_of_ours(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: start_session("abcdefgh"), lambda: identify("ada"))
    browser.navigate()
    site.views["/"] = view_of(lambda: identify("bob"))
    browser.navigate()
    first, second = site.named("session.start")
    assert (first.session_id, first.is_manual) == ("abcdefgh", True)
    assert (second.session_id, second.is_manual) == (second.session_key, True)


def test_current_session_shows_what_the_request_will_be(site: Site, browser: Browser) -> None:
    seen: list[Any] = []
    site.views["/"] = view_of(
        lambda: seen.append(current_session()),
        lambda: identify("ada"),
        lambda: seen.append(current_session()),
        end_session,
        lambda: seen.append(current_session()),
    )
    browser.navigate()
    site.views["/again"] = view_of(lambda: seen.append(current_session()))
    browser.navigate("/again")
    browser.navigate("/again")
    first, named, ended, fresh, known = seen
    assert first.is_new
    assert not first.is_identified
    assert (named.id, named.is_identified, named.user_id) == (first.id, True, "ada")
    assert ended is None
    assert fresh.is_new
    assert fresh.visitor_id == first.visitor_id
    assert (known.id, known.is_new, known.user_id) == (fresh.id, False, None)
    assert [first.id, fresh.id] == site.sessions
    assert first.started_at == site.named("session.start")[0].time


@pytest.mark.parametrize("mode", ["identify", "principal"])
def test_the_start_of_a_session_names_the_user_who_caused_it(make_site: MakeSite, mode: str) -> None:
    site = make_site()
    browser = Browser(site)
    for user in ("anna", "ben"):
        if mode == "principal":
            site.user = user
        else:
            site.views["/"] = view_of(lambda user=user: identify(user))  # type: ignore[misc]
        browser.navigate()
        site.clock.advance(5)
    first, second = site.named("session.start")
    assert (first.user_id, second.user_id) == (None, "ben")
    assert second.attributes["user.id"] == "ben"
