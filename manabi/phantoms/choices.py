"""Choices of a phantom whose parameters are parts: each name goes to the part that has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from manabi.errors import InvalidInputError

P = TypeVar("P")


def with_choices(
    drawn: P, parts: Sequence[tuple[str, type]], seeds: Sequence[str], choices: Mapping[str, Any], what: str,
    follow: Callable[[str, Any, Mapping[str, Any]], Any] = lambda part, one, values: one,
) -> P:  # fmt: skip
    """The drawn parameters with fields fixed by their names.

    Args:
        drawn: a frozen dataclass of parts.
        parts: the fields that are parts, and their types.
        seeds: fields of ``drawn`` itself that may be fixed.
        choices: values by name; a list is taken as a tuple.
        what: the anatomy, for the error.
        follow: gives a part what follows from the values fixed in it: called with its name, the part and those values.

    Raises:
        InvalidInputError: for a name that no part has.
    """
    given: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in choices.items()}
    made: dict[str, Any] = {}
    for part, kind in parts:
        values = {f.name: given.pop(f.name) for f in fields(kind) if f.name in given}
        made[part] = follow(part, replace(getattr(drawn, part), **values), values)
    made.update({name: int(given.pop(name)) for name in seeds if name in given})
    if given:
        raise InvalidInputError(f"The {what} has no {', '.join(sorted(given))}.")
    return replace(drawn, **made)  # type: ignore[type-var]
