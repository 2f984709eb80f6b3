from __future__ import annotations

import numpy as np
import pytest

from manabi.errors import InvalidInputError
from manabi.phantoms.brain_contrast import (
    CONTRASTS,
    OTHERS,
    SEQUENCES,
    USUAL,
    Sequence,
    blood_signal,
    drawn,
    signal,
    signals,
    tissue_values,
)
from manabi.phantoms.brain_tissues import CODE

VALUES = tissue_values(0.0, 0)


def _table(contrast: str, sequence: Sequence | None = None) -> dict[str, float]:
    table = signals(contrast, sequence or USUAL[contrast], VALUES)
    return {name: float(table[code]) for name, code in CODE.items()}


def test_t1_orders_white_grey_fluid_as_at_3_tesla() -> None:
    t1 = _table("t1")
    assert t1["grey"] / t1["white"] == pytest.approx(0.62, abs=0.08)
    assert t1["csf"] / t1["white"] == pytest.approx(0.2, abs=0.08)
    assert t1["fat"] > t1["white"]


def test_heavy_t2_leaves_fluid_alone_bright() -> None:
    heavy = _table("heavy_t2")
    assert heavy["grey"] / heavy["csf"] < 0.15
    assert heavy["white"] / heavy["csf"] < 0.05
    balanced = _table("heavy_t2", OTHERS["heavy_t2"])
    assert 0.1 < balanced["white"] / balanced["csf"] < 0.3


def test_flair_nulls_fluid_and_t2_does_not() -> None:
    assert _table("flair")["csf"] < 0.05 * _table("flair")["white"]
    assert _table("t2")["csf"] > 2.0 * _table("t2")["grey"] > 2.0 * _table("t2")["white"]


def test_blood_in_angiography_fades_with_every_pulse() -> None:
    white = _table("tof")["white"]
    ratios = blood_signal("tof", USUAL["tof"], np.array([0.0, 5, 10, 20, 40]), 1.0) / white
    assert (np.diff(ratios) < 0).all()
    np.testing.assert_allclose(ratios, [4.4, 3.4, 2.7, 1.9, 1.1], rtol=0.25)


def test_blood_in_spin_echoes_is_a_void() -> None:
    assert blood_signal("heavy_t2", USUAL["heavy_t2"], np.zeros(2), 1.0).max() < 0.05


def test_a_spoiled_echo_peaks_at_the_ernst_angle() -> None:
    ernst = np.degrees(np.arccos(np.exp(-20.0 / 1084.0)))
    at = [signal(Sequence("gre", 20.0, 0.0, 0.0, angle), 1084.0, 1e9, 1.0) for angle in (ernst - 4, ernst, ernst + 4)]
    assert at[1] > at[0] and at[1] > at[2]


def test_drawn_sequences_vary_and_are_known() -> None:
    rng = np.random.default_rng(0)
    for contrast in CONTRASTS:
        several = [drawn(contrast, rng) for _ in range(20)]
        assert len({s.te_ms for s in several}) == 20
        assert {s.kind for s in several} <= set(SEQUENCES)


def test_an_unknown_sequence_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="tse"):
        signal(Sequence("epi", 1.0, 1.0), 1000.0, 100.0, 1.0)
