"""Values of every accepted type become the same wherever an app gives them, and a wrong one costs itself only."""

from __future__ import annotations

import enum
import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sojourn import User, carry, identify, set_session_properties, set_session_property, track
from sojourn.propagation import extract, inject
from tests.doors.browser import Browser, Response, Site, view_of

MakeSite = Callable[..., Site]


class Size(enum.Enum):
    SMALL = "s"


class Zone(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        raise LookupError

    tzname = dst = utcoffset  # type: ignore[assignment]


class Name(str):
    """Text that can be neither compared, hashed, counted nor read."""

    __slots__ = ()

    def _fail(self, *_: Any) -> Any:
        raise RuntimeError

    __eq__ = __hash__ = __len__ = __str__ = __repr__ = __iter__ = __getitem__ = startswith = isprintable = _fail


GIVEN: dict[str, Any] = {
    "price": Decimal("19.99"),
    "order": UUID(int=1),
    "paid": datetime(2026, 11, 27, 8, 5, tzinfo=UTC),
    "due": date(2026, 12, 1),
    "took": timedelta(seconds=90),
    "size": Size.SMALL,
    "coupon": None,
}
LIST: Any = ["tea"]
KEPT: dict[str, Any] = {
    "price": 19.99,
    "order": "00000000-0000-0000-0000-000000000001",
    "paid": "2026-11-27T08:05:00+00:00",
    "due": "2026-12-01",
    "took": 90.0,
    "size": "s",
}


def kept(site: Site, name: str, prefix: str) -> dict[str, Any]:
    (event,) = site.named(name)
    return {key.removeprefix(prefix): value for key, value in event.attributes.items() if key.startswith(prefix)}


def late(*calls: Callable[[], object]) -> Response:
    return Response(late=lambda: [call() for call in calls])


def test_track(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: track("purchase", GIVEN))
    browser.navigate()
    assert kept(site, "purchase", "event_properties.") == KEPT
    assert site.ignored == {}


def test_track_after_the_response_has_started(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(response=late(lambda: track("purchase", GIVEN)))
    browser.navigate()
    assert kept(site, "purchase", "event_properties.") == KEPT


def test_track_in_a_transaction(make_site: MakeSite, tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    site = make_site(store=f"sqlite:///{path}")
    site.engine.store.open()
    shop = sqlite3.connect(path)
    site.views["/"] = view_of(lambda: track("purchase", GIVEN, connection=shop))
    Browser(site).navigate()
    shop.commit()
    shop.close()
    assert kept(site, "purchase", "event_properties.") == KEPT


def test_session_properties(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(
        lambda: set_session_properties({"session_properties.price": GIVEN["price"], "order": GIVEN["order"]}),
        lambda: set_session_property("size", Size.SMALL),
    )
    browser.navigate()
    assert kept(site, "page_view", "session_properties.") == {name: KEPT[name] for name in ("price", "order", "size")}


def test_traits_of_identify(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(lambda: identify("ada", traits=GIVEN))
    browser.navigate()
    (event,) = site.named("user.identify")
    assert {name: event.attributes.get(f"user.traits.{name}") for name in KEPT} == KEPT


def test_traits_of_a_principal(make_site: MakeSite) -> None:
    site = make_site(principal=lambda _request: User("ada", traits=GIVEN))
    Browser(site).navigate()
    (event,) = site.named("user.identify")
    assert {name: event.attributes.get(f"user.traits.{name}") for name in KEPT} == KEPT


def test_calls_of_a_job(site: Site, browser: Browser, make_site: MakeSite) -> None:
    job: dict[str, Any] = {}
    site.views["/"] = view_of(lambda: inject(job))
    browser.navigate()
    with extract(job, site.engine):
        track("purchase", GIVEN)
    assert kept(site, "purchase", "event_properties.") == KEPT


def test_carried_call_after_the_end_of_its_session(site: Site, browser: Browser) -> None:
    calls: list[Callable[[], object]] = []
    site.views["/"] = view_of(lambda: calls.append(carry(lambda: track("purchase", GIVEN))))
    browser.navigate()
    site.clock.advance(3600)
    calls[0]()
    assert kept(site, "purchase", "event_properties.") == KEPT


def test_value_of_another_type_costs_itself_only_and_is_named_once_per_property(
    site: Site, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    site.views["/"] = view_of(
        *[lambda: track("purchase", {"items": LIST, "price": 3})] * 3,
        lambda: track("purchase", {"buyer": LIST}),
        lambda: set_session_property("cart", LIST),
        lambda: identify("ada", traits={"roles": LIST, "plan": "pro"}),
    )
    with caplog.at_level(logging.WARNING, "sojourn"):
        assert browser.navigate().status == 200
    assert [event.attributes.get("event_properties.price") for event in site.named("purchase")] == [3, 3, 3, None]
    (user,) = site.named("user.identify")
    assert user.attributes["user.traits.plan"] == "pro"
    assert site.ignored == {"property_unsupported": 6}
    texts = [record.getMessage() for record in caplog.records]
    assert [text.partition(";")[0] for text in texts] == [
        "track('purchase'): event_properties.items is of the type 'list'",
        "track('purchase'): event_properties.buyer is of the type 'list'",
        "set_session_properties(): session_properties.cart is of the type 'list'",
        "identify(): roles is of the type 'list'",
    ]
    assert all("a value is text, a number, a bool, a UUID, a date" in text for text in texts)
    assert not any("tea" in text for text in texts)


def test_value_that_raises_never_reaches_the_app(site: Site, browser: Browser) -> None:
    moment = datetime(2026, 11, 27, tzinfo=Zone())
    site.views["/"] = view_of(
        lambda: track("purchase", {"at": moment, "price": 3}),
        lambda: set_session_property("at", moment),
        lambda: identify("ada", traits={"since": moment, "plan": "pro"}),
        response=late(lambda: track("late", {"at": moment, "price": 3})),
    )
    assert browser.navigate().status == 200
    assert kept(site, "purchase", "event_properties.") == kept(site, "late", "event_properties.") == {"price": 3}
    assert site.named("user.identify")[0].attributes["user.traits.plan"] == "pro"
    assert site.ignored == {"property_unreadable": 4}


def test_trait_of_a_principal_that_raises_costs_itself_only(make_site: MakeSite) -> None:
    traits: dict[str, Any] = {"since": datetime(2026, 11, 27, tzinfo=Zone()), "plan": "pro"}
    site = make_site(principal=lambda _request: User("ada", traits=traits))
    Browser(site).navigate()
    assert site.named("user.identify")[0].attributes["user.traits.plan"] == "pro"
    assert site.ignored == {"property_unreadable": 1}


def test_methods_of_an_apps_own_text_never_run(site: Site, browser: Browser) -> None:
    site.views["/"] = view_of(
        lambda: identify(Name("ada"), Name("Ada")),
        lambda: track(Name("purchase"), {"item": Name("tea")}),
        lambda: set_session_property("plan", Name("pro")),
    )
    assert browser.navigate().status == 200
    assert kept(site, "purchase", "event_properties.") == {"item": "tea"}
    (user,) = site.named("user.identify")
    assert (user.user_id, user.attributes["user.name"]) == ("ada", "Ada")
    assert site.ignored == {}


def test_warnings_of_names_that_visitors_make_up_have_a_bound(
    site: Site, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    site.views["/"] = view_of(*[lambda n=n: track("x", {f"made{n}": LIST}) for n in range(1_200)])
    with caplog.at_level(logging.WARNING, "sojourn"):
        browser.navigate()
    assert site.ignored["property_unsupported"] == 1_200
    assert len(caplog.records) == 1_000
    with caplog.at_level(logging.WARNING, "sojourn"):
        site.engine.guard.warn_once("flood", "another cause")
    assert caplog.messages[1_000:] == ["another cause (logged once; every case is counted)"]


def test_strict_raises_for_a_value_of_another_type(make_site: MakeSite) -> None:
    site = make_site(strict=True)
    errors: list[str] = []

    def view() -> None:
        try:
            track("purchase", {"items": LIST})
        except ValueError as error:
            errors.append(str(error))

    site.views["/"] = view
    Browser(site).navigate()
    assert "event_properties.items is of the type 'list'" in errors[0]
    assert site.names() == ["session.start", "page_view"]
