"""S15: `carry()` takes a request into a thread. Its calls name their session, whatever the browser does meanwhile."""

from __future__ import annotations

import asyncio
import inspect
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Thread
from typing import Any

import pytest

from sojourn import (
    NoActiveRequest,
    capture_exception,
    carry,
    current_session,
    end_session,
    heartbeat,
    identify,
    opt_in,
    opt_out,
    set_session_property,
    start_session,
    track,
)
from sojourn.data_subjects import erase
from tests.doors.browser import HTML, Browser, Response, Site, during, view_of

MakeSite = Callable[..., Site]
Call = Callable[[], object]


def in_thread(work: Call) -> None:
    """Run it in a thread of its own, which inherits nothing; raise what it raises."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(work).result()


def carried(browser: Browser, work: Call, path: str = "/") -> Call:
    """Open a page whose view carries the work, and return what it would give to a thread."""
    taken: list[Call] = []
    browser.site.views[path] = view_of(lambda: taken.append(carry(work)))
    browser.navigate(path)
    browser.site.views.pop(path)
    return taken[0]


def everything() -> None:
    """Call every helper that records something."""
    track("late")
    identify("bob")
    identify(None)
    set_session_property("plan", "pro")
    capture_exception(ValueError("no"))
    heartbeat()
    start_session("checkout-1")
    end_session()


# --- during the request ---------------------------------------------------------------------------------------------


def starts_thread(work: Call) -> None:
    thread = Thread(target=carry(work))
    thread.start()
    thread.join()


def submits(work: Call) -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(carry(work)).result()


def runs_in_executor(work: Call) -> None:
    async def view() -> None:
        await asyncio.get_running_loop().run_in_executor(None, carry(work))

    asyncio.run(view())


@pytest.mark.parametrize("start", [starts_thread, submits, runs_in_executor])
def test_helpers_work_in_a_thread_that_a_view_starts(
    site: Site, browser: Browser, start: Callable[[Call], None]
) -> None:
    seen: list[Any] = []

    def work() -> None:
        track("inside")
        identify("ada")
        seen.append(current_session())

    site.views["/"] = view_of(lambda: start(work), lambda: seen.append(current_session()))
    browser.navigate()
    assert site.names() == ["session.start", "inside", "user.identify", "page_view"]
    assert [session.user_id for session in seen] == ["ada", "ada"]
    assert len(site.sessions) == 1
    assert browser.navigate().cookies == []


def test_a_bare_thread_is_outside_the_request_and_the_error_names_the_fix(site: Site, browser: Browser) -> None:
    def view() -> None:
        with pytest.raises(NoActiveRequest, match=r"sojourn\.carry\(\)"):
            in_thread(lambda: track("bare"))

    site.views["/"] = view_of(view)
    browser.navigate()
    assert "bare" not in site.names()


@pytest.mark.parametrize(
    "response",
    [Response(headers=(HTML, ("cache-control", "public, max-age=60"))), Response(status=304, headers=(), pieces=())],
    ids=["public", "304"],
)
def test_what_a_thread_calls_shares_the_fate_of_a_session_that_cannot_start(
    site: Site, browser: Browser, response: Response
) -> None:
    taken: list[Call] = []
    site.views["/"] = view_of(lambda: taken.append(carry(everything)), lambda: in_thread(taken[0]), response=response)
    browser.navigate()
    in_thread(taken[0])
    assert site.events == []


@pytest.mark.parametrize("is_first", [False, True], ids=["a running session", "one that the request has just begun"])
def test_a_call_after_the_request_left_its_session_stays_with_that_session(
    site: Site, browser: Browser, is_first: bool
) -> None:
    if not is_first:
        browser.navigate()
        site.clock.advance(5)

    def view() -> None:
        identify("ada")
        first = carry(view_of(partial(track, "hers"), partial(identify, "ada"), current_session))
        identify("bob")
        track("his")
        in_thread(first)

    site.views["/"] = view_of(view)
    browser.navigate()
    assert site.named("hers")[0].session_id == site.sessions[0]
    assert site.named("his")[0].session_id == site.sessions[1]
    assert [event.user_id for event in site.named("user.identify")] == ["ada", "bob"]
    assert len(site.sessions) == 2


def test_a_call_follows_the_request_where_its_session_came_to_nothing(site: Site, browser: Browser) -> None:
    taken: list[Call] = []
    site.views["/"] = view_of(
        current_session, lambda: taken.append(carry(partial(track, "late"))), lambda: start_session("checkout-1")
    )
    browser.navigate()
    in_thread(taken[0])
    restarts(browser)
    in_thread(taken[0])
    late = site.named("late")
    assert [event.attributes.get("session.late") for event in late] == [None, True]
    assert {event.session_id for event in late} == {"checkout-1"}


def test_a_call_after_another_request_of_the_browser_ended_the_session_is_late(site: Site, browser: Browser) -> None:
    browser.navigate()
    site.views["/out"] = view_of(end_session)
    taken: list[Call] = []

    def view() -> None:
        taken.append(carry(partial(track, "late")))
        browser.twin().navigate("/out")
        in_thread(taken[0])

    during(browser, "/", view)
    (event,) = site.named("late")
    assert (event.session_id, event.attributes["session.late"]) == (site.sessions[0], True)


def test_the_response_waits_for_a_call_that_has_begun(site: Site, browser: Browser) -> None:
    has_begun, is_over = Event(), Event()
    overtaken: list[bool] = []

    class Slow(Exception):
        def __str__(self) -> str:
            has_begun.set()
            overtaken.append(is_over.wait(0.05))
            return "slow"

    thread: list[Thread] = []

    def view() -> None:
        thread.append(Thread(target=carry(partial(capture_exception, Slow()))))
        thread[0].start()
        has_begun.wait(5)

    site.views["/"] = view_of(view)
    browser.navigate()
    is_over.set()
    thread[0].join()
    assert overtaken == [False]
    assert site.names() == ["session.start", "exception", "page_view"]


def test_calls_of_many_threads_beside_the_view_are_recorded_once_each(site: Site, browser: Browser) -> None:
    taken: list[Thread] = []

    def work(number: int) -> None:
        for step in range(50):
            track(f"call-{number}-{step}")

    def view() -> None:
        taken.extend(Thread(target=carry(work), args=(number,)) for number in range(4))
        for thread in taken:
            thread.start()

    site.views["/"] = view_of(view)
    browser.navigate()
    for thread in taken:
        thread.join()
    calls = sorted(name for name in site.names() if name.startswith("call-"))
    assert calls == sorted(f"call-{number}-{step}" for number in range(4) for step in range(50))
    assert len(site.sessions) == 1
    assert {event.session_id for event in site.events} == set(site.sessions)


def test_a_principal_may_wait_for_a_thread_that_carries_the_request(make_site: MakeSite) -> None:
    taken: list[Call] = []

    def principal(_request: object) -> str:
        pool = ThreadPoolExecutor(1)
        call = pool.submit(taken[0])
        pool.shutdown(wait=False)
        call.result(timeout=5)
        return "ada"

    site = make_site(principal=principal)
    site.views["/"] = view_of(lambda: taken.append(carry(partial(track, "inside"))))
    Browser(site).navigate()
    assert site.names() == ["session.start", "user.identify", "inside", "page_view"]


# --- after the response ---------------------------------------------------------------------------------------------


def test_a_call_after_the_response_is_activity_of_the_running_session(site: Site, browser: Browser) -> None:
    work = carried(browser, view_of(partial(track, "done"), partial(identify, "ada")))
    site.clock.advance(60)
    in_thread(work)
    (event,) = site.named("done")
    assert (event.session_id, event.time) == (site.sessions[0], site.clock.now_ms)
    assert "session.late" not in event.attributes
    site.clock.advance(1800)
    site.engine.sweep()
    assert site.ends() == [("idle_timeout", 60)]


def ends_it(browser: Browser) -> None:
    browser.site.views["/end"] = view_of(end_session)
    browser.fetch("/end")


def lets_it_time_out(browser: Browser) -> None:
    browser.site.clock.advance(1800)


def lets_it_time_out_and_comes_back(browser: Browser) -> None:
    lets_it_time_out(browser)
    browser.navigate()


def is_another_user(browser: Browser) -> None:
    browser.site.views["/login"] = view_of(lambda: identify("zoe"))
    browser.navigate("/login")


def restarts(browser: Browser) -> None:
    browser.site.views["/restart"] = view_of(lambda: start_session("checkout-2"))
    browser.navigate("/restart")


ENDS = [ends_it, lets_it_time_out, lets_it_time_out_and_comes_back, is_another_user, restarts]


@pytest.mark.parametrize("leaves", ENDS)
def test_a_call_after_the_end_is_late_in_its_session_and_revives_nothing(
    site: Site, browser: Browser, leaves: Callable[[Browser], object]
) -> None:
    seen: list[Any] = []

    def work() -> None:
        everything()
        seen.append(current_session())

    site.views["/"] = view_of(lambda: identify("ada"))
    browser.navigate()
    call = carried(browser, work, "/work")
    leaves(browser)
    browser.site.views.clear()
    before, cookies = site.sessions, dict(browser.cookies)
    in_thread(call)
    late = [event for event in site.events if event.attributes.get("session.late")]
    assert [event.name for event in late] == ["late", "session.properties", "exception"]
    assert {event.session_id for event in late} == {before[0]}
    assert seen == [None]
    assert site.sessions == before
    assert "bob" not in {event.user_id for event in site.events}

    site.clock.advance(1)
    reply = browser.navigate()
    assert [event.attributes["session.id"] for event in site.named("page_view")][-1] != before[0]
    assert site.sessions[: len(before)] == before
    assert reply.cookies != [] or browser.cookies == cookies
    site.clock.advance(86_400)
    site.engine.sweep()
    assert site.ends()[0][1] == 0, "the end did not move"
    assert len(site.ends()) == len(site.sessions)


@pytest.mark.parametrize("leaves", [ends_it, lets_it_time_out, lets_it_time_out_and_comes_back, restarts])
def test_a_user_named_after_the_end_is_named_for_that_session_only(
    site: Site, browser: Browser, leaves: Callable[[Browser], object]
) -> None:
    call = carried(browser, partial(identify, "ada", "Ada"))
    leaves(browser)
    in_thread(call)
    in_thread(call)
    browser.navigate()
    identified = site.named("user.identify")
    assert {(event.session_id, event.user_id, event.attributes["session.late"]) for event in identified} == {
        (site.sessions[0], "ada", True)
    }
    assert [event.user_id for event in site.named("session.start")] == [None] * len(site.sessions)
    assert site.named("page_view")[-1].user_id is None


@pytest.mark.parametrize("leaves", ENDS)
def test_an_end_at_another_worker_counts(
    make_site: MakeSite, tmp_path: Any, leaves: Callable[[Browser], object]
) -> None:
    here = make_site(journal_dir=str(tmp_path))
    there = make_site(clock=here.clock, journal_dir=str(tmp_path))
    browser = Browser(here)
    here.views["/"] = view_of(lambda: identify("ada"))
    browser.navigate()
    call = carried(browser, view_of(partial(track, "late"), partial(identify, "bob")), "/work")
    leaves(Browser(there, cookies=browser.cookies))
    in_thread(call)
    late = here.named("late")
    assert [(event.session_id, event.attributes.get("session.late")) for event in late] == [(here.sessions[0], True)]
    assert len(here.sessions) == 1


# --- opt-out and erasure --------------------------------------------------------------------------------------------


def test_nothing_is_recorded_after_an_opt_out(site: Site, browser: Browser) -> None:
    call = carried(browser, everything)
    browser.site.views["/out"] = view_of(opt_out)
    browser.navigate("/out")
    before = site.names()
    in_thread(call)
    assert site.names() == before
    browser.site.views["/in"] = view_of(opt_in)
    browser.navigate("/in")
    visits = site.names()
    in_thread(call)
    assert site.names() == visits
    assert "late" not in visits


def test_nothing_is_recorded_after_an_opt_out_at_another_worker(make_site: MakeSite, tmp_path: Any) -> None:
    here = make_site(journal_dir=str(tmp_path))
    there = make_site(clock=here.clock, journal_dir=str(tmp_path))
    browser = Browser(here)
    call = carried(browser, everything)
    there.views["/out"] = view_of(opt_out)
    Browser(there, cookies=browser.cookies).navigate("/out")
    before = here.names()
    in_thread(call)
    assert here.names() == before


@pytest.mark.parametrize("leaves", [lambda browser: None, *ENDS])
def test_an_opt_out_always_takes_effect(site: Site, browser: Browser, leaves: Callable[[Browser], object]) -> None:
    call = carried(browser, opt_out)
    leaves(browser)
    site.views.clear()
    in_thread(call)
    before = site.names()
    browser.navigate()
    browser.navigate()
    assert site.names() == before


@pytest.mark.parametrize("goes_on", [False, True])
def test_nothing_is_recorded_after_an_erasure(site: Site, browser: Browser, goes_on: bool) -> None:
    call = carried(browser, everything)
    (visitor,) = {event.visitor_id for event in site.events}
    site.clock.advance(5)
    erase(site.engine.store, visitor_id=visitor, now=site.clock.now_ms)
    site.clock.advance(5)
    if goes_on:
        browser.navigate()
    before = site.names()
    in_thread(call)
    assert site.names() == before


# --- what can be carried --------------------------------------------------------------------------------------------


def test_a_function_may_be_carried_twice_and_called_often(site: Site, browser: Browser) -> None:
    call = carried(browser, partial(track, "again"))
    in_thread(call)
    in_thread(call)
    twice = carried(browser, carry(partial(track, "twice")))
    in_thread(twice)
    assert [site.names().count(name) for name in ("again", "twice")] == [2, 1]


@pytest.mark.parametrize("leaves", [lambda browser: None, *ENDS])
def test_what_a_carried_function_carries_on_keeps_its_session(
    site: Site, browser: Browser, leaves: Callable[[Browser], object]
) -> None:
    call = carried(browser, lambda: in_thread(carry(partial(track, "inner"))))
    leaves(browser)
    in_thread(call)
    assert [event.session_id for event in site.named("inner")] == site.sessions[:1]


def test_a_function_of_one_request_called_in_another_keeps_its_own(site: Site, browser: Browser) -> None:
    call = carried(browser, partial(track, "hers"))
    site.views["/other"] = view_of(call, partial(track, "theirs"))
    other = Browser(site)
    other.navigate("/other")
    assert site.named("hers")[0].session_id == site.sessions[0]
    assert site.named("theirs")[0].session_id == site.sessions[1]


class Task:
    async def __call__(self) -> str:
        track("async")
        return "done"


async def work() -> str:
    await asyncio.sleep(0)
    track("async")
    return "done"


def begins() -> Any:
    return work()


@pytest.mark.parametrize("task", [work, partial(work), Task(), begins])
def test_async_functions_are_carried(site: Site, browser: Browser, task: Callable[[], Any]) -> None:
    call: Any = carried(browser, task)
    assert inspect.iscoroutinefunction(call) is inspect.iscoroutinefunction(task)
    in_thread(lambda: asyncio.run(call()))
    assert site.names().count("async") == 1


def iterates() -> Iterator[int]:
    yield 1


async def iterates_async() -> Any:
    yield 1


@pytest.mark.parametrize("function", [None, "track", iterates, iterates_async])
def test_what_cannot_be_carried_is_refused(site: Site, browser: Browser, function: Any) -> None:
    def view() -> None:
        with pytest.raises(TypeError, match=r"carry\(\)"):
            carry(function)

    site.views["/"] = view_of(view)
    browser.navigate()


def test_a_carried_function_looks_like_the_function_and_stays_in_its_process(site: Site, browser: Browser) -> None:
    call: Any = carried(browser, lets_it_time_out)  # type: ignore[arg-type]
    assert (call.__name__, call.__wrapped__) == ("lets_it_time_out", lets_it_time_out)
    with pytest.raises(TypeError, match="another process"):
        pickle.dumps(call)


def test_outside_a_request_a_function_is_returned_as_it_is() -> None:
    assert carry(everything) is everything
    with pytest.raises(NoActiveRequest):
        carry(everything)()


def test_an_exception_of_the_function_passes(site: Site, browser: Browser) -> None:
    def fails() -> None:
        raise KeyError("x")

    call = carried(browser, fails)
    with pytest.raises(KeyError):
        in_thread(call)
    with pytest.raises(NoActiveRequest):
        track("outside again")
