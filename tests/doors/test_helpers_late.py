"""Helpers after the response has started, and our own faults, through both doors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from sojourn import current_session, end_session, heartbeat, identify, start_session, track
from tests.doors.browser import HTML, Browser, Response, Site, view_of

MakeSite = Callable[..., Site]


def late(*calls: Callable[[], object]) -> Response:
    """A page whose response has started when these calls are made."""

    def work() -> None:
        for call in calls:
            call()

    return Response(pieces=(b"<p>", b"late", b"</p>"), late=work)


def test_a_late_event_is_a_record_of_its_own(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(response=late(lambda: site.clock.advance(7), lambda: track("late")))
    browser.navigate()
    (event,) = site.named("late")
    assert event.time == site.clock.now_ms
    site.engine.sweep()
    site.clock.advance(1800)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 7)]


def test_a_late_end_counts_at_once_and_corrects_the_next_cookie(site: Site, browser: Browser) -> None:
    seen: list[Any] = []
    site.views["/"] = view_of(response=late(end_session, lambda: seen.append(current_session()), lambda: track("lost")))
    browser.navigate()
    assert seen == [None]
    assert site.ends() == [("ended", 0)]
    site.views["/"] = view_of()
    assert len(browser.fetch("/").cookies) == 1
    assert len(site.sessions) == 2
    assert site.named("session.start")[1].previous_id is None
    assert site.named("lost") == []


def test_a_late_user_change_counts_at_once_and_corrects_the_next_cookie(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: identify("ada"), response=late(lambda: identify("bob"), lambda: track("his")))
    browser.navigate()
    assert [event.user_id for event in site.named("user.identify")] == ["ada", "bob"]
    assert site.named("his")[0].session_id == site.sessions[1]
    site.views["/"] = view_of(lambda: track("next"))
    assert len(browser.navigate().cookies) == 1
    assert site.named("next")[0].session_id == site.sessions[1]
    assert len(site.sessions) == 2
    assert browser.navigate().cookies == []


def test_a_late_change_survives_a_refresh_by_another_worker(make_site: MakeSite) -> None:
    here = make_site()
    there = make_site(clock=here.clock)
    browser = Browser(here)
    here.views["/"] = view_of(response=late(lambda: identify("ada")))
    browser.navigate()
    here.clock.advance(90)
    elsewhere = Browser(there, cookies=browser.cookies)
    assert len(elsewhere.navigate().cookies) == 1
    here.views["/"] = view_of(lambda: identify("bob"))
    browser.navigate()
    assert len(here.sessions) == 2, "ada was not forgotten: bob is a user change"


def test_a_late_restart(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(response=late(lambda: start_session("abcdefgh"), heartbeat))
    browser.navigate()
    assert site.sessions[1] == "abcdefgh"
    site.views["/"] = view_of()
    browser.navigate()
    assert site.ends() == [("restarted", 0)]


def test_late_calls_of_a_session_that_is_over_are_dropped_and_counted(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(response=late(lambda: site.clock.advance(1800), lambda: track("lost"), heartbeat))
    browser.navigate()
    assert site.named("lost") == []
    assert site.ignored == {"over": 2}


def test_late_calls_without_a_session_are_dropped_and_counted(site: Site, browser: Browser) -> None:
    site.views["/api"] = view_of(response=late(lambda: track("lost"), lambda: identify("ada"), start_session))
    browser.fetch()
    assert site.events == []
    assert site.ignored["no_session"] == 3


@pytest.mark.parametrize(
    ("call", "error"),
    [
        pytest.param(lambda: track("session.start"), ValueError, id="a reserved name"),
        pytest.param(lambda: track("session.mine"), ValueError, id="a name that looks like ours"),
        pytest.param(lambda: track(""), ValueError, id="no name"),
        pytest.param(lambda: track("x\ny"), ValueError, id="a name that is not printable"),
        pytest.param(lambda: track("x" * 101), ValueError, id="a name that is too long"),
        pytest.param(lambda: track(7), TypeError, id="a name that is no text"),  # type: ignore[arg-type]
        pytest.param(lambda: track("x", {"a..b": 1}), ValueError, id="a malformed property"),
        pytest.param(lambda: identify(object()), TypeError, id="a user object"),  # type: ignore[arg-type]
        pytest.param(lambda: identify(True), TypeError, id="a bool"),
        pytest.param(lambda: identify("ada", name=7), TypeError, id="a name of a user"),  # type: ignore[arg-type]
        pytest.param(lambda: identify("ada", traits={"a b": 1}), ValueError, id="a malformed trait"),
    ],
)
def test_a_programmers_error_raises_and_changes_nothing(
    site: Site, browser: Browser, call: Callable[[], object], error: type[Exception]
) -> None:
    def view() -> None:
        with pytest.raises(error):
            call()

    site.views["/"] = view
    browser.navigate()
    assert site.names() == ["session.start", "page_view"]
    assert site.ignored == {}


BAD_DATA = [
    pytest.param(lambda: identify("x" * 257), "bad_user_id", id="a long user id"),
    pytest.param(lambda: identify("a\nb"), "bad_user_id", id="a user id with a newline"),
    pytest.param(lambda: track("x", {"a": float("nan")}), "property_not_finite", id="NaN"),
    pytest.param(lambda: track("x", {"a": "y" * 6000}), "property_cut", id="a long text"),
    pytest.param(lambda: track("x", {f"p{n}": n for n in range(60)}), "property_too_many", id="too many"),
]


@pytest.mark.parametrize(("call", "problem"), BAD_DATA)
def test_bad_data_is_counted_and_warned_of_once(
    site: Site, browser: Browser, caplog: pytest.LogCaptureFixture, call: Callable[[], object], problem: str
) -> None:
    site.views["/"] = view_of(call, call)
    browser.navigate()
    assert site.ignored[problem] % 2 == 0
    assert len([record for record in caplog.records if record.levelno == logging.WARNING]) == 1
    assert site.named("user.identify") == []


@pytest.mark.parametrize(("call", "problem"), BAD_DATA)
def test_bad_data_raises_when_strict(make_site: MakeSite, call: Callable[[], object], problem: str) -> None:
    site = make_site(strict=True)

    def view() -> None:
        with pytest.raises(ValueError, match=r"identify|track"):
            call()

    site.views["/"] = view
    assert Browser(site).navigate().status == 200
    assert problem not in site.ignored


class Shout(str):
    """Text, as template engines mark it."""

    __slots__ = ()


class Double(float):
    """A number, as numerical libraries make it."""

    __slots__ = ()


def test_kinds_of_text_and_numbers_are_kept_as_what_they_are(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(
        lambda: identify(Shout("ada"), traits={"t": Shout("x")}),
        lambda: track(Shout("odd"), {Shout("s"): Shout("y"), "f": Double(1.5)}),
    )
    browser.navigate()
    (event,) = site.named("odd")
    assert event.user_id == "ada"
    assert (event.attributes["event_properties.s"], event.attributes["event_properties.f"]) == ("y", 1.5)


# --- our faults stay ours --------------------------------------------------------------------------------------------


class BrokenSink:
    def append(self, record: object, *, kind: str, is_essential: bool) -> bool:
        msg = "Set-Cookie: sojourn=secret"
        raise OSError(msg)


def test_a_broken_journal_harms_no_response_and_no_helper(
    site: Site, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    browser.navigate()
    site.engine.intake.append = BrokenSink().append  # type: ignore[method-assign]
    response = late(lambda: track("late"), end_session)
    site.views["/"] = view_of(lambda: track("x"), lambda: identify("ada"), response=response)
    for _ in range(2):
        reply = browser.navigate()
        assert (reply.status, reply.body, reply.header("content-type")) == (200, b"<p>late</p>", [HTML[1]])
    assert site.ignored["fault"] >= 4
    assert "secret" not in caplog.text
    assert len({record.getMessage() for record in caplog.records}) == len(caplog.records), "each cause is said once"


@pytest.mark.parametrize("part", ["now", "monotonic"])
def test_a_broken_clock_harms_no_response_and_no_helper(
    site: Site, browser: Browser, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    browser.navigate()

    def broken() -> int:
        raise OverflowError

    with monkeypatch.context() as patch:
        patch.setattr(site.clock, part, broken, raising=False)
        response = late(lambda: track("late"), end_session)
        site.views["/"] = view_of(
            lambda: track("x"), lambda: identify("ada"), start_session, heartbeat, current_session, response=response
        )
        reply = browser.navigate()
    assert (reply.status, reply.body) == (200, b"<p>late</p>")
    assert site.ignored["fault"] >= 1
    site.views["/"] = view_of(lambda: track("again"))
    browser.navigate()
    assert len(site.named("again")) == 1


def test_a_backend_that_fails_is_not_felt(site: Site, browser: Browser) -> None:
    site.backend.fail(1, error=OSError("down"))
    assert browser.navigate().status == 200
    site.engine.flush()
    assert browser.navigate().status == 200
