"""The fake Matomo makes visits as Matomo's source does, and says of a call what Matomo says."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from sojourn.testing.vendors import FakeMatomo, Reply
from tests.backends.vendors import connected

NOON = 1_769_860_800
GOOD: dict[str, Any] = {
    "idsite": 1,
    "rec": 1,
    "cid": "0123456789abcdef",
    "cdt": NOON,
    "url": "https://shop.example/",
    "action_name": "home",
    "cip": "192.0.2.7",
    "ua": "Firefox",
}


def call(fake: FakeMatomo, *requests: object, token: str | None = "FAKETOKEN", **headers: str) -> Reply:
    body: dict[str, object] = {"requests": requests}
    return connected.call(fake, body if token is None else body | {"token_auth": token}, "/matomo.php", headers)


def told(reply: Reply) -> Any:
    return json.loads(reply.body)


def visited(*changes: Mapping[str, Any], config: Mapping[str, int] | None = None) -> list[tuple[int, int, int]]:
    """First action, last action and number of actions of each visit; times in seconds since noon."""
    fake = FakeMatomo() if config is None else FakeMatomo(config=config)
    for change in changes:
        assert told(call(fake, {**GOOD, **change}))["tracked"] == 1
    return [(visit.first_at - NOON, visit.last_at - NOON, visit.actions) for visit in fake.visits]


def after(seconds: int, **changes: Any) -> dict[str, Any]:
    return {"cdt": NOON + seconds, **changes}


# --- which visit


@pytest.mark.parametrize(
    ("changes", "visits"),
    [
        pytest.param([{}, after(1_799)], [(0, 1_799, 2)], id="within half an hour"),
        pytest.param([{}, after(1_800)], [(0, 0, 1), (1_800, 1_800, 1)], id="half an hour later"),
        pytest.param([{}, after(60, new_visit=1)], [(0, 0, 1), (60, 60, 1)], id="forced"),
        pytest.param([{}, after(60, cid="f" * 16)], [(0, 0, 1), (60, 60, 1)], id="another visitor"),
        pytest.param([{}, after(60, ping=1)], [(0, 0, 1)], id="ping"),
        pytest.param([{}, after(1_800, ping=1)], [(0, 0, 1)], id="a ping opens none"),
        pytest.param([{"ping": 1}], [], id="not even the first"),
        pytest.param([{}, after(60), after(30)], [(0, 60, 3)], id="out of order"),
        pytest.param([{}, {}], [(0, 0, 2)], id="a repeated request counts twice"),
        pytest.param([{"new_visit": 1}, {"new_visit": 1}], [(0, 0, 1), (0, 0, 1)], id="and opens a second visit"),
        pytest.param([{}, after(60, ua="Chrome")], [(0, 60, 2)], id="by the visitor, not by the browser"),
    ],
)
def test_visits(changes: list[dict[str, Any]], visits: list[tuple[int, int, int]]) -> None:
    assert visited(*changes) == visits


def test_url_that_cannot_be_read_has_no_campaign() -> None:
    assert visited({"url": "https://shop.example["}, after(9)) == [(0, 9, 2)]


@pytest.mark.parametrize("is_set", [0, 1])
def test_midnight_and_campaigns_begin_visits_unless_set_otherwise(is_set: int) -> None:
    late = NOON + 12 * 3_600 - 60
    midnight = {"create_new_visit_after_midnight": is_set}
    assert len(visited({"cdt": late}, {"cdt": late + 120}, config=midnight)) == 1 + is_set
    landing, other = ({"url": f"https://shop.example/?utm_source={name}"} for name in ("mail", "ads"))
    campaigns = {"create_new_visit_when_campaign_changes": is_set}
    assert len(visited(landing, after(9), after(10, **other), config=campaigns)) == 1 + is_set
    assert len(visited({}, after(10, **landing), config=campaigns)) == 1, "a direct visit gets its referrer later"


def test_visit_length_and_most_actions_are_settings() -> None:
    assert len(visited({}, after(3_599), config={"visit_standard_length": 3_600})) == 1
    assert len(visited({}, after(1), after(2), config={"create_new_visit_after_x_actions": 2})) == 2


def users(config: Mapping[str, int], *changes: Mapping[str, Any]) -> list[str | None]:
    fake = FakeMatomo(config=config)
    for change in changes:
        call(fake, {**GOOD, **change})
    return [visit.user_id for visit in fake.visits]


def test_log_in_of_a_user_who_was_there_before_divides_the_visit_of_a_matomo_as_installed() -> None:
    visit = ({"uid": "anna"}, after(7_200), after(7_260, uid="anna"))
    assert users({}, *visit) == ["anna", None, "anna"]
    assert users({"enable_userid_overwrites_visitorid": 0}, *visit) == ["anna", "anna"]


def test_log_in_takes_a_strangers_visit_with_the_same_browser_and_address() -> None:
    """In a Matomo as installed, whose visitor is then the user."""
    strangers: tuple[dict[str, Any], ...] = ({}, after(30, cid="f" * 16), after(60, uid="anna"))
    assert users({}, *strangers) == [None, "anna"]
    assert users({"enable_userid_overwrites_visitorid": 0}, *strangers) == ["anna", None]


def test_another_user_begins_a_visit() -> None:
    assert users({"enable_userid_overwrites_visitorid": 0}, {}, after(1, uid="anna"), after(2, uid="ben")) == [
        "anna",
        "ben",
    ]


def test_ping_changes_length_and_dimensions_but_not_the_last_action() -> None:
    fake = FakeMatomo(dimensions={1: "session.end_reason", 2: "session.duration_ms"})
    call(fake, GOOD, {**GOOD, **after(100, ping=1, dimension1="idle_timeout", dimension2="100250", dimension9="x")})
    (visit,) = fake.visits
    assert (visit.total_time, visit.last_at, visit.actions) == (101, NOON, 1)
    (session,) = fake.sessions()
    assert (session.reason, session.duration_ms, session.ended_at) == ("idle_timeout", 100_250, NOON * 1000 + 100_250)


# --- a call


def test_response_names_what_was_tracked() -> None:
    bad = {**GOOD, "idsite": 9}
    assert told(call(FakeMatomo(), GOOD, bad)) == {
        "status": "success",
        "tracked": 1,
        "invalid": 1,
        "invalid_indices": [1],
    }
    assert "invalid_indices" not in told(call(FakeMatomo(is_super_user=False), GOOD, bad))


@pytest.mark.parametrize(
    ("change", "token", "tracked"),
    [
        pytest.param({}, "FAKETOKEN", 1, id="valid"),
        pytest.param({}, "other", 0, id="an address with another token"),
        pytest.param({}, None, 0, id="an address without a token"),
        pytest.param({"cip": None}, None, 0, id="null is an address"),
        pytest.param({"cid": "0123"}, "FAKETOKEN", 0, id="a short visitor id"),
        pytest.param({"cid": "g" * 16}, "FAKETOKEN", 1, id="no hexadecimal digits: another visitor id is made up"),
        pytest.param({"rec": 0}, "FAKETOKEN", 1, id="not to be recorded"),
    ],
)
def test_which_requests_are_tracked(change: dict[str, Any], token: str | None, tracked: int) -> None:
    assert told(call(FakeMatomo(), {**GOOD, **change}, token=token))["tracked"] == tracked


def test_old_requests_need_a_token_and_the_raw_data_of_their_day() -> None:
    fake = FakeMatomo(now=lambda: (NOON + 3 * 86_400) * 1000, raw_data_days=10)
    bare = {name: value for name, value in GOOD.items() if name != "cip"}
    assert told(call(fake, bare, token=None))["tracked"] == 0
    assert told(call(fake, bare, {**GOOD, **after(-8 * 86_400)}))["invalid_indices"] == [1]
    call(fake, {**GOOD, **after(9 * 86_400, cid="f" * 16)})
    assert fake.visits[-1].first_at == NOON + 3 * 86_400, "the future is now"


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [("/matomo/piwik.php", "POST", 200), ("/matomo.php", "GET", 200), ("/index.php", "POST", 404)],
)
def test_addresses(path: str, method: str, status: int) -> None:
    assert connected.call(FakeMatomo(), {"requests": [GOOD]}, path, {}, method=method).status == status


def test_compressed_body_is_a_page_for_nobody() -> None:
    body = gzip.compress(json.dumps({"requests": [GOOD]}).encode())
    reply = connected.call(FakeMatomo(), body, "/matomo.php", {"content-encoding": "gzip"})
    assert (reply.status, b"part of Matomo" in reply.body) == (400, True)


def test_requests_may_be_urls() -> None:
    fake = FakeMatomo()
    assert told(call(fake, "?idsite=1&rec=1&cid=0123456789abcdef&e_c=cart&e_a=add"))["tracked"] == 1
    assert [event.name for event in fake.events()] == ["cart: add"]


def test_long_text_of_an_event_undoes_the_call() -> None:
    fake = FakeMatomo()
    assert call(fake, GOOD, {**GOOD, "e_c": "x", "e_a": "x" * 4_097}).status == 500
    assert fake.visits == []
    assert call(fake, GOOD, {**GOOD, "e_c": "x", "e_a": "x" * 4_096}).status == 200


def test_broken_json_is_no_request() -> None:
    reply = connected.call(FakeMatomo(), b'{"requests":', "/matomo.php", {})
    assert told(reply) == {"status": "success", "tracked": 0, "invalid": 0}


@pytest.mark.parametrize(
    "change", [{"url": "/"}, {"cid": ""}, {"uid": "a", "new_visit": 1}, {"dimension1": None}, {"e_v": [1]}]
)
def test_strict_mode_refuses_what_matomo_would_take_for_something_else(change: dict[str, Any]) -> None:
    fake = FakeMatomo()
    assert told(call(fake, {**GOOD, **change}))["tracked"] == 1
    fake.is_strict = True
    assert told(call(fake, {**GOOD, **change}))["tracked"] == 0


def test_clear_forgets_visits() -> None:
    fake = FakeMatomo()
    call(fake, GOOD)
    fake.clear()
    assert (fake.visits, fake.sessions(), fake.events()) == ([], [], [])
