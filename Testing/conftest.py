"""Shared fixtures: where the real test images are, and the seeds."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if os.environ.get("PYTEST_XDIST_WORKER"):
    # Workers side by side: each computes with one thread, and so do the processes it starts.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

if TYPE_CHECKING:
    from manabi.bundle import Bundle
    from manabi.phantoms.base import Case
    from manabi.phantoms.striatum import StriatumParameters

ROOT = Path(__file__).resolve().parents[1]

pytest_plugins = ["slicer_standin.fixtures"]


@pytest.fixture(scope="session")
def data_folder() -> Callable[[str], Path]:
    """A function from a path below the test data to the real path; skips the test where the data is absent."""
    base = Path(os.environ.get("MANABI_TEST_DATA", ROOT.parent / "shared" / "data"))

    def find(relative: str) -> Path:
        path = base / relative
        if not path.exists():
            pytest.skip(f"real test image {relative} is not here (set MANABI_TEST_DATA)")
        return path

    return find


@pytest.fixture(autouse=True)
def _private_user_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the real user's models or cache."""
    monkeypatch.setenv("MANABI_HOME", str(tmp_path / "manabi-home"))


@pytest.fixture(scope="session")
def striatum_case() -> tuple[Case, StriatumParameters]:
    """One rendered DAT-SPECT: left grade 4, right grade 2; and its parameters."""
    from fixtures_spect import render

    return render(grade_left=4, grade_right=2)


@pytest.fixture(scope="session")
def spect_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small untrained bundle of SPECTDenoise."""
    from fixtures_spect import write_stand_in

    return write_stand_in(tmp_path_factory.mktemp("bundles") / "ours")


@pytest.fixture(scope="session")
def paper_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small untrained bundle of the source's own pipeline."""
    from fixtures_spect import write_stand_in

    return write_stand_in(tmp_path_factory.mktemp("bundles") / "paper", "paper")


@pytest.fixture(scope="session")
def mvct_stand_in(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A small untrained bundle of MVCTConvert, with its way back."""
    from fixtures_mvct import write_stand_in

    return write_stand_in(tmp_path_factory.mktemp("bundles") / "mvct")


@pytest.fixture(scope="session")
def mvct_shift(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A hand-set bundle of MVCTConvert that adds ``fixtures_mvct.SHIFT_HU``, and takes it off on the way back."""
    from fixtures_mvct import SHIFT_HU, write_stand_in

    return write_stand_in(tmp_path_factory.mktemp("bundles") / "mvct-shift", SHIFT_HU)
