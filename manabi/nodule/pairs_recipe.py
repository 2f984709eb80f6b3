"""What pairs of films are made of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from manabi.errors import InvalidInputError
from manabi.nodule.contrast import LEAST_CNR
from manabi.nodule.shapes_sampling import NoduleRanges

Embedding = Literal["physics", "litjens"]
Bits = Literal[8, 16]
MOST_NODULES = 10
LEAST_SIZE = 32
DOMAINS = ("training", "held_out")


@dataclass(frozen=True)
class PairRecipe:
    """How pairs are made; with the seed and the sources of films it decides every byte of them.

    Attributes:
        size: rows and columns of the films.
        domain: of simulated films, ``training`` or ``held_out`` (other vessels, beams, grids and processing).
        nodules: least and greatest number in a film; uniform.
        ranges: what nodules are drawn from.
        ratio: least and greatest ratio of the latent interpolation; uniform. It is drawn but not used without a flow.
        least_cnr: pairs with a nodule of less contrast to noise are drawn again.
        least_kept: share of each nodule's projection that lies within the lung, at least.
        embedding: ``physics`` (:mod:`manabi.nodule.embed`) or ``litjens`` (:mod:`manabi.nodule.litjens`).
        varied: whether every film is a variation of its chest, or of the real film it is made from.
        bits: of the stored films.

    The numbers are the methods file's (PROPOSED there) or our choice.
    """

    size: int = 256
    domain: str = "training"
    nodules: tuple[int, int] = (1, 3)
    ranges: NoduleRanges = field(default_factory=NoduleRanges)
    ratio: tuple[float, float] = (0.3, 1.0)
    least_cnr: float = LEAST_CNR
    least_kept: float = 0.5
    embedding: Embedding = "physics"
    varied: bool = True
    bits: Bits = 8

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if self.domain not in DOMAINS:
            raise InvalidInputError(f"domain must be one of {', '.join(DOMAINS)}; got {self.domain!r}.")
        if self.size < LEAST_SIZE:
            raise InvalidInputError(f"Films of pairs have at least {LEAST_SIZE} rows and columns; got {self.size}.")
        low, high = self.nodules
        if not 1 <= low <= high <= MOST_NODULES:
            raise InvalidInputError(f"A film holds 1 to {MOST_NODULES} nodules; got {low} to {high}.")
        if not 0 <= self.ratio[0] <= self.ratio[1] <= 1 or not 0 <= self.least_kept <= 1:
            raise InvalidInputError(f"Ratios and shares are 0 to 1; got {self.ratio} and {self.least_kept:g}.")
        if self.embedding not in get_args(Embedding) or self.bits not in get_args(Bits):
            raise InvalidInputError(
                f"embedding is one of {', '.join(get_args(Embedding))} and bits 8 or 16; got {self.embedding!r}, "
                f"{self.bits}."
            )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as JSON has it: tuples as lists."""
        return _plain(dataclasses.asdict(self))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PairRecipe:
        """A recipe from :meth:`to_dict`."""
        parts: dict[str, Any] = {key: _tuples(value) for key, value in values.items() if key != "ranges"}
        ranges: dict[str, Any] = {key: _tuples(value) for key, value in values.get("ranges", {}).items()}
        return cls(**parts, ranges=NoduleRanges(**ranges))


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return list(value) if isinstance(value, tuple) else value
