"""A seed shop behind Sojourn, to run and to read: its pages. The middleware is in `settings.py`."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpResponse, JsonResponse  # type: ignore[import-untyped]
from django.shortcuts import redirect  # type: ignore[import-untyped]
from django.template import engines  # type: ignore[import-untyped]
from django.urls import path  # type: ignore[import-untyped]
from django.views.decorators.http import require_GET, require_POST  # type: ignore[import-untyped]

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
{% if user %}<a href="/login">Switch user</a>
<form method="post" action="/logout">{% csrf_token %}{{ user }} <button>Log out</button></form>
{% else %}<a href="/login">Log in</a>{% endif %}</nav>
<main><h1>{{ title }}</h1>BODY</main>
<footer>{% if visit %}Your visit is {{ visit.id }}{% if visit.is_new %}, and new{% endif %}.
{% else %}You have no visit.
{% endif %} <a href="/privacy">Privacy</a></footer></html>"""


def page(request: Any, title: str, body: str = "", *, status: int = 200, **values: object) -> Any:
    template = engines["django"].from_string(PAGE.replace("BODY", body))
    context = {"title": title, "visit": current_session(), "user": request.session.get("user"), **values}
    return HttpResponse(template.render(context, request), status=status)


@require_GET  # type: ignore[untyped-decorator]
def home(request: Any) -> Any:
    return page(
        request,
        "What will you grow?",
        """<ul>{% for seed, sign in seeds %}<li>{{ sign }}
        <a href="{% url 'seed' seed %}">{{ seed|title }}</a></li>{% endfor %}</ul>
        <form method="post" action="/country">{% csrf_token %}<label>Deliver to <select name="country">
        {% for country in countries %}<option{% if country == chosen %} selected{% endif %}>{{ country }}</option>
        {% endfor %}</select></label> <button>Choose</button></form><p id="stock"></p>
        <script>fetch("/api/stock").then((response) => response.json()).then((stock) => {
        document.querySelector("#stock").textContent = `${stock.packets} packets on the shelf`; });</script>""",
        seeds=[(seed, sign) for seed, (sign, _) in SEEDS.items()],
        countries=COUNTRIES,
        chosen=request.session.get("country"),
    )


@require_POST  # type: ignore[untyped-decorator]
def country(request: Any) -> Any:
    if (chosen := request.POST.get("country")) in COUNTRIES:
        request.session["country"] = chosen
        set_session_properties({"country": chosen})
    return redirect("home")


def take_from_shelf(seed: str) -> None:
    if seed in SOLD_OUT:
        raise LookupError("nothing on the shelf")


def seed_page(request: Any, seed: str) -> Any:
    if seed not in SEEDS:
        raise Http404
    sign, price = SEEDS[seed]
    if request.method == "POST":
        try:
            take_from_shelf(seed)
        except LookupError as error:
            capture_exception(error)  # handled: the visitor sees a page, and the session an `exception`
            return page(request, "Sorry!", "<p>{{ seed|title }} is sold out.</p>", status=409, seed=seed)
        track("purchase", {"seed": seed, "price": price})
        spent = request.session["spent"] = round(request.session.get("spent", 0.0) + price, 2)
        set_session_property("cart_value", spent)  # on this session's later events, and on its end
        return page(request, "Thank you!", "<p>Your {{ seed }} is on its way.</p>", seed=seed)
    return page(
        request,
        f"{sign} {seed.title()}",
        """<p>A packet costs {{ price|floatformat:2 }} €.</p>
        <form method="post">{% csrf_token %}<button>Buy a packet</button></form>""",
        price=price,
    )


def login(request: Any) -> Any:
    if request.method == "POST" and (name := request.POST.get("name", "").strip()[:40]):
        if request.session.get("user") not in {None, name}:
            request.session.flush()  # the next user must not take over this one's cart
        request.session["user"] = name
        identify(name.lower(), name)  # while another user's visit is still on, this begins a new one
        return redirect("home")
    return page(
        request,
        "Who are you?",
        """<form method="post" action="/login">{% csrf_token %}<label>Any name will do:
        <input name="name" required maxlength="40" autofocus></label> <button>Log in</button></form>""",
    )


@require_POST  # type: ignore[untyped-decorator]
def logout(request: Any) -> Any:
    request.session.flush()
    identify(None)  # the visit goes on without a user; the next user to log in gets a visit of their own
    return redirect("home")


def privacy(request: Any) -> Any:
    if request.method == "POST":
        opt_in() if request.POST.get("choice") == "in" else opt_out()
        return redirect("privacy")
    return page(
        request,
        "Privacy",
        """<p>We count visits to learn which seeds people like. {% if visit %}Yours is counted, in this shop's own
        database.{% else %}Yours is not counted.{% endif %}</p><form method="post">{% csrf_token %}
        {% if visit %}<button name="choice" value="out">Do not count me</button>
        {% else %}<button name="choice" value="in">Count me</button>{% endif %}</form>""",
    )


@require_GET  # type: ignore[untyped-decorator]
def stock(_request: Any) -> Any:
    return JsonResponse({"packets": 12 * len(SEEDS)})


@require_GET  # type: ignore[untyped-decorator]
def robots(_request: Any) -> Any:
    return HttpResponse(ROBOTS, content_type="text/plain")


@require_GET  # type: ignore[untyped-decorator]
def llms(_request: Any) -> Any:
    return HttpResponse(LLMS, content_type="text/plain")


def fail(_request: Any) -> Any:
    raise RuntimeError("this page always fails")


def sorry(request: Any) -> Any:
    return page(request, "Something broke", "<p>It was us. The visit goes on.</p>", status=500)


handler500 = sorry
urlpatterns = [
    path("", home, name="home"),
    path("country", country),
    path("seeds/<str:seed>", seed_page, name="seed"),
    path("login", login),
    path("logout", logout),
    path("privacy", privacy, name="privacy"),
    path("api/stock", stock),
    path("robots.txt", robots),  # crawlers ask for it, AI assistants for the other; the report's Agents show who
    path("llms.txt", llms),
    path("fail", fail),
]
