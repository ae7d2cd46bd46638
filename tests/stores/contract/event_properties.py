"""What every store must return of the properties of events, and that its filters find the same sessions."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest

from sojourn.core.events import Event
from sojourn.stores.model import Batch
from sojourn.stores.protocol import Store
from sojourn.stores.reporting.filters import Condition, Operator
from sojourn.stores.reporting.model import DAY_MS, HOUR_MS, Filter, Span
from sojourn.stores.reporting.property_counts import Numbers
from sojourn.stores.rows import SessionRow

from .reporting import roll_up
from .steps import NOW, event, row, save

HERE = Span(NOW, NOW + DAY_MS)
VALUES: tuple[object, ...] = (
    "EUR", "eur", "", " EUR ", "true", True, False, 10, 10.0, "10", 19.9, -3, 0.1 + 0.2, 1e20, 1.5e-7, 2**53 + 1,
    "a*b", "(none) ", "x" * 250, "x" * 250 + "y", "\U0001f600", "'; --", '"$.x"', ["a", {"b": 1}],
)  # fmt: skip


def shop() -> tuple[list[SessionRow], list[Event]]:
    """Three sessions with purchases, one of them with two, and one session with something else."""
    rows = [row(f"s{number}", NOW + number * HOUR_MS) for number in range(4)]
    for each in rows:
        each.tracked_events = 2
    carts: list[dict[str, object]] = [
        {"amount": 10, "currency": "EUR"},
        {"amount": 30.5, "currency": "EUR", "coupon": True},
        {"amount": 2, "currency": "USD"},
        {"amount": 2, "currency": None},
    ]
    events = [carrying(f"e{number}", rows[min(number, 2)], "purchase", cart) for number, cart in enumerate(carts)]
    return rows, [*events, carrying("e9", rows[3], "other", {"amount": 999})]


def carrying(event_id: str, session: SessionRow, name: str, values: Mapping[str, object]) -> Event:
    attributes = {f"event_properties.{key}": value for key, value in values.items()}
    return msgspec.structs.replace(event(event_id, session.key, session.started_at, name), attributes=attributes)


class EventPropertiesContract:
    """Part of `StoreContract`, which has the fixture."""

    @pytest.mark.parametrize("state", ["counted", "rolled up", "partly"])
    def test_properties_of_an_event(self, store: Store, state: str) -> None:
        rows, events = shop()
        save(store, Batch(rows=rows, events=events))
        if state != "counted":
            roll_up(store, until=NOW + 40 * DAY_MS)
        if state == "partly":
            save(store, Batch(rows=[rows[1]]))  # its hour and its day have no rollup any more
        found = store.report.event("purchase", HERE)
        assert (found.events, found.sessions, found.is_sampled, found.unlisted) == (4, 3, False, 0)
        assert [(each.name, each.events, each.sessions) for each in found.properties] == [
            ("amount", 4, 3),
            ("currency", 3, 3),
            ("coupon", 1, 1),
        ]
        amount, currency, coupon = found.properties
        assert amount.numbers == Numbers(total=44.5, median=6.0, least=2, greatest=30.5)
        assert [(each.text, each.events, each.sessions) for each in amount.values] == [
            ("2", 2, 1),
            ("10", 1, 1),
            ("30.5", 1, 1),
        ]
        assert [(each.text, each.events) for each in currency.values] == [("EUR", 2), ("USD", 1)]
        assert ([each.text for each in coupon.values], coupon.numbers) == (["true"], None)

    def test_only_of_the_span_and_the_filter(self, store: Store) -> None:
        rows, events = shop()
        save(store, Batch(rows=rows, events=events))
        assert store.report.event("purchase", Span(NOW, NOW + HOUR_MS)).events == 1
        where = Filter.of("event=purchase", "event.currency=EUR")
        assert store.report.event("purchase", HERE, where).sessions == 2
        assert store.report.event("nothing", HERE).events == 0
        assert store.report.event("page_view", HERE).events == 0
        assert store.report.event("'; DROP TABLE x", HERE).properties == ()

    @pytest.mark.parametrize("operator", [Operator.IS, Operator.IS_NOT])
    def test_a_filter_of_each_value_finds_the_sessions_that_have_it(self, store: Store, operator: Operator) -> None:
        rows = [row(f"s{number}", NOW + number) for number in range(len(VALUES))]
        events = []
        for number, value in enumerate(VALUES):
            rows[number].tracked_events = 1
            events.append(carrying(f"e{number}", rows[number], "buy", {"of": value}))
        save(store, Batch(rows=rows, events=events))
        (of_event,) = store.report.event("buy", HERE).properties
        assert sum(each.sessions for each in of_event.values) == len(VALUES)
        for each in of_event.values:
            value = f"{each.text}*" if each.is_cut else each.text
            conditions = (Condition("event", Operator.IS, "buy"), Condition("event.", operator, value, "of"))
            figures = store.report.breakdowns(HERE, ["total"], Filter(conditions=conditions)).tables["total"]
            sessions = sum(counts.sums[0] for counts in figures.values())
            expected = each.sessions if operator is Operator.IS else len(VALUES) - each.sessions
            assert sessions == expected, each
