"""The table that the settings are: per field its kind: how to read, show and split it.

A field's annotation is `Converted[what you may give, what you read]`: type checkers then take both sides from the one
line that declares the setting. At run time only the metadata counts, and `Settings.__post_init__` does the conversion.
"""

from __future__ import annotations

import contextlib
import dataclasses
import reprlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from sojourn.errors import SettingsError

PREFIX: Final = "SOJOURN_"

Given_contra = TypeVar("Given_contra", contravariant=True)
Read_co = TypeVar("Read_co", covariant=True)

_SHORT: Final = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


class Converted(Generic[Given_contra, Read_co]):
    """A field that takes more types than it gives back. Exists for type checkers only."""

    if TYPE_CHECKING:

        def __set__(self, instance: object, value: Given_contra) -> None: ...
        def __get__(self, instance: object, owner: object) -> Read_co: ...


def plain(value: object) -> str:
    """Show a value that holds no secret, cut to a line; of an unknown object only its type."""
    if value is None or isinstance(value, str | int | float | bool | list | tuple | set | dict):
        # `repr` itself refuses integers of thousands of digits.
        with contextlib.suppress(ValueError):
            return _SHORT.repr(value)
    return f"<{type(value).__qualname__}>"


def same(value: str) -> object:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """How the values of a field are read, shown and parsed from text.

    `parse` takes anything, gives the value as it is stored, takes that again unchanged, and raises `ValueError` with
    the fix. `show` never shows a secret, and takes values that `parse` refused. `from_text` is for what the environment
    writes differently from the constructor.
    """

    parse: Callable[[object], object]
    show: Callable[[object], str] = plain
    from_text: Callable[[str], object] = same


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: a setting's name, its name in the environment, its default, and its kind."""

    name: str
    default: object
    kind: Kind = dataclasses.field(repr=False)
    is_hidden: bool = False

    @property
    def env_name(self) -> str:
        return PREFIX + self.name.upper()

    def show(self, value: object) -> str:
        """Show a value, but no secret."""
        return "<hidden>" if self.is_hidden else self.kind.show(value)

    def parse(self, value: object) -> object:
        """Read a value as the constructor does; raise `SettingsError` that names the setting, the value and the fix."""
        try:
            return self.kind.parse(value)
        except ValueError as error:
            # Its cause is kept only where it says more than the message: an import that failed.
            raise self.error(value, str(error)) from error.__cause__

    def error(self, value: object, fix: str) -> SettingsError:
        try:
            shown = self.kind.show(value)
        except ValueError:  # Python writes down no integer of more than some thousand digits
            shown = f"<{type(value).__name__}>"
        return SettingsError(f"{self.name}={shown} cannot be used: {fix} (in the environment: {self.env_name})")


def setting(kind: Kind, default: object, *, hidden: bool = False, hashed: bool = True) -> Any:
    """Declare a field of `Settings`: a dataclass field with its kind in the metadata."""
    return dataclasses.field(default=default, repr=not hidden, hash=hashed, metadata={"kind": kind})
