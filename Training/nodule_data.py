"""Pairs of films to train NoduleSynth on: folders of pairs, or simulated ones made into the cache; split by chest.

``--data`` is a folder that ``manabi phantom nodule-pairs`` wrote, ``phantoms:SEED:COUNT``, or several joined by ``+``.
Pairs that were made from one chest stay in one part of the split, and are one patient in every interval.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from manabi.errors import InvalidInputError
from manabi.nodule.place import HIDDEN
from manabi.nodule.truth import NoduleTruth
from Training.cohort import PHANTOMS, SPLITS
from Training.froc import Nodule

logger = logging.getLogger(__name__)

HELD_OUT_SEED = 7_000_003
"""Added to a cohort's seed for films of the other domain, so that no chest is in both."""


class Pair(Protocol):
    """A normal film and the same film with nodules, as :mod:`manabi.nodule.pairs_store` gives them.

    ``positive`` and ``negative`` are ``(rows, columns)`` in 0 to 1, ``mask`` holds each nodule's number.
    """

    @property
    def positive(self) -> np.ndarray:
        """The film with nodules."""

    @property
    def negative(self) -> np.ndarray:
        """The same film without."""

    @property
    def mask(self) -> np.ndarray:
        """Where the nodules are."""

    @property
    def nodules(self) -> Sequence[NoduleTruth]:
        """What is known of them."""


class Pairs(Protocol):
    """A store: pairs by their number; ``record`` says what they were made from."""

    record: dict[str, Any]

    @property
    def chests(self) -> Sequence[int] | np.ndarray:
        """The chest of every pair."""

    def nodules(self, index: int) -> Sequence[NoduleTruth]:
        """Truth of a pair, without reading its films."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, index: int) -> Pair:
        """One of them."""


@dataclass(frozen=True)
class Example:
    """One pair for training or scoring.

    Attributes:
        name: unique in the data.
        patient: the chest.
        positive: float32 ``(rows, columns)`` in 0 to 1, with nodules.
        negative: the same film without.
        mask: bool, where the nodules are.
        nodules: truth in pixels.
        truth: everything that is known of them.
    """

    name: str
    patient: str
    positive: np.ndarray
    negative: np.ndarray
    mask: np.ndarray
    nodules: tuple[Nodule, ...]
    truth: tuple[NoduleTruth, ...]


@dataclass(frozen=True)
class Part:
    """Some of the pairs of several stores, read when they are asked for.

    Attributes:
        stores: where the pairs are.
        items: store and number of each pair.
        patients: chest of each pair.
        shrink: films are averaged over squares of this many pixels.
    """

    stores: tuple[Pairs, ...]
    items: tuple[tuple[int, int], ...]
    patients: tuple[str, ...]
    shrink: int = 1

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Example:
        store, number = self.items[index]
        return example(self.stores[store][number], f"{store}-{number}", self.patients[index], self.shrink)

    def __iter__(self) -> Iterator[Example]:
        return (self[index] for index in range(len(self)))

    def first(self, count: int) -> Part:
        """At most ``count`` pairs, of as many chests as possible."""
        if count <= 0 or count >= len(self):
            return self
        seen: Counter[str] = Counter()
        turn = []
        for patient in self.patients:
            turn.append(seen[patient])
            seen[patient] += 1
        order = sorted(range(len(self)), key=lambda k: (turn[k], k))[:count]
        return self.take(sorted(order))

    def take(self, numbers: Sequence[int]) -> Part:
        """Those of these positions."""
        return replace(
            self, items=tuple(self.items[k] for k in numbers), patients=tuple(self.patients[k] for k in numbers)
        )


@dataclass(frozen=True)
class NoduleData:
    """The pairs of a training.

    Attributes:
        parts: by name of the split.
        digest: of what the pairs were made from; changes when they do.
        simulated: whether all films are simulated.
        source: in words, without paths.
        matrix: side of the films in pixels.
    """

    parts: Mapping[str, Part]
    digest: str
    simulated: bool
    source: str
    matrix: int


@dataclass(frozen=True)
class Wanted:
    """How simulated pairs are made.

    Attributes:
        matrix: side of the films in pixels.
        chests: anatomies that films are made from.
        flow: bundle of the flow that blends nodules in; empty for none.
        workers: processes.
        domain: ``training`` or ``held_out``.
        shrink: by how much all films are averaged for the network, those of folders too.
    """

    matrix: int = 256
    chests: int = 64
    flow: str = ""
    workers: int = 1
    domain: Literal["training", "held_out"] = "training"
    shrink: int = 1


def example(pair: Pair, name: str, patient: str, shrink: int = 1) -> Example:
    """A stored pair as training takes it, on a grid ``shrink`` times coarser than the films were made on."""
    nodules = tuple(
        Nodule((t.row + 0.5) / shrink - 0.5, (t.column + 0.5) / shrink - 0.5, t.diameter_px / 2 / shrink,
               HIDDEN.index(t.hidden), t.subtlety)
        for t in pair.nodules
    )  # fmt: skip
    return Example(
        name, patient, shrunken(pair.positive, shrink), shrunken(pair.negative, shrink),
        shrunken(np.asarray(pair.mask) > 0, shrink) >= 0.5, nodules, tuple(pair.nodules),
    )  # fmt: skip


def shrunken(film: np.ndarray, shrink: int) -> np.ndarray:
    """Means over squares of ``shrink`` pixels, as the method averages a finer film to the network's grid; float32.

    Raises:
        InvalidInputError: where the sides are no multiples of ``shrink``.
    """
    film = np.asarray(film, np.float32)
    if shrink == 1:
        return film
    if any(side % shrink for side in film.shape):
        raise InvalidInputError(f"shrink={shrink} must divide the films' sides; these have {film.shape}.")
    rows, columns = (side // shrink for side in film.shape)
    return film.reshape(rows, shrink, columns, shrink).mean((1, 3))


# --- opening ----------------------------------------------------------------------------------------------------------


def open_data(data: str, wanted: Wanted, parts: str, seed: int, cache: Path) -> NoduleData:
    """Read or make the pairs and split them.

    Args:
        data: see the module.
        wanted: of simulated pairs.
        parts: proportions like ``80/8/12`` of chests to train, validate and test on.
        seed: of the split.
        cache: for simulated pairs.

    Raises:
        InvalidInputError: for data that cannot be read, films of different sizes, or too few chests to split.
    """
    texts = data.split("+") if not Path(data).exists() else [data]
    opened = [_opened(text.strip(), wanted, cache) for text in texts]
    stores = tuple(store for store, _ in opened)
    sides = {max(store[0].positive.shape) for store in stores if len(store)}
    if len(sides) != 1:
        raise InvalidInputError(f"All films must have one matrix; found {sorted(sides) or 'no pairs'}. Make them anew.")
    whole = replace(everything(stores), shrink=wanted.shrink)
    simulated = all(is_simulated(store) for store in stores)
    return NoduleData(
        split(whole, parts, seed),
        digest_of(stores),
        simulated,
        " and ".join(w for _, w in opened),
        sides.pop() // wanted.shrink,
    )


def everything(stores: Sequence[Pairs]) -> Part:
    """All pairs of all stores; chests of different stores are different patients."""
    items = tuple((s, k) for s, store in enumerate(stores) for k in range(len(store)))
    chests = [list(store.chests) for store in stores]
    return Part(tuple(stores), items, tuple(f"{s}-{int(chests[s][k])}" for s, k in items))


def _opened(text: str, wanted: Wanted, cache: Path) -> tuple[Pairs, str]:
    """A store and what it is in words."""
    found = PHANTOMS.fullmatch(text)
    if found:
        return simulated_pairs(int(found[1]), int(found[2]), wanted, cache), f"simulated pairs ({text})"
    if not Path(text).is_dir():
        raise InvalidInputError(
            f"There are no pairs {text!r}. Give a folder that `manabi phantom nodule-pairs` wrote, or "
            "phantoms:SEED:COUNT."
        )
    from manabi.nodule.pairs_store import PairStore

    store = PairStore(Path(text))
    if not is_simulated(store):
        return store, "pairs made of a site's normal films"
    return store, f"simulated pairs (phantoms:{store.record['seed']}:{len(store)})"


def simulated_pairs(seed: int, count: int, wanted: Wanted, cache: Path) -> Pairs:
    """Simulated pairs from the cache, made or completed there where they are not."""
    from manabi.nodule.pairs_recipe import PairRecipe
    from manabi.nodule.pairs_store import write_pairs

    recipe = PairRecipe(size=wanted.matrix, domain=wanted.domain)
    key = hashlib.sha256(f"{recipe}{wanted.flow}{wanted.chests}".encode()).hexdigest()[:12]
    folder = cache / f"pairs-{wanted.domain}-{seed}-{count}-{key}"
    return write_pairs(
        folder, count, seed=seed, recipe=recipe, flow=wanted.flow or None, chests=wanted.chests, workers=wanted.workers
    )


def held_out(data: str, count: int, wanted: Wanted, cache: Path) -> Part:
    """Simulated pairs of the other domain, for tests only: other chests, vessels, beam and film, and no flow."""
    found = PHANTOMS.search(data)
    seed = HELD_OUT_SEED + (int(found[1]) if found else 0)
    other = replace(wanted, domain="held_out", flow="", chests=min(wanted.chests, count))
    return replace(everything([simulated_pairs(seed, count, other, cache)]), shrink=wanted.shrink)


def is_simulated(store: Pairs) -> bool:
    """Whether none of its films is real."""
    return not store.record.get("films", True)


def digest_of(stores: Sequence[Pairs]) -> str:
    """Of what every store was made from, how many pairs it has, and the truth of its first and last one."""
    found = [
        [store.record, len(store), *([t.to_dict() for t in store.nodules(k)] for k in (0, len(store) - 1))]
        for store in stores
    ]
    return hashlib.sha256(json.dumps(found, sort_keys=True, default=str).encode()).hexdigest()


# --- splitting --------------------------------------------------------------------------------------------------------


def split(whole: Part, parts: str, seed: int) -> dict[str, Part]:
    """The three parts, whole chests in each.

    Raises:
        InvalidInputError: for proportions that are not three numbers, or where a wanted part would be empty.
    """
    shares = proportions(parts)
    patients = sorted(set(whole.patients))
    order = [patients[int(k)] for k in np.random.default_rng(seed).permutation(len(patients))]
    counts = [max(round(len(order) * s / sum(shares)), 1 if s else 0) for s in shares]
    counts[0] = len(order) - counts[1] - counts[2]
    if min(c for c, s in zip(counts, shares, strict=True) if s) < 1:
        raise InvalidInputError(f"{len(order)} chests cannot be split {parts}. Make pairs from more chests.")
    ends = np.cumsum(counts)
    of = {p: SPLITS[int(np.searchsorted(ends, k, side="right"))] for k, p in enumerate(order)}
    return {name: whole.take([k for k, p in enumerate(whole.patients) if of[p] == name]) for name in SPLITS}


def proportions(parts: str) -> list[float]:
    """``80/8/12`` as numbers."""
    try:
        shares = [float(text) for text in parts.split("/")]
    except ValueError:
        shares = []
    if len(shares) != 3 or min(shares) < 0 or shares[0] <= 0:
        raise InvalidInputError(f"parts must be three proportions like 80/8/12; got {parts!r}.")
    return shares


def facts(data: NoduleData) -> dict[str, Any]:
    """Numbers of pairs and chests, as the bundle has them."""
    return {
        name: {"pairs": len(part), "chests": len(set(part.patients))} for name, part in data.parts.items()
    }  # fmt: skip
