"""Parameters of an address, through ASGI and WSGI: a mistake is an error for programs, and a notice for people."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

import pytest

from sojourn.report._parameters import Parameters, Problem
from sojourn.stores.reporting.filters import FIELDS
from tests.report.harness import MOUNT, NAVIGATE, App, Reader, Reply

LISTS = ("/sessions.json", "/sessions.csv", "/sessions", "/live/sessions")


def ask(reader: Reader, path: str, query: str) -> Reply:
    reply = reader.request("GET", f"{path}?{query}", headers=NAVIGATE)
    if reply.status == 303:  # a time without an offset: the same address with one
        there = dict(reply.headers)["location"]
        reply = reader.request("GET", there.removeprefix(MOUNT), headers=NAVIGATE)
    return reply


def parameters_at_fault(reply: Reply) -> list[str]:
    """What a response says is wrong: of an error its parameters, of a page those in its notice."""
    kind = dict(reply.headers)["content-type"]
    if kind == "application/json":
        assert reply.status == 400, reply.text[:200]
        return [problem["parameter"] for problem in json.loads(reply.text)["errors"]]
    if kind.startswith("text/plain"):
        assert reply.status == 400
        return [line.partition(": ")[0] for line in reply.text.splitlines()]
    assert reply.status == 200
    return re.findall(r"<li><strong><bdi[^>]*>([^<]*)</bdi></strong>: ", reply.text)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        pytest.param("range=foo", "range", id="no such range"),
        pytest.param("range=7D", "range", id="a range in capitals"),
        pytest.param("since=2026-99-99", "since", id="no such day"),
        pytest.param("until=yesterday", "until", id="no time"),
        pytest.param("since=2026-01-02&until=2026-01-01", "since", id="backwards"),
        pytest.param("since=1969-01-01&until=1970-02-01", "since", id="before 1970"),
        pytest.param("since=9999-12-31", "since", id="in the future"),
        pytest.param("since=1980-01-01", "since", id="too long"),
        pytest.param("range=7d&since=2026-01-01", "since", id="two ranges"),
        pytest.param("brwser=Firefox", "brwser", id="a misspelt filter"),
        pytest.param("x=1", "x", id="an unknown parameter"),
        pytest.param("browser=Firefox&browser=Chrome", "browser", id="a filter twice"),
        pytest.param("browser=Firefox&browser=Firefox", "browser", id="the same twice"),
        pytest.param("range=7d&range=24h", "range", id="a range twice"),
        pytest.param("errors=many", "errors", id="no number"),
        pytest.param("state=shut", "state", id="no state"),
        pytest.param("reason=timeout", "reason", id="no reason"),
        pytest.param("value=pro", "value", id="a value of no property"),
        pytest.param("prop=a+b&value=1", "prop", id="no name of a property"),
        pytest.param("pages~=3", "pages~", id="an operator that a number does not have"),
        pytest.param("state!=shut", "state!", id="not in no state"),
        pytest.param("browser^=Firefox", "browser^", id="no operator"),
        pytest.param("event.currency=EUR", "event.currency", id="a property of no event"),
        pytest.param("event=a&event=b&event.x=1", "event.x", id="a property of two events"),
        pytest.param("prop.a+b=1", "prop.a b", id="no name of a property, in the short form"),
        pytest.param("entry=/a&entry_path=/b", "entry", id="two entry pages"),
        pytest.param(f"q={'x' * 5001}", "q", id="too long a text"),
        pytest.param("&".join(f"a{number}=1" for number in range(501)), "?", id="too many"),
    ],
)
def test_a_mistake_in_a_filter_is_named(reader: Reader, query: str, name: str) -> None:
    for path in LISTS:
        assert parameters_at_fault(ask(reader, path, query))[:1] == [name], path


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        pytest.param("/sessions", "sort=size", "sort", id="no such order"),
        pytest.param("/sessions", "dir=down", "dir", id="no direction"),
        pytest.param("/sessions", "at=garbage", "at", id="no place in the list"),
        pytest.param("/sessions", f"at=f.{2**63}.0.k", "at", id="a place out of range"),
        pytest.param("/sessions.json", "sort=pages", "sort", id="an export has one order"),
        pytest.param("/sessions.csv", "at=f.1.2.k", "at", id="an export has no pages"),
        pytest.param("/live/sessions", "after=-1", "after", id="a negative number"),
        pytest.param("/live/sessions", f"after={'9' * 16}", "after", id="a number out of range"),
        pytest.param("/", "range=foo", "range", id="overview: no such range"),
        pytest.param("/", "since=2026-99-99", "since", id="overview: no such day"),
        pytest.param("/", "brwser=Firefox", "brwser", id="overview: no such filter"),
        pytest.param("/", "measure=size", "measure", id="overview: no such measure"),
        pytest.param("/", "interval=month", "interval", id="overview: no such interval"),
        pytest.param("/", "range=90d&interval=hour", "interval", id="overview: too fine an interval"),
        pytest.param("/", "field=size&op=is&is=x", "field", id="overview: no such field in the form"),
        pytest.param("/", "field=pages&op=contains&is=3", "is", id="overview: the form's operator does not suit"),
        pytest.param("/live/online", "range=7d", "range", id="online"),
        pytest.param("/delivery", "after=x", "after", id="delivery: no number"),
        pytest.param("/delivery", "done=gone&n=1", "done", id="delivery: no outcome"),
        pytest.param("/delivery", "done=tried&n=many", "n", id="delivery: no count"),
        pytest.param("/live/delivery", "backend=x", "backend", id="live delivery"),
    ],
)
def test_a_mistake_elsewhere_is_named(reader: Reader, path: str, query: str, name: str) -> None:
    assert parameters_at_fault(ask(reader, path, query)) == [name]


@pytest.mark.parametrize("path", ["/sessions/{}", "/live/sessions/{}"])
def test_a_mistake_on_a_session_is_named(app: App, reader: Reader, path: str) -> None:
    app.visit("/")
    path = path.format(app.engine.store.sessions.latest(limit=1)[0].key)
    assert parameters_at_fault(ask(reader, path, "after=x")) == ["after"]
    assert parameters_at_fault(ask(reader, path, "since=2026-01-01")) == ["since"]


def test_a_mistake_on_a_visitor_is_named(app: App, reader: Reader) -> None:
    app.visit("/")
    visitor = app.engine.store.sessions.latest(limit=1)[0].visitor_id
    assert parameters_at_fault(ask(reader, "/visitors", f"id={visitor}&sort=pages")) == []
    assert parameters_at_fault(ask(reader, "/visitors", f"id={visitor}&user=anna&sort=x")) == ["user", "sort"]


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("", id="nothing"),
        pytest.param("utm_id=1&utm_anything=x&gclid=2&fbclid=3&msclkid=4&mc_eid=5&GCLID=6", id="of links"),
        pytest.param("gclid=1&gclid=2", id="twice"),
    ],
)
def test_what_links_carry_is_ignored(reader: Reader, query: str) -> None:
    for path in ("/", "/live/online", "/delivery", *LISTS):
        reply = ask(reader, path, query)
        assert reply.status == 200, path
        assert "Part of this address was ignored" not in reply.text


def test_campaigns_are_filters_by_names_that_no_link_carries(reader: Reader) -> None:
    words = ask(reader, "/sessions", "utm_source=mail").words
    assert "Part of this address was ignored" not in words
    assert "remove this filter" not in words
    assert "Campaign source mail" in ask(reader, "/sessions", "campaign_source=mail").words


def test_every_filter_is_a_parameter(reader: Reader) -> None:
    values = {"state": "open", "identified": "yes", "errors": "1..", "duration": "..5m", "pages": "3", "events": "0"}
    query = {f"{name}x" if name.endswith(".") else name: values.get(name, "x") for name in FIELDS}
    query |= {"q": "a", "prop": "plan", "value": "pro", "reason": "ended", "range": "7d"}
    query |= {f"{name}!": value for name, value in query.items() if name in FIELDS}
    query |= {
        f"{name}~": "y"
        for name, field in FIELDS.items()
        if len(field.operators) == 3 and name not in {"event", "event.", "prop."}
    }
    for path in LISTS:
        reply = ask(reader, path, f"{urlencode(query)}&since=&until=")
        assert reply.status == 200, path
        assert "Part of this address was ignored" not in reply.text


def test_an_error_says_what_to_write(reader: Reader) -> None:
    reply = ask(reader, "/sessions.json", "range=foo&brwser=Firefox")
    assert json.loads(reply.text) == {
        "errors": [
            {"parameter": "range", "message": 'unknown value "foo"; use today, 24h, 7d, 30d, 90d or 12m'},
            {"parameter": "brwser", "message": "unknown parameter; did you mean browser?"},
        ]
    }
    reply = ask(reader, "/sessions.csv", "since=2026-99-99")
    assert reply.text == 'since: unknown value "2026-99-99"; give a time such as 2026-01-31 or 2026-01-31T12:00Z\n'


def test_a_page_leaves_out_what_it_cannot_read(app: App, reader: Reader) -> None:
    app.visit("/seeds")
    words = ask(reader, "/sessions", "browser=Firefox&reason=%3Cb%3E").words
    assert 'Part of this address was ignored. reason : unknown value "<b>"; use idle_timeout,' in words
    assert "Browser Firefox" in words
    assert "/seeds" in words


def test_few_problems_are_listed_and_none_at_length() -> None:
    parameters = Parameters.of({f"{'x' * 90}{number}": "1" for number in range(9)})
    problems = parameters.problems()
    assert len(problems) == 5
    assert problems[0] == Problem("x" * 39 + "…", "unknown parameter; leave it out")
