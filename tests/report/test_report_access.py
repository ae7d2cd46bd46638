"""Access to the report: denied until the app says who may see it. Through ASGI and WSGI."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sojourn import Settings
from sojourn.engine import Engine
from sojourn.errors import SettingsError
from sojourn.report import report, report_wsgi
from tests.report.conftest import MakeApp
from tests.report.harness import NAVIGATE, PASSWORD, TOKEN, App, Protocol, Reader

PAGES = ("/", "/sessions", "/sessions.csv", "/sessions.json", "/sessions/x", "/users?id=a", "/delivery", "/events/e")
LIVE = ("/live/online", "/live/sessions", "/live/delivery", "/live/sessions/x")


@pytest.mark.parametrize(
    ("access", "problem"),
    [
        pytest.param({}, "closed until you say who may look", id="nothing"),
        pytest.param({"password": ""}, "at least 8 characters; here is a new one", id="an empty password"),
        pytest.param({"password": "1234567"}, "at least 8 characters", id="a short password"),
        pytest.param({"token": "short"}, "at least 16 characters", id="a short token"),
        pytest.param({"allow": "yes"}, "give a function", id="no function"),
        pytest.param({"allow": bool, "password": PASSWORD}, "it decides alone", id="both a function and a password"),
    ],
)
@pytest.mark.parametrize("make", [report, report_wsgi])
def test_report_without_access_rules_is_an_error(make: Any, access: dict[str, Any], problem: str) -> None:
    engine = Engine(Settings(secret_key="k" * 32, store="memory:"))
    with pytest.raises(SettingsError, match=problem):
        make(engine, **access)


def test_wsgi_report_rejects_an_async_check() -> None:
    async def allow(_request: object) -> bool:
        return True

    with pytest.raises(SettingsError, match="cannot await"):
        report_wsgi(Engine(Settings(secret_key="k" * 32, store="memory:")), allow=allow)


@pytest.mark.parametrize("path", PAGES)
def test_page_redirects_to_log_in_and_log_in_redirects_back(app: App, path: str) -> None:
    app.visit("/secret-page")
    reader = Reader(app)
    reply = reader.request("GET", path, headers=NAVIGATE)
    assert (reply.status, "secret-page" in reply.text) == (303, False)
    assert reply.header("location").startswith("/_sojourn/login")
    reply = reader.log_in(next=path)
    assert (reply.status, reply.header("location")) == (303, f"/_sojourn{path}")


@pytest.mark.parametrize("path", LIVE)
def test_live_updates_need_a_log_in(app: App, path: str) -> None:
    app.visit()
    reply = Reader(app).request("GET", path)
    assert (reply.status, reply.text) == (401, "{}")


@pytest.mark.parametrize("path", ["/delivery/try", "/delivery/retry", "/delivery/skip", "/logout"])
def test_forms_need_a_log_in(app: App, path: str) -> None:
    reply = Reader(app).post(path, backend="jsonl")
    assert (reply.status, "Log in first" in reply.words) == (403, True)


def test_right_password_logs_in_and_wrong_one_does_not(app: App) -> None:
    reader = Reader(app)
    wrong = reader.log_in("another password")
    assert (wrong.status, "Wrong password or token" in wrong.words) == (403, True)
    assert reader.get("/").status == 303
    assert reader.log_in().status == 303
    assert reader.get("/").status == 200


def test_log_out_revokes_copies_of_the_cookie(app: App, reader: Reader) -> None:
    copy = Reader(app, dict(reader.cookies))
    token = reader.get("/").form_token
    assert reader.post("/logout", token=token).status == 303
    assert [each.get("/").status for each in (reader, copy)] == [303, 303]


def test_log_in_expires_after_twelve_hours(app: App, reader: Reader) -> None:
    app.clock.advance(12 * 3600 - 1)
    assert reader.get("/").status == 200
    app.clock.advance(2)
    assert reader.get("/").status == 303


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("in.00000000000000000000000000000000.99999999999999", id="no signature"),
        pytest.param("in.0.99999999999999.AAAA", id="a wrong signature"),
        pytest.param("\u00e4" * 20, id="no ASCII"),
        pytest.param("x" * 5000, id="long"),
        pytest.param("", id="empty"),
    ],
)
def test_forged_cookie_is_ignored(app: App, reader: Reader, value: str) -> None:
    name, _ = reader.ticket
    assert Reader(app, {name: value}).get("/").status == 303


def test_logged_out_ticket_cannot_be_edited_into_a_logged_in_one(app: App) -> None:
    reader = Reader(app)
    reader.get("/login")
    ((name, value),) = reader.cookies.items()
    assert value.startswith("out.")
    assert Reader(app, {name: value.replace("out.", "in.", 1)}).get("/").status == 303


def test_log_in_issues_a_new_ticket_so_that_a_planted_one_stays_logged_out(app: App) -> None:
    reader = Reader(app)
    reader.get("/login")
    before = dict(reader.cookies)
    reader.log_in()
    assert before != reader.cookies
    assert Reader(app, before).get("/").status == 303


@pytest.mark.parametrize("scheme", ["", "https://app.example"])
def test_cookie_is_scoped_to_the_report_and_hidden_from_scripts(app: App, scheme: str) -> None:
    reply = Reader(app, scheme=scheme).get("/login")
    line = reply.header("set-cookie")
    assert {"HttpOnly", "SameSite=Strict", "Path=/_sojourn"} <= set(line.split("; "))
    assert ("Secure" in line.split("; ")) is line.startswith("__Secure-") is bool(scheme)


def test_workers_share_tickets_until_the_password_changes(protocol: Protocol) -> None:
    apps = [App(protocol, password=password) for password in (PASSWORD, PASSWORD, "the next password")]
    reader = Reader(apps[0])
    reader.log_in()
    assert [Reader(app, dict(reader.cookies)).get("/").status for app in apps] == [200, 200, 303]
    for app in apps:
        app.close()


# --- guessing


def test_rate_limited_guesser_gets_a_retry_after(app: App) -> None:
    reader = Reader(app)
    statuses = [reader.log_in("wrong wrong").status for _ in range(6)]
    assert statuses == [403] * 5 + [429]
    refused = reader.log_in()  # the right password is rate-limited too
    assert (refused.status, refused.header("retry-after").isdecimal()) == (429, True)
    assert "Too many attempts" in refused.words
    assert Reader(app, client="192.0.2.99").log_in().status == 303  # another address is not rate-limited


def test_wrong_bearer_token_counts_as_an_attempt(make_app: MakeApp) -> None:
    app = make_app(token=TOKEN)
    statuses = [
        app.request("GET", "/_sojourn/sessions.json", {"authorization": "Bearer wrong"}).status for _ in range(6)
    ]
    assert statuses == [401] * 6
    assert Reader(app).log_in(TOKEN).status == 429  # the form is rate-limited like any other attempt
    assert app.request("GET", "/_sojourn/sessions.json", {"authorization": f"Bearer {TOKEN}"}).status == 200


# --- tokens


def test_token_works_as_a_bearer_and_in_the_form(make_app: MakeApp) -> None:
    app = make_app(token=TOKEN, password=PASSWORD)
    reply = app.request("GET", "/_sojourn/sessions.json", {"authorization": f"Bearer {TOKEN}"})
    assert (reply.status, reply.text) == (200, "[]\n")
    for guess in (TOKEN, PASSWORD):
        assert Reader(app).log_in(guess).status == 303


# --- allow


@pytest.mark.parametrize("is_async", [False, True])
def test_allow_gets_the_frameworks_request(make_app: MakeApp, protocol: Protocol, is_async: bool) -> None:
    seen: list[Any] = []

    def allow(request: Any) -> bool:
        seen.append(request)
        headers = request.headers if protocol == "asgi" else {"x-admin": request.get("HTTP_X_ADMIN")}
        return headers.get("x-admin") == "yes"

    async def allow_later(request: Any) -> bool:
        return allow(request)

    if is_async and protocol == "wsgi":
        pytest.skip("a WSGI app cannot await")
    app = make_app(allow=allow_later if is_async else allow)
    refused = app.request("GET", "/_sojourn/", NAVIGATE)
    assert (refused.status, "Your app denied access" in refused.words) == (403, True)
    assert app.request("GET", "/_sojourn/", {**NAVIGATE, "x-admin": "yes"}).status == 200
    assert len(seen) == 2
    if protocol == "asgi":
        assert type(seen[0]).__module__.startswith("starlette.")


@pytest.mark.parametrize("result", [None, 1, "yes", lambda: False])
def test_allow_must_return_a_bool(make_app: MakeApp, result: Any) -> None:
    app = make_app(allow=lambda _request: result)
    with pytest.raises(TypeError, match="must return a bool"):
        app.request("GET", "/_sojourn/", NAVIGATE)


def test_forms_need_the_csrf_token_with_allow_too(make_app: MakeApp) -> None:
    app = make_app(allow=lambda _request: True)
    reader = Reader(app)
    token = reader.get("/delivery").form_token
    assert reader.post("/theme", token=token, theme="dark").status == 303
    assert Reader(app).post("/theme", token=token, theme="dark").status == 403


def test_allow_may_read_the_form(make_app: MakeApp, protocol: Protocol) -> None:
    read: list[bytes] = []

    async def allow_later(request: Any) -> bool:
        read.append(await request.body())
        return True

    def allow(environ: Any) -> bool:
        read.append(environ["wsgi.input"].read())
        return True

    app = make_app(allow=allow_later if protocol == "asgi" else allow)
    reader = Reader(app)
    assert reader.post("/theme", token=reader.get("/delivery").form_token, theme="dark").status == 303
    assert b"theme=dark" in read[-1]


# --- forms of other sites


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 303, id="our own page"),
        pytest.param({"origin": "null"}, 303, id="our own page, without a referrer"),
        pytest.param({"origin": "http://app.example"}, 303, id="our own origin"),
        pytest.param({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403, id="another site's page"),
        pytest.param({"origin": "https://public.example"}, 303, id="our own page, behind a proxy that rewrites Host"),
        pytest.param({"sec-fetch-site": "same-site"}, 403, id="a sister's page"),
        pytest.param({"sec-fetch-site": "", "origin": "https://evil.example"}, 403, id="another site, an old browser"),
        pytest.param({"sec-fetch-site": "", "origin": "null"}, 303, id="an old browser"),
    ],
)
def test_form_is_accepted_only_from_the_reports_own_pages(
    app: App, reader: Reader, headers: dict[str, str], status: int
) -> None:
    token = reader.get("/").form_token
    assert reader.post("/theme", token=token, headers=headers, theme="dark").status == status


@pytest.mark.parametrize("token", ["", "0" * 64, "\u00e4"])
def test_form_without_the_csrf_token_is_rejected(reader: Reader, token: str) -> None:
    assert reader.post("/logout", token=token).status == 403
    assert reader.get("/").status == 200


def test_csrf_token_of_another_reader_is_rejected(app: App, reader: Reader) -> None:
    other = Reader(app)
    other.log_in()
    assert reader.post("/logout", token=other.get("/").form_token).status == 403


# --- redirects


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example/",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/x\r\nset-cookie: a=b",
        "x",
    ],
)
def test_log_in_never_redirects_to_another_site(app: App, path: str) -> None:
    assert Reader(app).log_in(next=path).header("location") == "/_sojourn/"


def test_link_from_another_site_redirects_so_that_the_strict_cookie_is_sent(app: App) -> None:
    reply = Reader(app).request("GET", "/sessions?q=a%22b", headers={**NAVIGATE, "sec-fetch-site": "cross-site"})
    assert reply.status == 200
    assert re.findall(r'content="0; url=([^"]*)"', reply.text) == ["/_sojourn/sessions?q=a%22b"]


# --- every response


@pytest.mark.parametrize("path", ["/login", "/", "/nothing-here", "/assets/none/report.css", "/live/online"])
def test_every_response_has_the_security_headers(app: App, path: str) -> None:
    reply = Reader(app).request("GET", path)
    policy = reply.header("content-security-policy")
    for rule in (
        "default-src 'none'",
        "script-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'none'",
    ):
        assert rule in policy
    assert "unsafe" not in policy
    assert reply.header("x-content-type-options") == "nosniff"
    assert reply.header("referrer-policy") == "no-referrer"
    assert reply.header("cache-control") == "no-store"


@pytest.mark.parametrize("path", ["/", "/sessions", "/delivery", "/login", "/nothing"])
def test_pages_have_no_inline_style_or_script(reader: Reader, path: str) -> None:
    text = reader.get(path).text
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:|<script(?! type=\"module\" src=)", text) == []


def test_assets_are_immutable_under_hashed_paths(app: App) -> None:
    text = Reader(app).get("/login").text
    for path in re.findall(r'(?:src|href)="/_sojourn(/assets/[^"]+)"', text):
        reply = Reader(app).request("GET", path)
        assert (reply.status, reply.header("cache-control")) == (200, "public, max-age=31536000, immutable")
        assert Reader(app).request("POST", path).status == 404


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("PUT", 405), ("DELETE", 405), ("OPTIONS", 405)])
def test_methods_other_than_get_head_and_post_are_rejected(reader: Reader, method: str, status: int) -> None:
    assert reader.request(method, "/sessions.csv").status == status


def test_too_large_form_is_rejected(reader: Reader) -> None:
    assert reader.request("POST", "/theme", body=b"a=" + b"x" * 70_000).status == 413


def test_password_is_not_kept(app: App) -> None:
    access = app._page.core.access if app.protocol == "asgi" else None
    if access is not None:
        assert PASSWORD not in repr(vars(access.password))


def test_disabled_sojourn_says_so(make_app: MakeApp) -> None:
    app = make_app(settings={"enabled": False}, password=PASSWORD)
    reader = Reader(app)
    reader.log_in()
    reply = reader.get("/")
    assert (reply.status, "Sojourn is disabled" in reply.words) == (503, True)
