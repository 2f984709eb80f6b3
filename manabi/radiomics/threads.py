"""The threads that bands and families of features are shared out to; the numbers do not depend on how many."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

FEW_VALUES = 200_000
"""Below this, handing work to threads takes longer than it saves (measured on two cores; our choice)."""


@contextmanager
def mapping(threads: int | None = None, values: int | None = None) -> Iterator[Callable]:
    """``map``, on so many threads; on one without a pool.

    Args:
        threads: how many; None takes :func:`allowed`, or one where there is little to do.
        values: voxels times bands that are worked on; None stands for many.
    """
    few = threads is None and values is not None and values < FEW_VALUES
    count = 1 if few else threads or allowed()
    if count == 1:
        yield map
        return
    with ThreadPoolExecutor(count) as pool:
        yield pool.map


def allowed() -> int:
    """As many as the user allows by the variables that bound numba and OpenMP, or the processors."""
    for variable in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        value = os.environ.get(variable, "")
        if value.isdecimal() and int(value) > 0:
            return int(value)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
