"""Pairs on disk: shards that appear whole or not at all, a manifest, and the class that training reads them with.

A store is a folder::

    pairs.json                  what the pairs are made of; "synthetic: not for diagnosis"
    chests/  films/             the normal films they are made from
    shard-000000/               positive.npy, negative.npy (grey values of 8 or 16 bits), mask.npy, pairs.jsonl
    manifest.jsonl              the lines of all shards: number, seed, chest and nodules of every pair

Pair ``i`` follows from the seed and ``i`` alone, so that no draw is ever repeated within a store, a longer store begins
with the pairs of a shorter one, and the bytes do not depend on the number of workers or on interruptions. They may
differ between processors and releases of the libraries, as all floating-point arithmetic does.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.io.atomic import ASIDE_PREFIX, atomic_file, atomic_folder, check_place
from manabi.io.lock import locked
from manabi.nodule.pairs import Pair
from manabi.nodule.pairs_recipe import PairRecipe
from manabi.nodule.truth import NoduleTruth

CHESTS, FILMS = "chests", "films"
RECORD, MANIFEST, LINES, LOCK = "pairs.json", "manifest.jsonl", "pairs.jsonl", "lock"
VERSION = 1
SYNTHETIC = "Synthetic films, simulated or altered by a program: not for diagnosis."
SHARD_PAIRS = 128
"""Pairs in a shard; what a kill may cost is less than this for each worker."""
DEFAULT_CHESTS = 64
"""Simulated chests that pairs are made from, each varied for every pair (our choice)."""
SHARD_NAME = re.compile(r"shard-(\d{6})")
ARRAYS = ("positive", "negative", "mask")


class PairStore:
    """Pairs of films in a folder; ``store[i]`` is pair ``i``, read when it is asked for.

    Raises:
        InvalidInputError: where the folder holds no pairs.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        self.record = read_record(self.folder)
        self._full: float = 2 ** int(self.record["recipe"]["bits"]) - 1
        self._shards: dict[int, dict[str, np.ndarray]] = {}
        self._lines: list[dict[str, Any]] = []
        for number, path in complete_shards(self.folder):
            text = (path / LINES).read_text(encoding="utf-8")
            lines = [json.loads(line) for line in text.splitlines()]
            if any(line["index"] != number * self.shard_pairs + row for row, line in enumerate(lines)):
                raise InvalidInputError(f"{path} does not hold the pairs that its number says. Remove it and continue.")
            self._lines += lines

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[Pair]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Pair:
        if not -len(self) <= index < len(self):
            raise IndexError(f"The store holds {len(self)} pairs; got {index}.")
        line = self._lines[index]
        arrays = self._arrays(line["index"] // self.shard_pairs)
        row = line["index"] % self.shard_pairs
        positive, negative = (arrays[name][row].astype(np.float32) / np.float32(self._full) for name in ARRAYS[:2])
        return Pair(
            positive, negative, np.array(arrays["mask"][row]), nodules_of(line), line["index"], line["chest"],
            tuple(line["seed"]),
        )  # fmt: skip

    @property
    def recipe(self) -> PairRecipe:
        """What the pairs are made of."""
        return PairRecipe.from_dict(self.record["recipe"])

    @property
    def shard_pairs(self) -> int:
        """Pairs in a full shard."""
        return int(self.record["shard_pairs"])

    @property
    def chests(self) -> tuple[int, ...]:
        """The chest of every pair, without reading any film."""
        return tuple(int(line["chest"]) for line in self._lines)

    @property
    def simulated(self) -> bool:
        """Whether all films are of simulated chests; False where any is made from a real film."""
        return not self.record["films"]

    @property
    def digest(self) -> str:
        """Checksum of all that decides the pairs (seed, recipe, flow, sources), and of their number."""
        films = self.folder / FILMS / "films.json"
        source = json.loads(films.read_text(encoding="utf-8"))["source"] if films.is_file() else None
        text = json.dumps({**self.record, "pairs": len(self), "source": source}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def nodules(self, index: int) -> tuple[NoduleTruth, ...]:
        """The nodules of a pair, without reading its films."""
        return nodules_of(self._lines[index])

    def _arrays(self, shard: int) -> dict[str, np.ndarray]:
        if shard not in self._shards:
            folder = _shard(self.folder, shard)
            self._shards[shard] = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in ARRAYS}
        return self._shards[shard]

    def __getstate__(self) -> dict[str, Any]:
        """Without the open files: a data loader's process opens its own."""
        return {**self.__dict__, "_shards": {}}


def write_pairs(
    folder: Path | str,
    count: int,
    *,
    seed: int = 0,
    recipe: PairRecipe | None = None,
    flow: str | Path | None = None,
    chests: int | None = None,
    films: Path | str | None = None,
    workers: int = 1,
    shard_pairs: int = SHARD_PAIRS,
    device: str = "cpu",
    context: Context | None = None,
) -> PairStore:
    """Write pairs, or those that are missing of a store begun before.

    Args:
        folder: of the store.
        count: number of pairs; a store that holds more keeps them.
        seed: of everything random; stores of different seeds share no pair.
        recipe: what the pairs are made of.
        flow: name or folder of a bundle with a flow that blends nodules in; None leaves them as they were embedded.
        chests: number of simulated chests; 64 without ``films``, else none.
        films: folder of real normal films to use, or a CSV that says whose each is (:mod:`manabi.nodule.pairs_films`);
            with ``chests`` too, half of the pairs come from either.
        workers: processes side by side.
        shard_pairs: pairs in a shard.
        device: where films are worked out, ``cpu`` or ``cuda``.
        context: progress, warnings and cancellation.

    Raises:
        InvalidInputError: where the folder's pairs are others (seed, recipe, flow, chests or films), or another process
            writes to it.
        ManabiError: where a pair cannot be made, or the disk is full.
        CancelledError: when the context was cancelled; complete shards stay.
    """
    from manabi.nodule.pairs_make import Making, flow_digest, make_shards, prepared

    folder, recipe, context = Path(folder), recipe or PairRecipe(), context or Context()
    if count < 1 or workers < 1 or shard_pairs < 1:
        raise InvalidInputError(
            f"Expected counts above 0; got {count} pairs, {workers} workers, {shard_pairs} a shard."
        )
    chests = chests if chests is not None else (0 if films else DEFAULT_CHESTS)
    check_place(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder / LOCK, "Another process writes pairs"):
        _sweep(folder)
        record = {
            "format": "manabi nodule pairs", "version": VERSION, "synthetic": SYNTHETIC, "seed": seed,
            "shard_pairs": shard_pairs, "recipe": recipe.to_dict(), "flow": flow_digest(flow), "chests": chests,
            "films": films is not None,
        }  # fmt: skip
        begin(folder, record)
        making = Making(str(folder), seed, recipe, None if flow is None else str(flow), shard_pairs, device)
        with context.span(0.0, 0.3):
            prepared(making, chests, films, workers, context)
        with context.span(0.3, 1.0):
            make_shards(making, missing(folder, count, shard_pairs), workers, context)
        write_manifest(folder)
    return PairStore(folder)


def begin(folder: Path, record: dict[str, Any]) -> None:
    """Write a store's record, or refuse a folder whose pairs are others.

    A folder without pairs, as one that was begun with a setting that could not be used, is begun anew.
    """
    there = (folder / RECORD).is_file()
    found = read_record(folder) if there else {}
    other = sorted(key for key in {*record, *found} if found.get(key) != record.get(key))
    if not complete_shards(folder) and other:
        for name in (CHESTS, FILMS) if there else ():
            shutil.rmtree(folder / name, ignore_errors=True)
        with atomic_file(folder / RECORD, overwrite=True) as aside:
            aside.write_text(json.dumps(record, indent=1), encoding="utf-8")
    elif other:
        raise InvalidInputError(
            f"{folder} holds pairs that differ in {', '.join(other)}. Continue them with the settings they were begun "
            "with, or name another folder."
        )


def read_record(folder: Path) -> dict[str, Any]:
    """A store's record; raises InvalidInputError where there is none."""
    path = folder / RECORD
    if not path.is_file():
        raise InvalidInputError(f"{folder} holds no pairs ({RECORD}). Make some with: manabi phantom nodule-pairs")
    record = json.loads(path.read_text(encoding="utf-8"))
    if record.get("version") != VERSION:
        raise InvalidInputError(
            f"{folder} holds pairs of version {record.get('version')}; this Manabi reads {VERSION}."
        )
    return record


def complete_shards(folder: Path) -> list[tuple[int, Path]]:
    """Number and folder of every shard, in order; each is complete, as shards appear whole."""
    found = ((SHARD_NAME.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir())
    return sorted((int(match[1]), path) for match, path in found if match)


def missing(folder: Path, count: int, shard_pairs: int) -> list[tuple[int, int]]:
    """Number of each shard that is not there or too short, and the pairs that it shall hold."""
    there = {number: len((path / LINES).read_text(encoding="utf-8").splitlines()) for number, path in
             complete_shards(folder)}  # fmt: skip
    wanted = [(n, min(shard_pairs, count - n * shard_pairs)) for n in range(-(-count // shard_pairs))]
    return [(number, pairs) for number, pairs in wanted if there.get(number, 0) < pairs]


def write_shard(folder: Path, number: int, pairs: list[Pair], bits: int) -> None:
    """Write a shard; it appears whole, in the place of a shorter one."""
    full = 2**bits - 1
    kind = np.uint8 if bits == 8 else np.uint16
    with atomic_folder(_shard(folder, number), overwrite=True) as aside:
        for name in ARRAYS[:2]:
            films = np.stack([getattr(pair, name) for pair in pairs])
            np.save(aside / f"{name}.npy", np.rint(films * full).astype(kind))
        np.save(aside / "mask.npy", np.stack([pair.mask for pair in pairs]).astype(np.uint8))
        text = "".join(json.dumps(line_of(pair)) + "\n" for pair in pairs)
        (aside / LINES).write_text(text, encoding="utf-8")


def write_manifest(folder: Path) -> None:
    """Collect the lines of all shards in one file."""
    with atomic_file(folder / MANIFEST, overwrite=True) as aside, aside.open("w", encoding="utf-8") as file:
        for _, path in complete_shards(folder):
            file.write((path / LINES).read_text(encoding="utf-8"))


def line_of(pair: Pair) -> dict[str, Any]:
    """What the manifest says of a pair."""
    return {
        "index": pair.index, "synthetic": True, "seed": list(pair.seed), "chest": pair.chest,
        "nodules": [nodule.to_dict() for nodule in pair.nodules],
    }  # fmt: skip


def nodules_of(line: dict[str, Any]) -> tuple[NoduleTruth, ...]:
    """The nodules of a line of the manifest."""
    return tuple(NoduleTruth.from_dict(values) for values in line["nodules"])


def _shard(folder: Path, number: int) -> Path:
    return folder / f"shard-{number:06d}"


def _sweep(folder: Path) -> None:
    """Remove what a killed process left half written; none other writes here, as the lock says."""
    for path in folder.glob(f"**/{ASIDE_PREFIX}*"):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
