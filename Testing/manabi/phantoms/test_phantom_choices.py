"""Choices by name go to the part that has them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.choices import with_choices


@dataclass(frozen=True)
class Size:
    width: float = 1.0
    twice: float = 2.0
    sides: tuple[float, ...] = ()


@dataclass(frozen=True)
class Colour:
    hue: str = "red"


@dataclass(frozen=True)
class Thing:
    size: Size = field(default_factory=Size)
    colour: Colour = field(default_factory=Colour)
    seed: int = 0


PARTS = (("size", Size), ("colour", Colour))


def follow(part, one, values):
    return replace(one, twice=2 * one.width) if part == "size" and "twice" not in values else one


def test_each_name_goes_to_its_part_and_what_follows_is_worked_out():
    given = {"width": 3.0, "hue": "blue", "seed": 7.0, "sides": [1, 2]}
    made = with_choices(Thing(), PARTS, ("seed",), given, "thing", follow)
    assert made == Thing(Size(3.0, 6.0, (1, 2)), Colour("blue"), 7)
    assert set(given) == {"width", "hue", "seed", "sides"}  # the caller's mapping stays whole


def test_what_is_fixed_does_not_follow():
    assert with_choices(Thing(), PARTS, (), {"width": 3.0, "twice": 5.0}, "thing", follow).size.twice == 5.0


def test_an_unknown_name_is_refused_with_the_anatomy_s_name():
    with pytest.raises(InvalidInputError, match="The thing has no depth, seed"):
        with_choices(Thing(), PARTS, (), {"depth": 1, "seed": 2}, "thing")
