"""What a value of each accepted type is kept as."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sojourn.core.properties import EVENT_PREFIX, Property, PropertyType, cleaned

NAME = "event_properties.value"
CET = timezone(timedelta(hours=1))


class Size(enum.Enum):
    SMALL = "s"
    PRICE = Decimal("2.50")
    ID = UUID(int=7)
    SINCE = date(2026, 11, 27)
    PAIR = (1, 2)


class Right(enum.Flag):
    READ = 1
    WRITE = 2


class Plan(str, enum.Enum):  # noqa: UP042 - what Django's TextChoices are
    PRO = "pro"


class Level(enum.IntEnum):
    HIGH = 3


class Price(Decimal):
    """Of another library."""

    def __float__(self) -> float:
        raise NotImplementedError


class Moment(datetime):
    """Of another library."""

    def isoformat(self, *_: Any, **__: Any) -> str:
        raise NotImplementedError


class Zone(tzinfo):
    """Of another library, or of an object that a session of a database has expired."""

    def utcoffset(self, _: datetime | None) -> timedelta:
        raise LookupError("no zone Mars/Olympus")

    tzname = dst = utcoffset  # type: ignore[assignment]


def hostile(*, of: type) -> Any:
    """A subclass each of whose methods raises, those that isinstance, hash and comparison use among them."""

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("ada@example.org")

    left = {
        "__new__",
        "__init__",
        "__init_subclass__",
        "__subclasshook__",
        "__getattribute__",
        "__setattr__",
        "__del__",
    }
    methods = {name: fail for name in dir(of) if callable(getattr(of, name)) and name not in {"__class__", *left}}
    return type(f"Hostile{of.__name__}", (of,), {**methods, "__class__": property(fail)})


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param(Decimal("19.99"), 19.99, id="money"),
        pytest.param(Decimal("20.00"), 20.0, id="a whole Decimal is a float too"),
        pytest.param(Decimal("-0.01"), -0.01, id="below zero"),
        pytest.param(Price("1.5"), 1.5, id="a subclass of Decimal"),
        pytest.param(UUID(int=255), "00000000-0000-0000-0000-0000000000ff", id="UUID"),
        pytest.param(datetime(2026, 11, 27, 8, 5, tzinfo=UTC), "2026-11-27T08:05:00+00:00", id="a moment in UTC"),
        pytest.param(datetime(2026, 11, 27, 8, 5, 1, 5, CET), "2026-11-27T08:05:01.000005+01:00", id="keeps its zone"),
        pytest.param(datetime(2026, 11, 27, 8, 5), "2026-11-27T08:05:00", id="a naive moment gets no zone"),  # noqa: DTZ001
        pytest.param(Moment(2026, 11, 27, tzinfo=UTC), "2026-11-27T00:00:00+00:00", id="a subclass of datetime"),
        pytest.param(date(2026, 11, 27), "2026-11-27", id="date"),
        pytest.param(time(8, 5), "08:05:00", id="time"),
        pytest.param(timedelta(minutes=1, milliseconds=500), 60.5, id="a timedelta in seconds"),
        pytest.param(Size.SMALL, "s", id="an enum of text"),
        pytest.param(Size.PRICE, 2.5, id="an enum of Decimal"),
        pytest.param(Size.ID, "00000000-0000-0000-0000-000000000007", id="an enum of UUID"),
        pytest.param(Size.SINCE, "2026-11-27", id="an enum of dates"),
        pytest.param(Right.READ | Right.WRITE, 3, id="flags"),
        pytest.param(Plan.PRO, "pro", id="an enum that is text"),
        pytest.param(Level.HIGH, 3, id="an enum that is an int"),
    ],
)
def test_value_is_kept_as_documented(value: object, kept: object) -> None:
    properties, problems = cleaned({"value": value}, EVENT_PREFIX)
    assert (properties, problems) == ({NAME: kept}, [])
    assert type(properties[NAME]) is type(kept)
    assert json.loads(json.dumps(properties)) == properties


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param(Decimal("NaN"), "not_finite", id="not a number"),
        pytest.param(Decimal("sNaN"), "not_finite", id="a signalling one"),
        pytest.param(Decimal("Infinity"), "not_finite", id="infinity"),
        pytest.param(Decimal("1e400"), "not_finite", id="beyond every float"),
        pytest.param(Size.PAIR, "unsupported", id="an enum of tuples"),
    ],
)
def test_value_that_no_number_or_text_can_be_is_dropped(value: object, kind: str) -> None:
    properties, problems = cleaned({"value": value}, EVENT_PREFIX)
    assert properties == {}
    assert [problem.kind for problem in problems] == [kind]


@pytest.mark.parametrize("declared", [None, {NAME: Property(str)}, {NAME: Property(int)}, {NAME: Property(float)}])
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(datetime(2026, 11, 27, tzinfo=Zone()), id="a moment whose zone raises"),
        pytest.param(time(8, 5, tzinfo=Zone()), id="a time whose zone raises"),
        pytest.param(hostile(of=object)(), id="object"),
        pytest.param(hostile(of=list)(), id="list"),
    ],
)
def test_value_that_raises_costs_itself_only(value: object, declared: dict[str, Property] | None) -> None:
    properties, problems = cleaned({"value": value, "price": 3}, EVENT_PREFIX, declared)
    assert properties == ({"event_properties.price": 3} if declared is None else {})
    assert problems[0].kind in {"unreadable", "unsupported"}
    assert not any("Mars" in problem.text or "ada" in problem.text for problem in problems)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        pytest.param(hostile(of=str)("tea"), "tea", id="str"),
        pytest.param(hostile(of=int)(3), 3, id="int"),
        pytest.param(hostile(of=float)(2.5), 2.5, id="float"),
        pytest.param(hostile(of=Decimal)("2.5"), 2.5, id="Decimal"),
        pytest.param(hostile(of=UUID)(int=3), "00000000-0000-0000-0000-000000000003", id="UUID"),
        pytest.param(hostile(of=date)(2026, 1, 2), "2026-01-02", id="date"),
        pytest.param(hostile(of=datetime)(2026, 1, 2), "2026-01-02T00:00:00", id="datetime"),
        pytest.param(hostile(of=timedelta)(seconds=2), 2.0, id="timedelta"),
    ],
)
def test_no_method_of_a_subclass_runs(value: object, kept: object) -> None:
    properties, problems = cleaned({"value": value}, EVENT_PREFIX)
    assert (properties, problems) == ({NAME: kept}, [])
    assert type(properties[NAME]) is type(kept)


class Lazy(Mapping[str, object]):
    """As a proxy whose values are read when they are needed."""

    def __getitem__(self, name: str) -> object:
        raise ConnectionError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(["plan"])

    def __len__(self) -> int:
        return 1


def test_mapping_that_raises_is_one_problem() -> None:
    properties, (problem,) = cleaned(Lazy(), EVENT_PREFIX)
    assert properties == {}
    assert str(problem) == "properties raised ConnectionError when it was read; it was dropped"


@pytest.mark.parametrize(
    ("type_", "value", "kept"),
    [
        pytest.param(str, Decimal("0.10000000000000000001"), "0.10000000000000000001", id="a Decimal as text: exact"),
        pytest.param(str, Size.PRICE, "2.50", id="an enum's too"),
        pytest.param(float, Decimal("2.50"), 2.5, id="a Decimal as a float"),
        pytest.param(int, Decimal(3), 3, id="a whole Decimal as an int"),
        pytest.param(int, Decimal("3.5"), None, id="half is none"),
        pytest.param(str, UUID(int=0), "00000000-0000-0000-0000-000000000000", id="a UUID as text"),
        pytest.param(str, date(2026, 1, 2), "2026-01-02", id="a date as text"),
        pytest.param(float, timedelta(seconds=2), 2.0, id="a timedelta as a float"),
        pytest.param(str, timedelta(seconds=2), None, id="a timedelta is no text"),
        pytest.param(float, UUID(int=0), None, id="a UUID is no number"),
    ],
)
def test_declared_type_is_that_of_the_kept_value(type_: PropertyType, value: object, kept: object) -> None:
    properties, problems = cleaned({"value": value}, EVENT_PREFIX, {NAME: Property(type_)})
    assert properties == ({} if kept is None else {NAME: kept})
    assert [problem.kind for problem in problems] == ([] if kept is not None else ["wrong_type"])


@given(st.decimals(min_value=-(10**13), max_value=10**13, places=2))
def test_money_of_two_places_reads_back_as_written(amount: Decimal) -> None:
    kept, _ = cleaned({"value": amount}, EVENT_PREFIX)
    assert Decimal(json.dumps(kept[NAME])) == amount
