"""A seed shop behind Sojourn, to run and to read. Configured by SOJOURN_* alone: the README.md beside it says how."""

from __future__ import annotations

import os
import secrets

from flask import Flask, Response, abort, jsonify, redirect, render_template_string, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from sojourn import (
    capture_exception,
    current_session,
    identify,
    opt_in,
    opt_out,
    set_session_properties,
    set_session_property,
    track,
)
from sojourn.flask import Sojourn

SEEDS = {"tomato": ("🍅", 3.20), "basil": ("🌿", 2.40), "marigold": ("🌼", 1.90), "pumpkin": ("🎃", 4.10)}
SOLD_OUT = {"pumpkin"}
COUNTRIES = ("Austria", "Germany", "Switzerland")
ROBOTS = "User-agent: *\nDisallow: /login\n"
LLMS = """# The seed shop

> Seeds of tomato, basil, marigold and pumpkin, by post.

- [All seeds](/): what there is
- [Tomato](/seeds/tomato), [basil](/seeds/basil), [marigold](/seeds/marigold): the price of a packet
"""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width"><style>
body { font: 1.05rem/1.6 system-ui, sans-serif; margin: 0 auto; max-width: 46rem; padding: 1.5rem; color: #233; }
body { background: #fbfaf4; } a { color: #2c6e49; } h1 { line-height: 1.2; } form { margin: 1rem 0; }
nav, ul { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: center; list-style: none; padding: 0; }
nav form { margin: 0 0 0 auto; } nav b { flex: 1; white-space: nowrap; }
footer { margin-top: 3rem; color: #788; font-size: .85rem; }
li { background: #fff; border: 1px solid #e3e0d0; border-radius: .6rem; padding: .6rem 1rem; }
input, select, button { font: inherit; padding: .35rem .8rem; border: 1px solid #9b8; border-radius: .5rem; }
input, select, button { line-height: 1.5; height: 2.4rem; box-sizing: border-box; }
input, select { background: #fff; } button { background: #2c6e49; border-color: #2c6e49; color: #fff; cursor: pointer; }
</style><nav><b>🌾 The seed shop</b> <a href="/">Seeds</a> <a href="/fail">Fail</a>
{% if session.user %}<a href="/login">Switch user</a>
<form method="post" action="/logout">{{ session.user }} <button>Log out</button></form>
{% else %}<a href="/login">Log in</a>{% endif %}</nav>
<main><h1>{{ title }}</h1>BODY</main>
<footer>{% if visit %}Your visit is {{ visit.id }}{{ ", and new" if visit.is_new }}.
{% else %}You have no visit.
{% endif %} <a href="/privacy">Privacy</a></footer></html>"""

app = Flask(__name__)
app.config.from_mapping({name: value for name, value in os.environ.items() if name.startswith("SOJOURN_")})
sojourn = Sojourn(app)
# The login's own cookie, apart from Sojourn's; the same key serves both, each signs with a salt of its own.
app.secret_key = (sojourn.engine.settings.secret_key or (secrets.token_bytes(),))[-1]


def page(title: str, body: str = "", **values: object) -> str:
    return render_template_string(PAGE.replace("BODY", body), title=title, visit=current_session(), **values)


@app.get("/")
def home() -> str:
    return page(
        "What will you grow?",
        """<ul>{% for seed, (sign, _) in seeds.items() %}<li>{{ sign }}
        <a href="{{ url_for('seed_page', seed=seed) }}">{{ seed.title() }}</a></li>{% endfor %}</ul>
        <form method="post" action="/country"><label>Deliver to <select name="country">{% for country in countries %}
        <option{{ " selected" if country == session.country }}>{{ country }}</option>{% endfor %}</select></label>
        <button>Choose</button></form><p id="stock"></p>
        <script>fetch("/api/stock").then((response) => response.json()).then((stock) => {
        document.querySelector("#stock").textContent = `${stock.packets} packets on the shelf`; });</script>""",
        seeds=SEEDS,
        countries=COUNTRIES,
    )


@app.post("/country")
def country() -> AnyResponse:
    if (chosen := request.form.get("country")) in COUNTRIES:
        session["country"] = chosen
        set_session_properties({"country": chosen})
    return redirect(url_for("home"), 303)


def take_from_shelf(seed: str) -> None:
    if seed in SOLD_OUT:
        raise LookupError("nothing on the shelf")


@app.route("/seeds/<seed>", methods=["GET", "POST"])
def seed_page(seed: str) -> str | tuple[str, int]:
    if seed not in SEEDS:
        abort(404)
    sign, price = SEEDS[seed]
    if request.method == "POST":
        try:
            take_from_shelf(seed)
        except LookupError as error:
            capture_exception(error)  # handled: the visitor sees a page, and the session an `exception`
            return page("Sorry!", "<p>{{ seed.title() }} is sold out.</p>", seed=seed), 409
        track("purchase", {"seed": seed, "price": price})
        session["spent"] = round(session.get("spent", 0.0) + price, 2)
        set_session_property("cart_value", session["spent"])  # on this session's later events, and on its end
        return page("Thank you!", "<p>Your {{ seed }} is on its way.</p>", seed=seed)
    return page(
        f"{sign} {seed.title()}",
        """<p>A packet costs {{ "%.2f" % price }} €.</p>
        <form method="post"><button>Buy a packet</button></form>""",
        price=price,
    )


@app.route("/login", methods=["GET", "POST"])
def login() -> str | AnyResponse:
    if request.method == "POST" and (name := request.form.get("name", "").strip()[:40]):
        if session.get("user") not in {None, name}:
            session.clear()  # the next user must not take over this one's cart
        session["user"] = name
        identify(name.lower(), name)  # while another user's visit is still on, this begins a new one
        return redirect(url_for("home"), 303)
    return page(
        "Who are you?",
        """<form method="post" action="/login"><label>Any name will do:
        <input name="name" required maxlength="40" autofocus></label> <button>Log in</button></form>""",
    )


@app.post("/logout")
def logout() -> AnyResponse:
    session.clear()
    identify(None)  # the visit goes on without a user; the next user to log in gets a visit of their own
    return redirect(url_for("home"), 303)


@app.route("/privacy", methods=["GET", "POST"])
def privacy() -> str | AnyResponse:
    if request.method == "POST":
        opt_in() if request.form.get("choice") == "in" else opt_out()
        return redirect(url_for("privacy"), 303)
    return page(
        "Privacy",
        """<p>We count visits to learn which seeds people like. {% if visit %}Yours is counted, in this shop's own
        database.{% else %}Yours is not counted.{% endif %}</p><form method="post">
        {% if visit %}<button name="choice" value="out">Do not count me</button>
        {% else %}<button name="choice" value="in">Count me</button>{% endif %}</form>""",
    )


@app.get("/api/stock")
def stock() -> Response:
    return jsonify(packets=12 * len(SEEDS))


@app.get("/robots.txt")  # crawlers ask for it, AI assistants for the other; the report's Agents show who
def robots() -> Response:
    return Response(ROBOTS, mimetype="text/plain")


@app.get("/llms.txt")
def llms() -> Response:
    return Response(LLMS, mimetype="text/plain")


@app.get("/fail")
def fail() -> str:
    raise RuntimeError("this page always fails")


@app.errorhandler(500)
def sorry(_error: Exception) -> tuple[str, int]:
    return page("Something broke", "<p>It was us. The visit goes on.</p>"), 500
