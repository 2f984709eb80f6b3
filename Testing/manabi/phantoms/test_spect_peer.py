"""Slow checks: against PyTomography, and the noise level of the default population."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.bench_osem import Case, NumpyOsem, Peer, agreement, has_pytomography
from skimage.metrics import structural_similarity

from manabi.context import Context
from manabi.phantoms.base import case_rng
from manabi.phantoms.spect_camera import to_volume
from manabi.phantoms.striatum import StriatumPhantom

SOURCE_SSIM, ALLOWED = 0.7075, 0.02


def test_plain_numpy_agrees() -> None:
    case = Case(slices=3, blurred=False, views=20)
    theirs = NumpyOsem(case).run(case.whole_detector().numpy(), 2, 4)
    found = agreement(case.ours(2, 4), theirs, (case.map_volume() > 0.1).numpy())
    assert found["nrmse"] < 0.03
    assert found["correlation"] > 0.998


@pytest.mark.slow
@pytest.mark.skipif(not has_pytomography(), reason="PyTomography is not installed (pip install 'manabi[peers]')")
@pytest.mark.timeout(1800)
def test_pytomography_agrees() -> None:
    """Measured: projections differ by 0.09 %, images of 7.5e5 counts after 4 × 10 updates by 0.9 %."""
    case = Case(slices=12, blurred=True, views=60)
    peer = Peer(case)
    image = to_volume(case.projector().adjoint(case.mean)[:, 0], case.geometry)
    ours = case.projector().forward(case.projector().adjoint(case.mean))[:, :, 0].numpy()
    theirs = peer.forward(image)[:, 24:-24].cpu().numpy()
    assert np.sqrt(((ours - theirs) ** 2).sum() / (theirs**2).sum()) < 0.005
    found = agreement(case.ours(), peer.run(case.whole_detector()), (case.map_volume() > 0.1).numpy())
    assert found["nrmse"] < 0.02
    assert found["correlation"] > 0.999


def eight_bit(image: np.ndarray) -> np.ndarray:
    """The central 64 × 64 of an image normalised to 0-255."""
    shifted = image - image.min()
    return np.round(255.0 * shifted / shifted.max())[32:96, 32:96]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_default_population_is_as_noisy_as_the_source() -> None:
    phantom, found = StriatumPhantom(), []
    for index in range(120):
        case = phantom.render(phantom.sample_parameters(case_rng(5, index)), Context(device="cpu"))
        short, full = (case.volumes[name].array for name in ("spect_5min", "spect_25min"))
        top = int(full.max((1, 2)).argmax())
        pairs = [(eight_bit(short[k]), eight_bit(full[k])) for k in range(top - 2, top + 3)]
        found.append(np.mean([structural_similarity(a, b, data_range=255) for a, b in pairs]))
    assert float(np.mean(found)) == pytest.approx(SOURCE_SSIM, abs=ALLOWED)
