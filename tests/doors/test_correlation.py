"""The session on spans of OpenTelemetry, and in the baggage of outgoing calls. Nothing leaves unless it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sojourn import SojournError, current_session, identify
from sojourn.baggage import SessionBaggage
from sojourn.errors import SettingsError
from sojourn.propagation import extract, inject
from tests.doors.browser import Browser, Site, view_of

MakeSite = Callable[..., Site]
ORIGIN = "https://api.example"

# --- baggage


def called(baggage: SessionBaggage, url: str, headers: dict[str, str] | None = None) -> list[tuple[str, str | None]]:
    """The URL and the baggage of each request that a call comes to."""
    sent: list[tuple[str, str | None]] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append((str(request.url), request.headers.get("baggage")))
        if request.url.path == "/away":
            return httpx.Response(302, headers={"location": "https://other.example/"})
        if request.url.path == "/round":
            return httpx.Response(302, headers={"location": f"{ORIGIN}/"})
        return httpx.Response(200)

    with httpx.Client(
        transport=httpx.MockTransport(respond), event_hooks={"request": [baggage]}, follow_redirects=True
    ) as client:
        client.get(url, headers=headers)
    return sent


def in_request(site: Site, browser: Browser, *calls: Callable[[], object]) -> str:
    """Make calls in a view, and return its session's id."""
    seen: list[Any] = []
    site.views["/"] = view_of(*calls, lambda: seen.append(current_session()))
    browser.navigate()
    session_id: str = seen[0].id
    return session_id


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        pytest.param("https://api.example/orders?a=1", True, id="the origin"),
        pytest.param("https://api.example:443/", True, id="its port"),
        pytest.param("https://API.example/", True, id="in capitals"),
        pytest.param("http://api.example/", False, id="another scheme"),
        pytest.param("https://api.example:8443/", False, id="another port"),
        pytest.param("https://api.example.evil.example/", False, id="a longer host"),
        pytest.param("https://x.api.example/", False, id="a subdomain"),
        pytest.param("https://api.example@evil.example/", False, id="a user name"),
    ],
)
def test_the_session_goes_to_the_named_origins_only(site: Site, browser: Browser, url: str, is_sent: bool) -> None:
    sent: list[tuple[str, str | None]] = []
    session_id = in_request(site, browser, lambda: sent.extend(called(SessionBaggage([ORIGIN]), url)))
    assert [baggage for _, baggage in sent] == [f"session.id={session_id}" if is_sent else None]


def test_nothing_is_sent_by_default(site: Site, browser: Browser) -> None:
    sent: list[tuple[str, str | None]] = []
    in_request(site, browser, lambda: sent.extend(called(SessionBaggage(), ORIGIN)))
    assert sent == [(ORIGIN, None)]


def test_a_redirect_to_another_origin_takes_nothing_along(site: Site, browser: Browser) -> None:
    sent: list[tuple[str, str | None]] = []
    own = {"baggage": "tenant=7;a=b"}
    session_id = in_request(site, browser, lambda: sent.extend(called(SessionBaggage([ORIGIN]), f"{ORIGIN}/away", own)))
    assert [baggage for _, baggage in sent] == [f"tenant=7;a=b,session.id={session_id}", "tenant=7;a=b"]
    sent.clear()
    in_request(site, browser, lambda: sent.extend(called(SessionBaggage([ORIGIN]), f"{ORIGIN}/round")))
    assert [baggage for _, baggage in sent] == [f"session.id={session_id}"] * 2


def test_the_user_takes_a_second_switch(site: Site, browser: Browser) -> None:
    sent: list[tuple[str, str | None]] = []
    calls = [lambda: identify("Ada, Lovelace"), lambda: sent.extend(called(SessionBaggage([ORIGIN]), ORIGIN))]
    calls.append(lambda: sent.extend(called(SessionBaggage(ORIGIN, user_id=True), ORIGIN)))
    session_id = in_request(site, browser, *calls)
    assert [baggage for _, baggage in sent] == [
        f"session.id={session_id}",
        f"session.id={session_id},user.id=Ada%2C%20Lovelace",
    ]


def test_a_hashed_user_is_sent_as_the_hash(make_site: MakeSite) -> None:
    site = make_site(hash_user_ids=True, user_hash_key="a key of at least sixteen bytes, for users only")
    sent: list[tuple[str, str | None]] = []
    in_request(
        site,
        Browser(site),
        lambda: identify("ada"),
        lambda: sent.extend(called(SessionBaggage(ORIGIN, user_id=True), ORIGIN)),
    )
    (stored,) = {event.user_id for event in site.named("user.identify")}
    assert sent[0][1] is not None
    assert sent[0][1].endswith(f",user.id={stored}")


@pytest.mark.parametrize("headers", [{"sec_gpc": "1"}, {"user_agent": "Googlebot/2.1"}], ids=["GPC", "a bot"])
def test_whoever_is_not_forwarded_is_not_propagated(site: Site, browser: Browser, headers: dict[str, str]) -> None:
    sent: list[tuple[str, str | None]] = []
    site.views["/"] = view_of(lambda: sent.extend(called(SessionBaggage([ORIGIN], user_id=True), ORIGIN)))
    browser.navigate("/", **headers)
    assert sent == [(ORIGIN, None)]


def test_outside_a_request_a_client_works_as_ever() -> None:
    assert called(SessionBaggage([ORIGIN]), ORIGIN) == [(ORIGIN, None)]


def test_asynchronous_clients_await_the_hook(site: Site, browser: Browser) -> None:
    sent: list[str | None] = []

    def respond(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("baggage"))
        return httpx.Response(200)

    async def call() -> None:
        transport = httpx.MockTransport(respond)
        hooks = {"request": [SessionBaggage([ORIGIN]).hook_async]}
        async with httpx.AsyncClient(transport=transport, event_hooks=hooks) as client:
            await client.get(ORIGIN)

    session_id = in_request(site, browser, lambda: _finished(call()))
    assert sent == [f"session.id={session_id}"]


def _finished(work: Any) -> None:
    """Run it in the context of the caller, who may be in a loop that is no real one."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


@pytest.mark.parametrize(
    "origin",
    [
        "api.example",
        "https://",
        "https://*.example",
        "https://api.example/path",
        "ftp://api.example",
        "https://a:b@c.d",
    ],
)
def test_what_is_no_origin_is_refused_at_construction(origin: str) -> None:
    with pytest.raises(SettingsError, match="is no origin"):
        SessionBaggage([origin])


# --- spans


@pytest.fixture
def spans() -> Any:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: Any) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(spans))
    return provider


def attributes(spans: Any) -> dict[str, dict[str, Any]]:
    return {span.name: dict(span.attributes) for span in spans.get_finished_spans()}


def test_spans_of_a_request_have_its_session(site: Site, browser: Browser, spans: Any, provider: Any) -> None:
    import sojourn.opentelemetry

    sojourn.opentelemetry.connect(site.engine, provider)
    tracer = provider.get_tracer("shop")

    def query() -> None:
        with tracer.start_as_current_span("query"):
            pass

    with tracer.start_as_current_span("GET /"):  # as an instrumentation around the app does
        session_id = in_request(site, browser, lambda: identify("ada"), query)
    with tracer.start_as_current_span("outside"):
        pass
    assert attributes(spans) == {
        "query": {"session.id": session_id},
        "GET /": {"session.id": session_id},
        "outside": {},
    }


def test_the_user_is_on_spans_by_a_second_switch(site: Site, browser: Browser, spans: Any, provider: Any) -> None:
    import sojourn.opentelemetry

    sojourn.opentelemetry.connect(site.engine, provider, user_id=True)
    site.user = "ada"
    tracer = provider.get_tracer("shop")
    for name in ("first", "second"):
        with tracer.start_as_current_span(name):
            session_id = in_request(site, browser)
    assert attributes(spans) == {name: {"session.id": session_id, "user.id": "ada"} for name in ("first", "second")}


def test_spans_of_a_bot_and_of_gpc_have_none(site: Site, browser: Browser, spans: Any, provider: Any) -> None:
    import sojourn.opentelemetry

    sojourn.opentelemetry.connect(site.engine, provider)
    tracer = provider.get_tracer("shop")
    with tracer.start_as_current_span("bot"):
        browser.navigate("/", user_agent="Googlebot/2.1")
    with tracer.start_as_current_span("gpc"):
        browser.navigate("/", sec_gpc="1")
    assert attributes(spans) == {"bot": {}, "gpc": {}}


def test_spans_of_a_job_have_the_session_of_its_request(
    site: Site, browser: Browser, spans: Any, provider: Any
) -> None:
    import sojourn.opentelemetry

    sojourn.opentelemetry.connect(site.engine, provider)
    job: dict[str, Any] = {}
    session_id = in_request(site, browser, lambda: inject(job))
    with extract(job, site.engine), provider.get_tracer("shop").start_as_current_span("job"):
        pass
    assert attributes(spans) == {"job": {"session.id": session_id}}


def test_a_missing_provider_is_an_error_that_names_the_fix(site: Site) -> None:
    pytest.importorskip("opentelemetry.sdk")
    import sojourn.opentelemetry

    with pytest.raises(SojournError, match="set a TracerProvider"):
        sojourn.opentelemetry.connect(site.engine, object())
