"""Several patients painted at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

P = TypeVar("P")
R = TypeVar("R")


def side_by_side(work: Callable[[P], R], items: Sequence[P], device: torch.device) -> list[R]:
    """Results of items in their order, on one thread each, as many small operations share threads badly.

    Args:
        work: what is done with each.
        items: the work to do.
        device: on an accelerator, one item after the other.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(items)) if device.type == "cpu" else 1
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            return list(pool.map(work, items))
    finally:
        torch.set_num_threads(threads)
