"""A seed shop behind Sojourn, to run and to read. Configured by SOJOURN_* alone: the README.md beside it tells how."""

from __future__ import annotations

import os
import secrets

from flask import Flask, Response, abort, jsonify, redirect, render_template_string, request, session, url_for
from werkzeug.wrappers import Response as AnyResponse

from sojourn import current_session, end_session, identify, track
from sojourn.flask import Sojourn

SEEDS = {"tomato": ("🍅", 3.20), "basil": ("🌿", 2.40), "marigold": ("🌼", 1.90), "pumpkin": ("🎃", 4.10)}
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width"><style>
body { font: 1.05rem/1.6 system-ui, sans-serif; margin: 0 auto; max-width: 40rem; padding: 1.5rem; color: #233; }
body { background: #fbfaf4; } a { color: #2c6e49; } h1 { line-height: 1.2; } form { margin: 1rem 0; }
nav, ul { display: flex; flex-wrap: wrap; gap: .75rem 1.25rem; align-items: center; list-style: none; padding: 0; }
nav form { margin: 0; } nav b { flex: 1; } footer { margin-top: 3rem; color: #788; font-size: .85rem; }
li { background: #fff; border: 1px solid #e3e0d0; border-radius: .6rem; padding: .6rem 1rem; }
input, button { font: inherit; padding: .35rem .8rem; border: 1px solid #9b8; border-radius: .5rem; background: #fff; }
button { background: #2c6e49; border-color: #2c6e49; color: #fff; cursor: pointer; }
</style><nav><b>🌾 The seed shop</b> <a href="/">Seeds</a> <a href="/fail">Fail</a>
{% if session.user %}<form method="post" action="/logout">{{ session.user }} <button>Log out</button></form>
{% else %}<a href="/login">Log in</a>{% endif %}</nav>
<main><h1>{{ title }}</h1>BODY</main>
<footer>{% if visit %}Your visit is {{ visit.id }}{{ ", and new" if visit.is_new }}.
{% else %}You have no visit.
{% endif %}</footer></html>"""

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
        <a href="{{ url_for('seed_page', seed=seed) }}">{{ seed.title() }}</a></li>{% endfor %}</ul><p id="stock"></p>
        <script>fetch("/api/stock").then((answer) => answer.json()).then((stock) => {
        document.querySelector("#stock").textContent = `${stock.packets} packets on the shelf`; });</script>""",
        seeds=SEEDS,
    )


@app.route("/seeds/<seed>", methods=["GET", "POST"])
def seed_page(seed: str) -> str:
    if seed not in SEEDS:
        abort(404)
    sign, price = SEEDS[seed]
    if request.method == "POST":
        track("purchase", {"seed": seed, "price": price})
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
        session["user"] = name
        identify(name.lower(), name)
        return redirect(url_for("home"), 303)
    return page(
        "Who are you?",
        """<form method="post" action="/login"><label>Any name will do:
        <input name="name" required maxlength="40" autofocus></label> <button>Log in</button></form>""",
    )


@app.post("/logout")
def logout() -> AnyResponse:
    session.clear()
    end_session()  # whoever sits down next begins a visit of their own; identify(None) would go on with this one
    return redirect(url_for("home"), 303)


@app.get("/api/stock")
def stock() -> Response:
    return jsonify(packets=12 * len(SEEDS))


@app.get("/fail")
def fail() -> str:
    raise RuntimeError("this page always fails")


@app.errorhandler(500)
def sorry(_error: Exception) -> tuple[str, int]:
    return page("Something broke", "<p>It was us. The visit goes on.</p>"), 500
