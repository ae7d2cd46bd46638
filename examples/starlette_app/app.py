"""A seed shop behind Sojourn, to run and to read. Configured by SOJOURN_* alone: the README.md beside it says how."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from html import escape
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from sojourn import (
    Settings,
    capture_exception,
    current_session,
    identify,
    opt_in,
    opt_out,
    set_session_properties,
    set_session_property,
    track,
)
from sojourn.starlette import Sojourn

SEEDS = {"tomato": ("🍅", 3.20), "basil": ("🌿", 2.40), "marigold": ("🌼", 1.90), "pumpkin": ("🎃", 4.10)}
SOLD_OUT = {"pumpkin"}
COUNTRIES = ("Austria", "Germany", "Switzerland")
ROBOTS = "User-agent: *\nDisallow: /login\n"
LLMS = """# The seed shop

> Seeds of tomato, basil, marigold and pumpkin, by post.

- [All seeds](/): what there is
- [Tomato](/seeds/tomato), [basil](/seeds/basil), [marigold](/seeds/marigold): the price of a packet
"""
STYLE = """
body { font: 1.05rem/1.6 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1.5rem; color: #233; }
body { background: #fbfaf4; } a { color: #2c6e49; } h1 { line-height: 1.2; } form { margin: 1rem 0; }
nav, ul { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: center; list-style: none; padding: 0; }
nav form { margin: 0 0 0 auto; } nav b { flex: 1; white-space: nowrap; }
footer { margin-top: 3rem; color: #788; font-size: .85rem; }
li { background: #fff; border: 1px solid #e3e0d0; border-radius: .6rem; padding: .6rem 1rem; }
input, select, button { font: inherit; padding: .35rem .8rem; border: 1px solid #9b8; border-radius: .5rem; }
input, select, button { line-height: 1.5; height: 2.4rem; box-sizing: border-box; }
input, select { background: #fff; } button { background: #2c6e49; border-color: #2c6e49; color: #fff; cursor: pointer; }
"""
LIVE = """<p id="plant">🌱</p><button>Water it</button><script>
const socket = new WebSocket(location.href.replace(/^http/, "ws") + "/socket");
socket.onmessage = (event) => { document.querySelector("#plant").textContent = event.data; };
document.querySelector("main button").onclick = () => socket.send("water");
</script>"""


def page(request: Request, title: str, body: str, status: int = 200) -> HTMLResponse:
    user = request.scope.get("session", {}).get("user")
    who = '<a href="/login">Log in</a>'
    if user:
        out = f'<form method="post" action="/logout">{escape(user)} <button>Log out</button></form>'
        who = f'<a href="/login">Switch user</a> {out}'
    visit = current_session()
    footer = (
        f"Your visit is {escape(visit.id)}{', and new' if visit.is_new else ''}." if visit else "You have no visit."
    )
    return HTMLResponse(
        f"""<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style>
<nav><b>🌾 The seed shop</b> <a href="/">Seeds</a> <a href="/live">Seedling</a> <a href="/letter">Letter</a>
<a href="/fail">Fail</a> {who}</nav>
<main><h1>{escape(title)}</h1>{body}</main><footer>{footer} <a href="/privacy">Privacy</a></footer></html>""",
        status,
    )


async def form(request: Request, name: str) -> str:
    """One field of a posted form."""
    return "".join(parse_qs((await request.body()).decode(errors="replace")).get(name, []))


async def home(request: Request) -> Response:
    chosen = request.session.get("country")
    options = "".join(f"<option{' selected' * (name == chosen)}>{name}</option>" for name in COUNTRIES)
    country = (
        f'<form method="post" action="/country"><label>Deliver to <select name="country">{options}</select></label>'
    )
    country += " <button>Choose</button></form>"
    items = "".join(f'<li>{sign} <a href="/seeds/{seed}">{seed.title()}</a></li>' for seed, (sign, _) in SEEDS.items())
    stock = '<p id="stock"></p><script>fetch("/api/stock").then((response) => response.json()).then((stock) => {'
    stock += 'document.querySelector("#stock").textContent = `${stock.packets} packets on the shelf`; });</script>'
    return page(request, "What will you grow?", f"<ul>{items}</ul>{country}{stock}")


async def country(request: Request) -> Response:
    if (chosen := await form(request, "country")) in COUNTRIES:
        request.session["country"] = chosen
        set_session_properties({"country": chosen})
    return RedirectResponse("/", 303)


def take_from_shelf(seed: str) -> None:
    if seed in SOLD_OUT:
        raise LookupError("nothing on the shelf")


async def seed_page(request: Request) -> Response:
    seed = request.path_params["seed"]
    if seed not in SEEDS:
        raise HTTPException(404)
    sign, price = SEEDS[seed]
    if request.method == "POST":
        try:
            take_from_shelf(seed)
        except LookupError as error:
            capture_exception(error)  # handled: the visitor sees a page, and the session an `exception`
            return page(request, "Sorry!", f"<p>{seed.title()} is sold out.</p>", 409)
        track("purchase", {"seed": seed, "price": price})
        request.session["spent"] = spent = round(request.session.get("spent", 0.0) + price, 2)
        set_session_property("cart_value", spent)  # on this session's later events, and on its end
        return page(request, "Thank you!", f"<p>Your {seed} is on its way.</p>")
    buy = '<form method="post"><button>Buy a packet</button></form>'
    return page(request, f"{sign} {seed.title()}", f"<p>A packet costs {price:.2f} €.</p>{buy}")


async def login(request: Request) -> Response:
    if request.method == "POST" and (name := (await form(request, "name")).strip()[:40]):
        if request.session.get("user") not in {None, name}:
            request.session.clear()  # the next user must not take over this one's cart
        request.session["user"] = name
        identify(name.lower(), name)  # while another user's visit is still on, this begins a new one
        return RedirectResponse("/", 303)
    field = '<label>Any name will do: <input name="name" required maxlength="40" autofocus></label>'
    return page(request, "Who are you?", f'<form method="post" action="/login">{field} <button>Log in</button></form>')


async def logout(request: Request) -> Response:
    request.session.clear()
    identify(None)  # the visit goes on without a user; the next user to log in gets a visit of their own
    return RedirectResponse("/", 303)


async def privacy(request: Request) -> Response:
    if request.method == "POST":
        opt_in() if await form(request, "choice") == "in" else opt_out()
        return RedirectResponse("/privacy", 303)
    if current_session():
        state, choice = "counted, in this shop's own database", '"out">Do not count me'
    else:
        state, choice = "not counted", '"in">Count me'
    text = f"<p>We count visits to learn which seeds people like. Yours is {state}.</p>"
    return page(request, "Privacy", f'{text}<form method="post"><button name="choice" value={choice}</button></form>')


async def live(request: Request) -> Response:
    return page(request, "A seedling on a websocket", LIVE)


async def live_socket(socket: WebSocket) -> None:
    await socket.accept()
    height = 1
    async for _ in socket.iter_text():
        height += 1
        await socket.send_text("🌱" * min(height, 30))


async def letter(_request: Request) -> Response:
    async def lines() -> AsyncIterator[str]:
        yield f"<!doctype html><meta charset=utf-8><title>A letter</title><style>{STYLE}</style><h1>A letter</h1>"
        for line in ("Dear gardener,", "sow in March,", "water in June,", "and rest in the winter."):
            yield f"<p>{line}</p>"
            await asyncio.sleep(0.3)
        track("letter_read")  # helpers work while a response streams, too
        yield '<a href="/">Back to the shop</a>'

    return StreamingResponse(lines(), media_type="text/html")


async def stock(_request: Request) -> Response:
    return JSONResponse({"packets": 12 * len(SEEDS)})


async def robots(_request: Request) -> Response:
    return PlainTextResponse(ROBOTS)


async def llms(_request: Request) -> Response:
    return PlainTextResponse(LLMS)


async def fail(_request: Request) -> Response:
    raise RuntimeError("this page always fails")


async def sorry(request: Request, _error: Exception) -> Response:
    return page(request, "Something broke", "<p>It was us. The visit goes on.</p>", 500)


settings = Settings.from_env()
key = settings.secret_key[-1].hex() if settings.secret_key else secrets.token_hex()
app = Starlette(
    routes=[
        Route("/", home),
        Route("/country", country, methods=["POST"]),
        Route("/seeds/{seed}", seed_page, methods=["GET", "POST"]),
        Route("/login", login, methods=["GET", "POST"]),
        Route("/logout", logout, methods=["POST"]),
        Route("/privacy", privacy, methods=["GET", "POST"]),
        Route("/live", live),
        WebSocketRoute("/live/socket", live_socket),
        Route("/letter", letter),
        Route("/api/stock", stock),
        Route("/robots.txt", robots),  # crawlers ask for it, AI assistants for the other; the report's Agents show who
        Route("/llms.txt", llms),
        Route("/fail", fail),
    ],
    # The login's own cookie, apart from Sojourn's; the same key serves both, each signs with a salt of its own.
    middleware=[Middleware(SessionMiddleware, secret_key=key)],
    exception_handlers={500: sorry},
)
Sojourn(app, settings)
