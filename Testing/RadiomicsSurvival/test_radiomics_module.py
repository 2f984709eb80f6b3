"""RadiomicsSurvival as Slicer loads it: self-test, sample data, import cost, console use with the real method."""

from __future__ import annotations

import numpy as np
import pytest
from radiomics_panel_cohort import write_cohort
from radiomics_panel_user import GTV, NODE, RadiomicsUser, add_ct, add_segments
from slicer_standin.import_cost import HEAVY, MOST, import_cost
from slicer_standin.user import PanelUser

from manabi import registry
from manabi.errors import InvalidInputError
from manabi.radiomics.presets import PRESETS
from manabi.store import BundleStore

SHIPPED = "radiomics-default"
needs_sample = pytest.mark.skipif("tumour" not in registry.PHANTOMS, reason="the phantom is not registered")


def has_model() -> bool:
    """Whether the model that Manabi brings is there."""
    return SHIPPED in [bundle.name for bundle in BundleStore().list()]


@pytest.fixture
def real(slicer_app, monkeypatch):
    """The panel with the method itself."""
    if "radiomics" not in registry.METHODS:
        monkeypatch.setenv("MANABI_METHODS", "radiomics=manabi.radiomics.method:RadiomicsSurvival")
    return PanelUser(slicer_app, monkeypatch, "RadiomicsSurvival", "radiomics")


@needs_sample
@pytest.mark.slow
def test_the_module_s_own_test_passes(slicer_app):
    if not has_model():
        pytest.skip("the model is not there")
    slicer_app.run_module_test("RadiomicsSurvival")
    assert not slicer_app.problems()


def test_importing_the_module_costs_little_and_loads_nothing_heavy():
    costs, loaded = import_cost("RadiomicsSurvival", already="import csv, numpy")
    assert min(costs) < MOST, costs
    assert {"RadiomicsSurvival", "RadiomicsSurvivalLib", "manabi", "manabi_slicer"} <= loaded
    assert not loaded & HEAVY


def test_the_sample_patient_is_listed_once_when_slicer_has_started(slicer_app):
    import slicer

    slicer_app.module("RadiomicsSurvival")
    slicer_app.start_up()
    listed = [one for one in slicer.modules.sampleDataSources["Manabi"] if one.sampleName == "LungTumour"]
    assert len(listed) == 1


def test_the_listed_sample_brings_the_outline_of_its_tumour(slicer_app, monkeypatch, tmp_path):
    import slicer

    from manabi.phantoms.base import Case
    from manabi.phantoms.cohort import write_case
    from manabi.phantoms.tumour_render import TUMOUR
    from manabi.result import Labelmap
    from manabi.volume import Volume
    from manabi_slicer import bridge, sample_data
    from manabi_slicer.install import Installer

    image = Volume(np.zeros((4, 5, 6), np.int16), np.diag([2.0, 2.0, 3.0, 1.0]), "CT", "HU")
    labels = image.like((np.indices(image.array.shape)[0] == 2).astype(np.uint8), modality="SEG")
    write_case(Case({"ct": image}, {"tumour": Labelmap(labels, (TUMOUR,))}, {}), tmp_path / "case", "{}")
    monkeypatch.setattr(sample_data, "cached", lambda sample: tmp_path / "case")
    monkeypatch.setattr(Installer, "ensure", lambda self, module: None)
    slicer_app.module("RadiomicsSurvival")
    slicer_app.start_up()
    (listed,) = [one for one in slicer.modules.sampleDataSources["Manabi"] if one.sampleName == "LungTumour"]
    ct, segmentation = listed.customDownloader(listed)
    assert ct.GetName() == "Lung tumour (simulated)"
    read = bridge.labelmap_from_segmentation(segmentation, ct)
    assert read.segments == (TUMOUR,)
    np.testing.assert_array_equal(read.volume.array, labels.array)


def test_the_panel_s_settings_are_the_method_s():
    from RadiomicsSurvivalLib.parameters import Preset

    assert {one.value for one in Preset} == set(PRESETS) - {"ibsi-digital"}


def test_features_from_the_console_are_those_of_the_library(real):
    from manabi.radiomics.extract import extract
    from manabi.radiomics.presets import preset
    from manabi.volume import Volume
    from manabi_slicer.bridge.geometry import ijk_to_world

    image = add_ct()
    node = add_segments(image, Tumour=GTV, Lymph_node=NODE)
    logic = real.widget.logic
    outputs = logic.features(image, node, ["tumour"], preset="pyradiomics", binWidth=20.0)
    table = logic.resultOf(image, task="features").tables["features"]
    found = dict(zip(table.column("feature"), table.column("value"), strict=True))
    import dataclasses

    import slicer

    volume = Volume(slicer.util.arrayFromVolume(image), ijk_to_world(image), "CT")
    settings = dataclasses.replace(preset("pyradiomics"), bin_width=20.0)
    names = ("original_firstorder_Mean", "original_shape_VoxelVolume", "original_glcm_Contrast")
    expected = extract(volume, volume.like(GTV, modality="SEG"), settings).as_dict()
    for name in names:
        assert found[name] == pytest.approx(expected[name], rel=1e-6)
    assert "report" in outputs
    assert set(table.column("settings_mode")) == {"pyradiomics"}


def test_the_console_refuses_what_it_cannot_use_and_says_what_to_do(slicer_app, monkeypatch, tmp_path):
    user = RadiomicsUser(slicer_app, monkeypatch)
    logic, image = user.widget.logic, add_ct()
    node = add_segments(image, Tumour=GTV)
    with pytest.raises(InvalidInputError, match="no segment nose"):
        logic.features(image, node, ["nose"])
    with pytest.raises(InvalidInputError, match="at least one segment"):
        logic.features(image, node, [])
    with pytest.raises(InvalidInputError, match="Choose the segmentation"):
        logic.features(image, None)
    with pytest.raises(InvalidInputError, match="no result yet"):
        logic.saveReport(tmp_path / "report", "features", {"image": image})
    with pytest.raises(InvalidInputError, match="nothing is overwritten"):
        logic.saveReport(tmp_path, "features", {"image": image})


def test_risk_and_cohort_from_the_console_without_the_panel(slicer_app, monkeypatch, tmp_path):
    user = RadiomicsUser(slicer_app, monkeypatch)
    logic, image = type(user.widget.logic)(), add_ct()
    node = add_segments(image, Tumour=GTV, Lymph_node=NODE)
    outputs = logic.risk(image, node, ["lymph_node"], clinical={"age_years": 70, "stage": None})
    assert logic.resultOf(image).tables["risk"].rows[0][:3] == ("Lymph node", 0.7, 70.0)
    assert any(text.startswith("Outside the cohort") for text in logic.warningsOf(outputs))
    tables = write_cohort(tmp_path, 12)
    outputs = logic.fitCohort(*tables, tmp_path / "model", clinicalColumns={"age_years": "numeric"}, folds=3)
    known = {row[0]: row[1] for row in logic.resultOf(logic.cohortNode()).measurements.items()}
    assert known["clinical"] == "age_years=numeric;"
    assert {"tables/scores", "plots/blocks"} <= set(outputs)
    logic.export({"image": None}, tmp_path / "exported")
    assert (tmp_path / "exported" / "scores.csv").is_file()


@pytest.mark.slow
def test_a_cohort_becomes_a_model_that_holds_a_patient_against_it(real, tmp_path):
    from RadiomicsSurvivalLib.clinical import Field, fields_of

    logic = real.widget.logic
    logic.fitCohort(
        *write_cohort(tmp_path), tmp_path / "model", folds=2, repeats=1,
        clinicalColumns={"age_years": "numeric", "sex": "categorical", "stage": "IA<IB<II"},
    )  # fmt: skip
    rows = logic.resultOf(logic.cohortNode()).tables["scores"].rows
    assert {row[0] for row in rows} == {"clinical", "volume", "radiomics", "combined"}
    bundle = BundleStore().install(tmp_path / "model")
    fields = fields_of(bundle)
    assert Field("age_years") in fields and Field("stage", ("IA", "IB", "II")) in fields
    image = add_ct()
    node = add_segments(image, Tumour=GTV)
    logic.risk(image, node, clinical={"age_years": 70, "sex": "M", "stage": "IB"}, model=bundle.name)
    table = logic.resultOf(image).tables["risk"]
    assert 0.0 <= table.column("percentile")[0] <= 100.0
    written = logic.saveReport(tmp_path / "report", "predict", {"image": image, "mask": node})
    assert sorted(path.suffix for path in written) == [".html", ".pdf"]
    survival = [value for value in logic.resultOf(image).tables["survival"].column("predicted") if value is not None]
    assert np.all(np.diff(survival) <= 0)
