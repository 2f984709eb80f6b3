"""What may stand beside a type in ``Annotated``: bounds, choices, defaults, hints for widgets."""

# ruff: noqa: N815

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class Validator:
    """Refuses values."""

    def validate(self, value: Any) -> None:
        """Raise ValueError or TypeError for a value that must not be."""
        raise NotImplementedError


@dataclass
class WithinRange(Validator):
    """Between two values, both included."""

    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


@dataclass
class Minimum(Validator):
    """At least."""

    minimum: float

    def validate(self, value: Any) -> None:
        if value < self.minimum:
            raise ValueError(f"{value} is less than {self.minimum}")


@dataclass
class Maximum(Validator):
    """At most."""

    maximum: float

    def validate(self, value: Any) -> None:
        if value > self.maximum:
            raise ValueError(f"{value} is more than {self.maximum}")


@dataclass
class Choice(Validator):
    """One of these."""

    choices: Any

    def validate(self, value: Any) -> None:
        if value not in self.choices:
            raise ValueError(f"{value!r} is not among {self.choices}")


@dataclass
class Exclude(Validator):
    """None of these."""

    excludedValues: Any

    def validate(self, value: Any) -> None:
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is among {self.excludedValues}")


@dataclass
class RangeBounds(Validator):
    """Bounds of a range."""

    minimum: float
    maximum: float

    def validate(self, value: Any) -> None:
        if not self.minimum <= value.minimum <= value.maximum <= self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


class NotNone(Validator):
    """Not None."""

    def validate(self, value: Any) -> None:
        if value is None:
            raise ValueError("None is not allowed")


@dataclass
class IsInstance(Validator):
    """None or of a class."""

    classtype: Any

    def validate(self, value: Any) -> None:
        if value is not None and not isinstance(value, self.classtype):
            raise TypeError(f"{value!r} is not of {self.classtype}")


class Default:
    """The value at first."""

    def __init__(self, value: Any = None, *, generator: Any = None) -> None:
        self._value, self._generator = value, generator

    @property
    def value(self) -> Any:
        return self._generator() if self._generator else self._value


@dataclass
class Decimals:
    """Digits after the point in a widget."""

    value: int


@dataclass
class SingleStep:
    """Step of a widget."""

    value: float


PUBLIC = (Validator, WithinRange, Minimum, Maximum, Choice, Exclude, RangeBounds, NotNone, IsInstance, Default,
          Decimals, SingleStep)  # fmt: skip
