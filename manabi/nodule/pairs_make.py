"""Making the shards of a store of pairs, in this process or in several."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from manabi.context import Context
from manabi.errors import WorkerError
from manabi.nodule.pairs import Pair, make_pairs
from manabi.nodule.pairs_films import FilmLibrary
from manabi.nodule.pairs_recipe import PairRecipe
from manabi.nodule.pairs_sources import ChestSource, FilmSource, MixedSource, PairSource
from manabi.nodule.pairs_store import CHESTS, FILMS, write_shard
from manabi.nodule.place import ASSUMED_FIELD_MM

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.synchronize import Event

    from manabi.nodule.glow import Glow

BATCH = {"cpu": 8, "cuda": 64}
"""Pairs that are worked out together; part of what decides the last bit of a film, so it does not depend on memory."""
POLL_S = 0.2


@dataclass(frozen=True)
class Making:
    """What a process needs to know to make shards.

    Attributes:
        folder: of the store.
        seed: of all pairs.
        recipe: what they are made of.
        flow: bundle of the flow; None without.
        shard_pairs: pairs in a shard.
        device: where films are worked out.
    """

    folder: str
    seed: int
    recipe: PairRecipe
    flow: str | None
    shard_pairs: int
    device: str


def prepared(making: Making, chests: int, films: Path | str | None, workers: int, context: Context) -> None:
    """Make the normal films' sources that are missing in the store."""
    from manabi.phantoms.radiograph_geometry import FilmGeometry
    from manabi.phantoms.radiograph_library import ChestLibrary

    folder, recipe = Path(making.folder), making.recipe
    if films is not None:
        FilmLibrary.build(folder / FILMS, films, recipe.size, context)
    if chests:
        geometry = FilmGeometry(recipe.size, ASSUMED_FIELD_MM / recipe.size)
        ChestLibrary.build(folder / CHESTS, chests, making.seed, geometry, recipe.domain, workers, context)


def source_of(making: Making) -> PairSource:
    """The source of normal films that a store holds."""
    from manabi.phantoms.radiograph_library import ChestLibrary

    folder, recipe = Path(making.folder), making.recipe
    sources: list[PairSource] = []
    if (folder / CHESTS).is_dir():
        library = ChestLibrary(folder / CHESTS)
        sources.append(ChestSource(library, recipe.domain, recipe.varied, making.device))
    if (folder / FILMS).is_dir():
        first = sum(len(source) for source in sources)
        sources.append(FilmSource(FilmLibrary(folder / FILMS), recipe.varied, first))
    return sources[0] if len(sources) == 1 else MixedSource(sources)


def make_shards(making: Making, shards: Sequence[tuple[int, int]], workers: int, context: Context) -> None:
    """Make shards (number and pairs of each), and write each as soon as it is complete.

    Raises:
        CancelledError: when the context was cancelled; complete shards stay.
    """
    total = sum(pairs for _, pairs in shards)
    if workers <= 1 or len(shards) <= 1:
        maker = Maker(making)
        done = 0
        for number, pairs in shards:
            maker.shard(number, pairs, context, done, total)
            done += pairs
        return
    _side_by_side(making, shards, workers, context, total)


class Maker:
    """Makes the shards of one store in one process."""

    def __init__(self, making: Making) -> None:
        self._making = making
        self._source = source_of(making)
        self._flow = _flow(making)
        self._batch = BATCH["cpu" if making.device == "cpu" else "cuda"]

    def shard(self, number: int, pairs: int, context: Context | None = None, done: int = 0, total: int = 0) -> None:
        """Make and write a shard.

        Whole batches are made always and cut afterwards, so that a pair is the same in a shard of any length.
        """
        making, first = self._making, number * self._making.shard_pairs
        out: list[Pair] = []
        with _one_thread(making.device):
            while len(out) < pairs:
                if context is not None:
                    context.progress((done + len(out)) / total, f"{done + len(out)} of {total} pairs")
                start = len(out)
                indices = range(first + start, first + min(start + self._batch, making.shard_pairs))
                out += make_pairs(self._source, making.recipe, making.seed, indices, self._flow)
        if context is not None:
            context.check_cancelled()
        write_shard(Path(making.folder), number, out[:pairs], making.recipe.bits)


def flow_digest(flow: str | Path | None) -> str | None:
    """What a store's record says of the flow: the checksum of its weights; None without one."""
    if flow is None:
        return None
    from manabi.store import BundleStore

    return f"sha256:{BundleStore().get(str(flow), method='nodule').weights_sha256}"


def _flow(making: Making) -> Glow | None:
    if making.flow is None:
        return None
    from manabi.nodule.glow_bundle import load_flow

    return load_flow(making.flow).to(making.device)


@contextmanager
def _one_thread(device: str) -> Iterator[None]:
    """One thread on a processor: sums over several would depend on their number; workers share the cores instead."""
    import torch

    threads = torch.get_num_threads()
    if device == "cpu":
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


# --- processes --------------------------------------------------------------------------------------------------------

_maker: Maker | None = None


def _side_by_side(
    making: Making, shards: Sequence[tuple[int, int]], workers: int, context: Context, total: int
) -> None:
    """Shards in worker processes, which end at once when one fails, on cancelling, or with this process."""
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool
    from multiprocessing import get_context

    processes = get_context("spawn")
    stop = processes.Event()
    start = (making, os.getpid(), stop)
    with ProcessPoolExecutor(min(workers, len(shards)), processes, _start, start) as pool:
        try:
            _wait({pool.submit(_shard, number, pairs): pairs for number, pairs in shards}, total, context)
        except BrokenProcessPool as error:
            raise WorkerError(
                "A process that makes pairs was ended, perhaps for want of memory. Complete shards are kept; run the "
                "same command again with fewer workers."
            ) from error
        finally:
            stop.set()


def _start(making: Making, parent: int, stop: Event) -> None:
    """Begin a worker process, which ends when it is told to or the one that started it is gone."""
    global _maker
    threading.Thread(target=_follow, args=(parent, stop), daemon=True).start()
    _maker = Maker(making)


def _follow(parent: int, stop: Event) -> None:
    while not stop.wait(POLL_S) and os.getppid() == parent:
        continue
    os._exit(1)


def _shard(number: int, pairs: int) -> None:
    if _maker is None:
        raise RuntimeError("The worker process was not begun with its store.")
    _maker.shard(number, pairs)


def _wait(futures: dict[Future[None], int], total: int, context: Context) -> None:
    """Wait for all shards."""
    from concurrent.futures import FIRST_EXCEPTION, wait

    waiting, done = set(futures), 0
    while waiting:
        finished, waiting = wait(waiting, POLL_S, FIRST_EXCEPTION)
        for future in finished:
            future.result()
            done += futures[future]
        context.progress(done / total, f"{done} of {total} pairs")
