"""What the self-tests of the modules share. A module's test takes the first two as its methods::

    class ModuleTest(ScriptedLoadableModuleTest):
        setUp, runTest = self_test.set_up, self_test.run_all
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer

from manabi_slicer import sample_data
from manabi_slicer.install import missing

if TYPE_CHECKING:
    from unittest import TestCase

    from manabi_slicer.sample_data import Sample


def set_up(case: TestCase) -> None:
    """Start from an empty scene."""
    slicer.mrmlScene.Clear()


def run_all(case: TestCase, **_options: Any) -> None:
    """Run all tests of a case in the order in which they are written; for Slicer's Reload & Test."""
    for name in [name for name in vars(type(case)) if name.startswith("test_")]:
        case.setUp()
        getattr(case, name)()


def check_listed(case: TestCase, sample: Sample) -> None:
    """The sample is listed in Sample Data."""
    listed = [source.sampleName for source in slicer.modules.sampleDataSources[sample_data.CATEGORY]]
    case.assertIn(sample.title, listed)


def check_refused(case: TestCase, run: Callable[[Any], Any], shape: tuple[int, int, int], dtype: str = "int16") -> None:
    """An image that holds nothing is refused with a reason, and no node is left of the attempt.

    Args:
        case: the test.
        run: runs the logic on a volume node.
        shape: of the image, KJI.
        dtype: of its voxels.
    """
    import numpy as np

    from manabi.errors import InvalidInputError

    need_packages(case)
    node = slicer.util.addVolumeFromArray(np.zeros(shape, dtype))
    count = slicer.mrmlScene.GetNumberOfNodes()
    with case.assertRaises(InvalidInputError):
        run(node)
    case.assertEqual(slicer.mrmlScene.GetNumberOfNodes(), count)


def bounds_of(node: Any) -> tuple[float, ...]:
    """The bounds of a volume in RAS mm, rounded to a nanometre."""
    bounds = [0.0] * 6
    node.GetRASBounds(bounds)
    return tuple(round(b, 6) for b in bounds)


def need_packages(case: TestCase) -> None:
    """Skip the test where something is not installed yet."""
    if missing():
        case.skipTest("needs PyTorch and the packages that the first Apply installs")
