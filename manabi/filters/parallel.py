"""Python threads over torch operations, for loops of many small ones."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def parallel_map(function: Callable[[Item], Answer], items: Iterable[Item]) -> list[Answer]:
    """``[function(item) for item in items]`` on as many threads as torch would use.

    Each torch operation inside runs on one thread, also where there is only one item: threads that meet after every
    small operation lose most of their time on a busy machine. torch's own number of threads is as before afterwards.
    """
    threads = torch.get_num_threads()
    work = list(items)
    if threads == 1:
        return [function(item) for item in work]
    torch.set_num_threads(1)
    try:
        if len(work) == 1:
            return [function(work[0])]
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(function, work))
    finally:
        torch.set_num_threads(threads)
