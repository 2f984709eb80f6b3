"""Plans draw perturbations evenly, repeatably and within their ranges."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from manabi.errors import InvalidInputError
from manabi.radiomics.perturb_plan import Perturbation, PerturbationPlan, perturbations


def test_the_same_seed_draws_the_same():
    plan = PerturbationPlan("NRTVC", repeats=12)
    assert perturbations(plan, 3) == perturbations(plan, 3)
    assert perturbations(plan, 3) != perturbations(plan, 4)
    assert len({change.seed for change in perturbations(plan, 3)}) == 12


def test_every_value_is_used_equally_often():
    drawn = perturbations(PerturbationPlan("RTV", repeats=24), 0)
    assert set(Counter(change.rotation_deg for change in drawn).values()) == {4}
    assert set(Counter(change.volume_change for change in drawn).values()) == {4}
    assert set(Counter(change.translation for change in drawn).values()) == {3}


@pytest.mark.parametrize("chain", ["N", "R", "T", "V", "C", "NTVC", "CRN"])
def test_only_the_letters_of_the_chain_are_done(chain):
    for change in perturbations(PerturbationPlan(chain), 1):
        done = {
            "N": change.noise != 0,
            "R": change.rotation_deg != 0,
            "T": any(change.translation),
            "V": change.volume_change != 0,
            "C": change.contour,
        }
        assert {letter for letter, there in done.items() if there} == set(chain)
        assert all(letter in change.name for letter in chain)


def test_names_say_what_is_done():
    assert Perturbation().name == "unchanged"
    change = Perturbation(-4, (0.25, 0.75, 0.25), -0.1, "estimated", True)
    assert change.name == "N R(-4 deg) T(0.25 0.75 0.25) V(-10 %) C"


@pytest.mark.parametrize(
    "wrong",
    [
        {"rotation_deg": 90},
        {"rotation_deg": float("nan")},
        {"translation": (0, 1.0, 0)},
        {"volume_change": -1.0},
        {"noise": -1.0},
        {"noise": "some"},
        {"noise": float("inf")},
        {"supervoxel_mm3": 0.0},
        {"seed": -1},
    ],
)
def test_wrong_perturbations_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        Perturbation(**wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"chain": ""},
        {"chain": "NX"},
        {"chain": "NN"},
        {"repeats": 1},
        {"chain": "R", "rotations_deg": ()},
        {"rotations_deg": (60.0,)},
        {"volume_changes": (-2.0,)},
        {"noise": 0.0},
    ],
)
def test_wrong_plans_are_refused(wrong):
    with pytest.raises(InvalidInputError):
        PerturbationPlan(**wrong)


def test_the_plan_imports_nothing_heavy():
    code = (
        "import sys, manabi.radiomics.perturb_plan;"
        "print(sorted({'scipy', 'skimage', 'pywt', 'pandas', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
