"""The model that ships: simulated, honest about its worth, and applied to a simulated patient."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from manabi.context import Context
from manabi.phantoms.base import case_rng
from manabi.phantoms.tumour import TumourPhantom
from manabi.radiomics.method import RadiomicsSurvival
from manabi.radiomics.model_file import load_model
from manabi.radiomics.presets import preset
from manabi.store import BundleStore

METHOD = RadiomicsSurvival()


@pytest.fixture(scope="module")
def patient():
    phantom = TumourPhantom()
    case = phantom.render(phantom.sample_parameters(case_rng(7, 0), slice_mm=4.0, pixel_mm=1.6, volume_ml=6.0))
    return METHOD.sample_inputs(case), case.truth


def test_the_shipped_model_says_that_it_is_simulated_and_what_it_is_worth():
    bundle = BundleStore().verify("radiomics-default")
    assert bundle.simulated and "simulated" in bundle.trained_on
    model = load_model(bundle)
    assert model.extraction == {"image": preset("default")}
    assert model.verdict.concordance.startswith("Harrell C")
    low = bundle.metrics["harrell_c_combined_minus_volume"]["ci95"][0]
    assert model.verdict.beats_volume == (low > 0)


def test_a_simulated_patient_gets_a_risk_with_its_doubts(patient):
    inputs, truth = patient
    clinical = f"age_years={truth['age_years']},sex={truth['sex']},stage={truth['stage']}"
    result = METHOD.run(inputs, {"clinical": clinical, "centre": "Kyoto"}, Context(device="cpu"))
    assert any("centre 'Kyoto' was not used" in text for text in result.warnings)
    assert result.tables["risk"].column("segment") == ["Tumour"]
    assert 0 <= result.measurements["risk_percentile"] <= 100
    assert result.measurements["volume_ml"] == pytest.approx(truth["volume_ml"], rel=0.1)
    assert any("trained on simulated data" in text for text in result.warnings)
    assert not any(text.startswith("Clinical values are missing") for text in result.warnings)
    assert result.provenance["bundle"]["name"] == "radiomics-default"
    assert METHOD.compare_truth(truth, result)["volume"].rows


def test_the_shipped_grade_model_grades_simulated_gliomas_that_it_never_saw():
    phantom, bundle = TumourPhantom(), BundleStore().verify("radiomics-grade")
    assert bundle.simulated and bundle.metrics["auc_radiomics"]["ci95"][0] > 0.5
    risks: dict[int, list[float]] = {3: [], 4: []}
    for index in range(24):
        case = phantom.render(phantom.sample_parameters(case_rng(9001, index), modality="mr", slice_mm=4.0))
        if len(risks[case.truth["grade"]]) == 5:
            continue
        clinical = f"age_years={case.truth['age_years']},sex={case.truth['sex']}"
        context = Context(device="cpu", bundle="radiomics-grade")
        result = METHOD.run(METHOD.sample_inputs(case), {"clinical": clinical}, context)
        (row,) = result.tables["risk"].rows
        chances = dict(zip(result.tables["risk"].columns, row, strict=True))
        assert chances["probability_3"] + chances["probability_4"] == pytest.approx(1, abs=1e-3)
        risks[case.truth["grade"]].append(chances["risk"])
    assert min(map(len, risks.values())) >= 3
    assert sum(risks[4]) / len(risks[4]) > sum(risks[3]) / len(risks[3])


def test_a_second_simulated_image_is_the_second_input():
    phantom = TumourPhantom()
    drawn = phantom.sample_parameters(case_rng(7, 1), modality="mr", slice_mm=6.0, pixel_mm=2.0)
    inputs = METHOD.sample_inputs(phantom.render(drawn))
    assert list(inputs) == ["image", "second", "mask"]
    assert inputs["mask"].modality == "SEG"


WITHOUT = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sklearn", "sksurv", "lifelines", "statsmodels", "pandas", "numba", "radiomics"}:
            raise ImportError("blocked: " + name)

sys.meta_path.insert(0, Blocked())
from radiomics_cases import tumours
from manabi.context import Context
from manabi.radiomics.method import RadiomicsSurvival

result = RadiomicsSurvival().run(tumours(), {"segments": "1"}, Context(device="cpu"))
print(result.measurements["risk_percentile"])
"""


def test_a_patient_needs_none_of_the_packages_that_fitting_needs():
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=120,
                          env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 0 <= float(done.stdout) <= 100
