"""Pairs of films per second at 256 x 256 from a library of chests, without the flow.

``one_by_one`` renders every pair alone in one process; ``batches`` makes them in the store's batches, one process;
``store_2`` is :func:`manabi.nodule.pairs_store.write_pairs` with two processes, their start and the disk included.
``batches`` and ``store_2`` make the same pairs on one thread per process and must give the same bytes; ``one_by_one``
may differ in the last bit of a grey value. Projecting the chests is done once before and is not counted.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

BASELINE = "one_by_one"
NAMES = (BASELINE, "batches", "store_2")
FOLDER = "MANABI_BENCH_CHESTS"
"""Environment variable with the folder of the chests."""
SEED, CHESTS, PAIRS, SHARD = 3, 4, 64, 16


def size_and_count(quick: bool) -> tuple[int, int, int]:
    """Rows, pairs and pairs in a shard."""
    return (64, 8, 4) if quick else (256, PAIRS, SHARD)


def recipe(quick: bool) -> Any:
    """The default recipe; on quick films with nodules that their pixels can show."""
    from manabi.nodule.pairs_recipe import PairRecipe
    from manabi.nodule.shapes_sampling import NoduleRanges

    size = size_and_count(quick)[0]
    return PairRecipe(size=size, ranges=NoduleRanges(diameter_mm=(20.0, 35.0))) if quick else PairRecipe()


def library(folder: Path, quick: bool) -> Any:
    """The chests, made where they are missing."""
    from manabi.nodule.place import ASSUMED_FIELD_MM
    from manabi.phantoms.radiograph_geometry import FilmGeometry
    from manabi.phantoms.radiograph_library import ChestLibrary

    size = size_and_count(quick)[0]
    return ChestLibrary.build(folder, CHESTS, SEED, FilmGeometry(size, ASSUMED_FIELD_MM / size))


def in_process(quick: bool, batch: int) -> Callable[[], str]:
    """Pairs in this process, ``batch`` together; the work returns the digest of their grey values."""
    import torch

    from manabi.nodule.pairs import make_pairs
    from manabi.nodule.pairs_sources import ChestSource

    torch.set_num_threads(1)
    source, wanted = ChestSource(library(Path(os.environ[FOLDER]), quick)), recipe(quick)
    _, count, shard = size_and_count(quick)

    def work() -> str:
        digest = hashlib.sha256()
        for first in range(0, count, shard):
            pairs = []
            while len(pairs) < shard:
                start = first + len(pairs)
                pairs += make_pairs(source, wanted, SEED, range(start, min(start + batch, first + shard)))
            for pair in pairs:
                digest.update(np.rint(pair.positive * 255).astype(np.uint8).tobytes())
        return digest.hexdigest()[:12]

    return work


def in_store(quick: bool) -> Callable[[], str]:
    """A new store by two processes."""
    import shutil

    from manabi.nodule.pairs_store import write_pairs

    chests, (_, count, shard) = Path(os.environ[FOLDER]), size_and_count(quick)

    def work() -> str:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(chests, Path(folder) / "store" / "chests")
            store = write_pairs(
                Path(folder) / "store", count, seed=SEED, recipe=recipe(quick), chests=CHESTS, workers=2,
                shard_pairs=shard,
            )  # fmt: skip
            digest = hashlib.sha256()
            for pair in store:
                digest.update(np.rint(pair.positive * 255).astype(np.uint8).tobytes())
            return digest.hexdigest()[:12]

    return work


def contestant(name: str, quick: bool) -> None:
    """Serve one contestant."""
    from common import serve

    from manabi.nodule.pairs_make import BATCH

    work = in_store(quick) if name == "store_2" else in_process(quick, 1 if name == BASELINE else BATCH["cpu"])
    serve(work, lambda: {"pairs": size_and_count(quick)[1], "same": work()})


def run(quick: bool = False) -> dict:
    """Measure; ``quick`` on eight small films and two rounds: a check that it works, not a figure."""
    from common import add_ratios, machine, race

    described = machine()
    with tempfile.TemporaryDirectory() as folder:
        library(Path(folder) / "chests", quick)
        places = {name: {FOLDER: str(Path(folder) / "chests"), "OMP_NUM_THREADS": "1"} for name in NAMES}
        results = race(__file__, list(NAMES), ["--quick"] if quick else [], places, 2)
    add_ratios(results, BASELINE)
    for record in results.values():
        record["pairs_per_second"] = round(record["pairs"] / record["best_s"], 2)
    return {"machine": described, "cases": {"pairs": results}}


def main() -> None:
    """Run and print, or serve as one of the contestants."""
    from common import print_cases, quick_or_contestant

    quick, name = quick_or_contestant(__doc__)
    if name:
        contestant(name, quick)
        return
    columns = ("best_s", "median_s", "best_cpu_s", "ratio_best", "pairs_per_second", "peak_mb", "same")
    print_cases(run(quick), BASELINE, columns)


if __name__ == "__main__":
    main()
