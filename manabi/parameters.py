"""Parameters: frozen dataclasses that check themselves and can be written on a command line."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self, Union, get_args, get_origin, get_type_hints

from manabi.errors import InvalidInputError


@dataclass(frozen=True)
class Parameters:
    """Base of every method's parameters.

    Subclasses are frozen dataclasses whose fields are bool, int, float, str, ``Literal`` choices, or optional ones;
    a field's metadata may hold ``help``, ``low`` and ``high`` (inclusive), and ``file=True`` where it is a path.
    """

    def __post_init__(self) -> None:
        """Check every field's type and range; raises InvalidInputError naming the field."""
        hints = get_type_hints(type(self))
        for field in dataclasses.fields(self):
            value = _checked(field.name, hints[field.name], getattr(self, field.name))
            _check_range(field, value)
            object.__setattr__(self, field.name, value)

    @classmethod
    def of(cls, values: Parameters | Mapping[str, Any] | None) -> Self:
        """Parameters from an instance, a mapping, or nothing (the defaults)."""
        if isinstance(values, cls):
            return values
        if values is None:
            return cls()
        if not isinstance(values, Mapping):
            raise InvalidInputError(f"Expected {cls.__name__} or a mapping; got {type(values).__name__}.")
        known = [f.name for f in dataclasses.fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise InvalidInputError(f"Unknown parameter: {', '.join(unknown)}. Known: {', '.join(known)}.")
        return cls(**values)

    @classmethod
    def parse(cls, assignments: list[str]) -> Self:
        """Parameters from ``key=value`` texts, as the command line takes them."""
        values: dict[str, Any] = {}
        for text in assignments:
            key, equals, value = text.partition("=")
            if not equals:
                raise InvalidInputError(f"Expected key=value; got {text!r}.")
            values[key.strip()] = value.strip()
        return cls.of(values)

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def recorded(self) -> dict[str, Any]:
        """As :meth:`to_dict`, for provenance: a file is named by the SHA-256 of its content, never by its path."""
        values = self.to_dict()
        for field in dataclasses.fields(self):
            if field.metadata.get("file") and values[field.name]:
                values[field.name] = _digest(Path(values[field.name]))
        return values


def _digest(path: Path) -> str:
    """What provenance says of a file that was read."""
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" if path.is_file() else "a file that is gone"


def _checked(name: str, hint: Any, value: Any) -> Any:
    """The value as its annotated type; text from a command line is converted."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            return None
        hint = next(h for h in get_args(hint) if h is not type(None))
        origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise InvalidInputError(f"{name} must be one of {', '.join(map(str, get_args(hint)))}; got {value!r}.")
        return value
    return _converted(name, hint, value)


def _converted(name: str, kind: type, value: Any) -> Any:
    if kind is bool:
        if isinstance(value, bool):
            return value
        if str(value).lower() in ("true", "yes", "1"):
            return True
        if str(value).lower() in ("false", "no", "0"):
            return False
    elif isinstance(value, kind) and not isinstance(value, bool):
        return value
    elif kind in (int, float) and not isinstance(value, bool):
        try:
            return kind(value)
        except (TypeError, ValueError):
            pass
    raise InvalidInputError(f"{name} must be {kind.__name__}; got {value!r}.")


def _check_range(field: dataclasses.Field[Any], value: Any) -> None:
    if value is None or not isinstance(value, (int, float)):
        return
    low, high = field.metadata.get("low"), field.metadata.get("high")
    if value != value or (low is not None and value < low) or (high is not None and value > high):
        raise InvalidInputError(f"{field.name} must lie between {low} and {high}; got {value}.")
