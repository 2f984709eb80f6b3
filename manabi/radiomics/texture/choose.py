"""Which engine counts, and when the compiled one is ready.

numba needs some seconds to compile, once per machine. Nobody waits for that: until the compiled kernels are in the
user's folder, numpy counts. ``warm`` compiles them, for instance on a background thread or before a batch.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import sys
import threading
import time
from contextlib import suppress
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from manabi.errors import DependencyError, InvalidInputError
from manabi.places import data_folder

if TYPE_CHECKING:
    from manabi.radiomics.texture.cells import Engine

ENGINES = ("numba", "numpy", "torch")
_KERNELS = "manabi.radiomics.texture.kernels_numba"
_WORTH_LOADING = 600_000
"""Voxels of all bands from which loading numba (0.6 s of a processor) is less than what it saves: measured on 4,000 to
125,000 voxels of a region with eight bands (one-shot processes of ``Testing/benchmarks/bench_radiomics.py``)."""
_warming = threading.Lock()
MANY = 3
_regions = count(1)


def kernel_folder() -> Path:
    """Where compiled kernels are kept: ``$NUMBA_CACHE_DIR``, or ``kernels`` in this user's data folder."""
    named = os.environ.get("NUMBA_CACHE_DIR")
    return Path(named) if named else data_folder() / "kernels"


def ready() -> bool:
    """True where the compiled kernels are loaded, or can be loaded without compiling."""
    if _KERNELS in sys.modules:
        return True
    return installed() and _marker().is_file()


def installed() -> bool:
    """True where numba can be imported."""
    return importlib.util.find_spec("numba") is not None


def warm() -> float:
    """Compile all kernels, or load them; seconds that it took.

    Safe on any thread. Where the folder cannot be written, the kernels last as long as the process.

    Raises:
        DependencyError: numba is not installed, or does not work with this numpy.
    """
    start = time.perf_counter()
    with _warming:
        if _KERNELS in sys.modules:
            return 0.0
        try:
            importlib.import_module(_KERNELS)
        except ImportError as problem:
            raise DependencyError(
                f"The compiled texture kernels need numba ({problem}): pip install numba, or take the engine numpy."
            ) from problem
        seconds = time.perf_counter() - start
        if writable(kernel_folder()):
            _marker().write_text(json.dumps({"seconds": seconds}), encoding="utf-8")
    return seconds


def warm_for_many() -> None:
    """Load or compile the kernels when this process measures its third region: more will follow (our choice).

    A single case never waits for a compiler; a batch waits once. Where numba is missing or fails, numpy goes on.
    """
    if next(_regions) == MANY and installed():
        with suppress(DependencyError):
            warm()


def writable(folder: Path) -> bool:
    """True where files can be written into the folder, which is made if need be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def engine(name: str | None = None, n_voxels: int = _WORTH_LOADING) -> Engine:
    """What counts; ``None`` takes numba where it is ready and numpy otherwise.

    Args:
        name: of the engine.
        n_voxels: the voxels of all bands. For few of them, loading numba takes longer than numpy does.

    Raises:
        InvalidInputError: there is no engine of that name.
        DependencyError: its package is not installed.
    """
    loaded = _KERNELS in sys.modules
    chosen = name or ("numba" if loaded or (n_voxels >= _WORTH_LOADING and ready()) else "numpy")
    kind, _, device = chosen.partition(":")
    if kind not in ENGINES:
        raise InvalidInputError(f"engine is one of {', '.join(ENGINES)} (torch:cuda for a GPU); got {name!r}.")
    if kind == "numba":
        warm()
    module = importlib.import_module(f"manabi.radiomics.texture.kernels_{kind}")
    return module.on(device or "cpu") if kind == "torch" else module


def _marker() -> Path:
    """A file that is there once this source was compiled by this numba for this processor."""
    import llvmlite.binding as llvm

    source = Path(__file__).with_name("kernels_numba.py")
    state = source.stat()
    parts = (
        source.read_bytes(),
        str((str(source), state.st_mtime, state.st_size)).encode(),
        f"{version('numba')} {version('numpy')}".encode(),
        f"{llvm.get_host_cpu_name()} {llvm.get_host_cpu_features().flatten()}".encode(),
        f"{sys.implementation.cache_tag}".encode(),
    )
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    return kernel_folder() / f"texture-{digest}.json"
