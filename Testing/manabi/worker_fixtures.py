"""What the tests of worker, client and command line share."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import psutil

from manabi.volume import Volume

AWKWARD = "é 検査"


def use_site_methods(monkeypatch):
    """Register the methods of worker_methods for this process and for those that it starts."""
    from worker_methods import REGISTERED

    here = str(Path(__file__).parent)
    monkeypatch.setenv("MANABI_METHODS", REGISTERED)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def image(seed=0, shape=(3, 4, 5), **attributes):
    """A small oblique volume of random numbers."""
    matrix = np.array([[0.0, -2.0, 0.3, 10.0], [1.5, 0.0, 0.0, -4.0], [0.0, 0.2, 3.0, 7.0], [0.0, 0.0, 0.0, 1.0]])
    array = np.random.default_rng(seed).normal(100, 10, shape).astype(np.float32)
    return Volume(array, matrix, **{"modality": "NM", "units": "CNTS", "name": "bild", **attributes})


def is_running(pid):
    """Whether a process exists and is not a zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
