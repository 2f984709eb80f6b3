"""What a phantom is: parameters are drawn first, then rendered; a case can be rebuilt from its JSON."""

from __future__ import annotations

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.result import Cell, Labelmap
from manabi.volume import Volume

P = TypeVar("P")


def case_rng(seed: int, index: int) -> np.random.Generator:
    """The generator of case ``index`` of a cohort; a longer cohort of the same seed starts with the same cases."""
    return np.random.default_rng([seed, index])


@dataclass
class Case:
    """A rendered phantom: images, label maps and truth, and the JSON it can be rebuilt from."""

    volumes: dict[str, Volume]
    labelmaps: dict[str, Labelmap] = field(default_factory=dict)
    truth: dict[str, Cell] = field(default_factory=dict)
    parameters: dict[str, Any] = field(default_factory=dict)


class Phantom(ABC, Generic[P]):
    """A simulator. ``parameters_type`` is a frozen dataclass of JSON values (nested dataclasses and tuples allowed)."""

    name: ClassVar[str]
    parameters_type: ClassVar[type]
    method: ClassVar[str]
    """Name of the method whose sample data this is; empty for a phantom whose method is still to come."""
    shown: ClassVar[Mapping[str, Any]] = {}
    """Choices of the patient that ``manabi demo`` shows, so that a first look shows what the method is about."""

    @abstractmethod
    def sample_parameters(self, rng: np.random.Generator, **choices: Any) -> P:
        """Draw one case's parameters; ``choices`` fix some of them (grade, minutes, ...)."""

    @abstractmethod
    def render_batch(self, parameters: Sequence[P], context: Context | None = None) -> list[Case]:
        """Render several cases at once, on the context's device. The same parameters give the same case."""

    def render(self, parameters: P, context: Context | None = None) -> Case:
        """Render one case."""
        return self.render_batch([parameters], context)[0]

    def pair(self, parameters: P) -> tuple[str, str] | None:
        """Names of the volumes that are a method's input and what it should make of it; None where there is no pair.

        The demo shows them side by side, and cohort tables list them as ``input`` and ``target``.
        """
        return None

    def to_json(self, parameters: P) -> str:
        """The parameters as JSON text."""
        record = {"phantom": self.name, "parameters": dataclasses.asdict(parameters)}  # type: ignore[call-overload]
        return json.dumps(record, indent=1)

    def from_json(self, text: str) -> P:
        """Parameters from :meth:`to_json`; raises InvalidInputError for another phantom's."""
        record = json.loads(text)
        if record.get("phantom") != self.name:
            raise InvalidInputError(f"This JSON is of phantom {record.get('phantom')!r}, not {self.name!r}.")
        return _build(self.parameters_type, record["parameters"])


def _build(cls: type, values: dict[str, Any]) -> Any:
    """A dataclass from plain JSON: nested dataclasses are rebuilt, lists become tuples."""
    from typing import get_type_hints

    hints = get_type_hints(cls)
    known = {f.name for f in dataclasses.fields(cls)}
    unknown = set(values) - known
    if unknown:
        raise InvalidInputError(f"{cls.__name__} has no {', '.join(sorted(unknown))}.")
    built = {}
    for key, value in values.items():
        if dataclasses.is_dataclass(hints[key]) and isinstance(value, dict):
            value = _build(hints[key], value)
        built[key] = _tuples(value)
    return cls(**built)


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
