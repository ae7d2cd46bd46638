"""The id of an app's own user object, of whatever kind; and no code of it runs, no query is made, nothing is raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

import msgspec
import pytest
from pydantic import BaseModel
from sqlalchemy import Column, Integer, String, create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, deferred, mapped_column
from werkzeug.local import LocalProxy

from sojourn import UNKNOWN, User
from sojourn.tracking.principal import of_scope


def run(*_: object) -> NoReturn:
    msg = "code of the user object ran"
    raise AssertionError(msg)


@dataclass
class Plain:
    id: int


@dataclass(slots=True)
class Slotted:
    id: int
    name: str = "Ada"


class EmptySlot:
    __slots__ = ("id",)


class Inherits(Slotted):
    pass


class Struct(msgspec.Struct):
    id: str


class Model(BaseModel):
    id: UUID
    username: str = "ada"


class Guarded:
    """Anything but a look past it runs its code."""

    __getattr__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __str__ = __repr__ = run

    def __init__(self) -> None:
        self.__dict__["id"] = 7

    def __getattribute__(self, name: str) -> Any:
        return super().__getattribute__(name) if name == "__dict__" else run()


class Computes:
    id = property(run)


class Hides:
    """Computes its own `__dict__` and class, as proxies do."""

    __dict__ = property(run)
    __class__ = property(run)


class Peewee:
    def __init__(self) -> None:
        self.__dict__["__data__"] = {"id": 7, "username": "ada"}

    id = property(run)


class NotSaved:
    id = None


@pytest.mark.parametrize(
    ("user", "principal"),
    [
        pytest.param(SimpleNamespace(id=7), User("7"), id="a namespace"),
        pytest.param(SimpleNamespace(id="7", name="Ada"), User("7", "Ada"), id="with a name"),
        pytest.param(SimpleNamespace(id=0), User("0"), id="zero"),
        pytest.param(SimpleNamespace(user_id=7), User("7"), id="user_id"),
        pytest.param(SimpleNamespace(sub="7", username="ada"), User("7", "ada"), id="claims as attributes"),
        pytest.param(SimpleNamespace(id=None, sub="7"), User("7"), id="the first that is there"),
        pytest.param(SimpleNamespace(id="", sub="7"), User("7"), id="the first that is not empty"),
        pytest.param(SimpleNamespace(id=7, is_authenticated=False), None, id="not logged in"),
        pytest.param(Plain(7), User("7"), id="a dataclass"),
        pytest.param(Slotted(7), User("7", "Ada"), id="a dataclass with slots"),
        pytest.param(Inherits(7), User("7", "Ada"), id="a slot of a base"),
        pytest.param(Struct("7"), User("7"), id="msgspec"),
        pytest.param(Model(id=UUID(int=7)), User(str(UUID(int=7)), "ada"), id="pydantic"),
        pytest.param(Guarded(), User("7"), id="an object that guards itself"),
        pytest.param(Peewee(), User("7", "ada"), id="Peewee"),
        pytest.param(EmptySlot(), UNKNOWN, id="an empty slot"),
        pytest.param(Computes(), UNKNOWN, id="a property"),
        pytest.param(Hides(), UNKNOWN, id="an object that hides"),
        pytest.param(LocalProxy(run), UNKNOWN, id="a proxy"),
        pytest.param(NotSaved(), UNKNOWN, id="not saved"),
        pytest.param(SimpleNamespace(id=True), UNKNOWN, id="a flag"),
        pytest.param(SimpleNamespace(id=1.5), UNKNOWN, id="a fraction"),
        pytest.param(SimpleNamespace(id=Guarded()), UNKNOWN, id="an id of another type"),
        pytest.param(SimpleNamespace(email="a@b.example"), UNKNOWN, id="no id"),
        pytest.param(object(), UNKNOWN, id="nothing in it"),
        pytest.param(SimpleNamespace, UNKNOWN, id="a class"),
        pytest.param(Slotted, UNKNOWN, id="a class with slots"),
    ],
)
def test_the_id_of_an_object(user: object, principal: object) -> None:
    assert of_scope({"state": {"user": user}}) == principal


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "accounts"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Renamed(Base):
    """Its attribute and its column have different names."""

    __tablename__ = "renamed"

    id: Mapped[int] = mapped_column("account_number", primary_key=True)


class Other(Base):
    """Its `id` is not what the database knows it by."""

    __tablename__ = "others"

    pk = Column(Integer, primary_key=True)
    id = Column(String)


class Pair(Base):
    __tablename__ = "pairs"

    id: Mapped[int] = mapped_column(primary_key=True)
    shop: Mapped[int] = mapped_column(primary_key=True)


class Late(Base):
    __tablename__ = "lates"

    pk: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = deferred(mapped_column(String))


@pytest.fixture
def database() -> Iterator[tuple[Session, list[str]]]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all([Account(id=7, name="Ada"), Renamed(id=7), Other(pk=7, id="ada")])
        session.add_all([Pair(id=7, shop=1), Late(pk=7, id="ada")])
        session.commit()
        queries: list[str] = []
        event.listen(engine, "before_cursor_execute", lambda *arguments: queries.append(arguments[2]))
        yield session, queries
    engine.dispose()


def load(session: Session, model: type[Any]) -> Any:
    return session.query(model).one()


def expire(session: Session, row: object) -> None:
    session.expire(row)


def commit(session: Session, row: object) -> None:
    session.commit()


def detach(session: Session, row: object) -> None:
    session.expunge(row)


def expire_and_detach(session: Session, row: object) -> None:
    session.expire(row)
    session.expunge(row)


def close(session: Session, row: object) -> None:
    session.commit()
    session.close()


def delete(session: Session, row: object) -> None:
    session.delete(row)
    session.commit()


@pytest.mark.parametrize("happens", [None, expire, commit, detach, expire_and_detach, close, delete])
@pytest.mark.parametrize(
    ("model", "loaded", "expired"),
    [
        pytest.param(Account, User("7", "Ada"), User("7"), id="a row"),
        pytest.param(Renamed, User("7"), User("7"), id="a column of another name"),
        pytest.param(Other, User("ada"), UNKNOWN, id="an id that is no key"),
        pytest.param(Pair, User("7"), UNKNOWN, id="a key of two columns"),
        pytest.param(Late, UNKNOWN, UNKNOWN, id="an id that is not loaded"),
    ],
)
def test_a_row_of_sqlalchemy_makes_no_query_and_no_exception(
    database: tuple[Session, list[str]],
    model: type[Any],
    loaded: object,
    expired: object,
    happens: Callable[[Session, object], None] | None,
) -> None:
    session, queries = database
    row = load(session, model)
    if happens is not None:
        happens(session, row)
    queries.clear()
    keeps_values = happens in {None, detach, delete}
    assert of_scope({"state": {"user": row}}) == (loaded if keeps_values else expired)
    assert queries == []


def test_a_new_row_without_an_id_is_unknown() -> None:
    assert of_scope({"state": {"user": Account(name="Ada")}}) is UNKNOWN


def test_the_user_of_litestar_is_any_object() -> None:
    assert of_scope({"user": Plain(7)}) == User("7")
    assert of_scope({"user": {"id": 7}}) == User("7")
    assert of_scope({"user": None, "state": {"user": Plain(8)}}) == User("8")


def test_tuples_with_names_are_unknown() -> None:
    """Their fields are descriptors of their own, which are not asked."""

    class Named(NamedTuple):
        id: int

    assert of_scope({"state": {"user": Named(7)}}) is UNKNOWN
