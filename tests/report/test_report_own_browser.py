"""A reader leaves the own browser out of the figures, and takes it back."""

from __future__ import annotations

from tests.report.harness import MOUNT, App, Reader


def own_cookie(reader: Reader) -> str:
    return f"sojourn_own={reader.cookies.get('sojourn_own', '')}"


def test_a_browser_is_left_out_and_counted_again(app: App, reader: Reader) -> None:
    assert "Do not count this browser" in reader.get("/").words
    reply = reader.post("/own-browser", count="no", next="/agents?range=24h")
    assert (reply.status, reply.header("location")) == (303, f"{MOUNT}/agents?range=24h")
    assert "Path=/; HttpOnly; SameSite=Lax" in reply.header("set-cookie")  # of the app, not of the report's mount
    assert "Your own visits with this browser are not counted. Count this browser" in reader.get("/").words
    app.visit("/", cookie=own_cookie(reader))
    assert app.engine.stats().store.sessions == 0
    reader.post("/own-browser", count="yes")
    assert "Do not count this browser" in reader.get("/").words
    app.visit("/", cookie=own_cookie(reader))
    assert app.engine.stats().store.sessions == 1


def test_the_switch_is_for_readers_alone(app: App) -> None:
    stranger = Reader(app)
    token = stranger.get("/login").form_token
    reply = stranger.post("/own-browser", count="no", token=token)
    assert reply.status == 403
    assert "sojourn_own" not in reply.header("set-cookie")
    assert "count this browser" not in stranger.get("/login").words


def test_another_page_cannot_flip_it(app: App, reader: Reader) -> None:
    reply = reader.post("/own-browser", count="no", token="forged")
    assert reply.status == 403
    assert "sojourn_own" not in reply.header("set-cookie")
