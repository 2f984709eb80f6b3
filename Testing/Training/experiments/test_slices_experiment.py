"""The SliceMarker experiment: its scores on cases made by hand, truncation, tables, and the whole of it in small."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from manabi import registry
from manabi.errors import InvalidInputError, ModelNotFoundError
from manabi.networks import classifiers
from manabi.networks.slicenet import SliceNet
from manabi.phantoms.base import Case, Phantom
from manabi.slices.prepare import InputSettings
from manabi.slices.reading import MARKERS, Found, Reading
from manabi.slices.stack import AxialStack
from manabi.store import BundleStore
from manabi.volume import Volume
from Training.experiments import (
    slices,
    slices_arms,
    slices_cases,
    slices_figures,
    slices_more,
    slices_paired,
    slices_report,
    slices_tables,
    slices_whole,
)
from Training.experiments.slices_arms import truncated_extracted
from Training.experiments.slices_calibration import absence, reliability
from Training.experiments.slices_cases import split_indices, truncations
from Training.experiments.slices_scores import (
    Answer,
    answer_of,
    errors_mm,
    mcnemar,
    near,
    offsets,
    one_up_down,
    patient_share,
    readings,
    share,
    wilson,
    within,
)
from Training.experiments.slices_whole import OURS
from Training.slices_paper import PaperCase, PaperRecipe

LEVELS = {"apex": 80.0, "carina": 48.0, "diaphragm": 12.0}
Z = np.arange(24) * 4.0


def answer(probability, truth, case="a", off_mm=0.0):
    """Of slices 4 mm apart; the true level lies ``off_mm`` above the true slice's middle."""
    level = 0.0 if truth is None else truth * 4.0 + off_mm
    return answer_of(probability, truth, level, np.arange(len(probability)) * 4.0, case, "carina")


@pytest.fixture
def three():
    """Slice 2 of 6 is true: predicted with both neighbours; only 4 is predicted; nothing is predicted."""
    return [
        answer([0.1, 0.6, 0.9, 0.7, 0.2, 0.1], 2, "a"),
        answer([0.1, 0.1, 0.3, 0.2, 0.8, 0.1], 2, "b"),
        answer([0.1, 0.4, 0.2, 0.2, 0.1, 0.1], 2, "c"),
    ]


# --- scores -----------------------------------------------------------------------------------------------------------


def test_one_up_down_counts_predicted_slices_within_one(three):
    counts = one_up_down(three)
    assert counts.true_positives.tolist() == [3, 0, 0]
    assert counts.predicted.tolist() == [3, 1, 0]
    assert counts.exact.tolist() == [1, 0, 0]


def test_the_readings_of_precision_and_recall_differ_as_they_should(three):
    found = {name: estimate.value for name, estimate in readings(three).items()}
    assert found == pytest.approx({
        "precision_slices": 3 / 4, "precision_top": 2 / 3, "recall_cases": 1 / 3, "recall_exact": 1 / 3,
        "recall_band": 3 / 9,
    })  # fmt: skip


def test_at_the_end_of_a_stack_the_band_has_two_slices():
    ends = [answer([0.9, 0.8, 0.1], 0, "a"), answer([0.1, 0.9, 0.9], 2, "b")]
    assert one_up_down(ends, {"a": 3, "b": 3}).band.tolist() == [2, 2]
    assert readings(ends, {"a": 3, "b": 3})["recall_band"].value == 1.0


def test_top_1_errors_and_shares(three):
    assert errors_mm(three).tolist() == [0.0, 8.0, 4.0]
    assert [within(three, n).value for n in (0, 1, 2)] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert offsets(three) == {-1: 1, 0: 1, 1: 1, 2: 1}


def test_a_marker_outside_the_image_is_left_out_of_precision_and_recall(three):
    gone = answer([0.1, 0.9, 0.9], None, "d")
    assert readings([*three, gone])["precision_slices"].value == 3 / 4
    assert offsets([gone]) == {}


def test_the_source_s_recalls_are_69_68_and_66_of_71_cases():
    shares = [100 * wilson(n, 71).value for n in (69, 68, 66)]
    assert shares == pytest.approx(slices_tables.PUBLISHED_RECALL, abs=0.05)


def test_wilson_s_interval_is_the_textbook_s():
    found = wilson(69, 71)
    assert (found.low, found.high) == pytest.approx((0.9030, 0.9922), abs=5e-4)
    assert np.isnan(wilson(0, 0).value)


def test_the_bootstrap_takes_whole_cases():
    one_bad = share(np.array([10.0] + [0.0] * 9), np.array([10.0] * 10))
    spread = share(np.full(10, 1.0), np.full(10, 10.0))
    assert one_bad.value == spread.value == 0.1
    assert spread.low == spread.high == pytest.approx(0.1)
    assert one_bad.low == 0.0 and one_bad.high >= 0.3


def test_errors_are_from_the_true_level_not_from_its_slice():
    """A level 2 mm above a slice's middle: the slice below that is one off, and 6 mm."""
    off = answer([0.1, 0.9, 0.1, 0.1], 2, off_mm=1.9)
    assert off.error_mm == pytest.approx(5.9) and off.is_hit and not off.is_right
    close = answer([0.1, 0.1, 0.1, 0.9], 2, "b", off_mm=1.9)
    assert close.error_mm == pytest.approx(2.1) and close.is_right
    assert errors_mm([off, close]).tolist() == pytest.approx([5.9, 2.1])
    assert (near([off, close]).value, within([off, close], 1).value) == (0.5, 1.0)


def test_a_method_that_reads_whole_cts_is_measured_alike():
    case = PaperCase("a", np.zeros((24, 4, 4), np.uint8), Z, {"carina": 49.9})
    whole = (0.0, 92.0)
    for top in (11, 12, 13, 14):
        ours = slices_whole.placed(case, "carina", whole, Z[top])
        theirs = answer_of(np.arange(24) == top, case.truth["carina"], 49.9, Z, "a", "carina")
        assert (ours.error_mm, ours.offset, ours.is_right) == (theirs.error_mm, theirs.offset, theirs.is_right)
    assert slices_whole.placed(case, "carina", whole, 44.0).is_right is False
    assert slices_whole.placed(case, "carina", (70.0, 92.0), 72.0).beyond_mm == pytest.approx(20.1)


def test_shares_of_0_and_100_percent_have_wilson_s_interval():
    always = share(np.full(20, 3.0), np.full(20, 3.0))
    assert (always.value, always.low) == (1.0, pytest.approx(wilson(20, 20).low)) and always.low < 0.9
    never = share(np.zeros(20), np.array([2.0] * 10 + [0.0] * 10))
    assert (never.value, never.high) == (0.0, pytest.approx(wilson(0, 10).high))


def test_three_answers_of_a_patient_count_as_one_patient():
    found = patient_share([True] * 15 + [False] * 15, [str(n // 3) for n in range(30)])
    one_each = wilson(5, 10)
    assert (found.value, found.low, found.high) == pytest.approx((0.5, one_each.low, one_each.high))
    assert np.isnan(patient_share([], []).value)


def test_mcnemar_looks_only_at_cases_that_differ():
    first = [True] * 20 + [True] * 8 + [False] * 5
    second = [True] * 20 + [False] * 8 + [False] * 5
    assert mcnemar(first, second) == pytest.approx(2 * 0.5**8)
    assert mcnemar(first, first) == 1.0
    with pytest.raises(InvalidInputError, match="same cases"):
        mcnemar(first, second[1:])


def test_reliability_of_a_calibrated_and_of_an_overconfident_method():
    right = [True] * 8 + [False] * 2
    assert reliability([0.8] * 10, right).ece == pytest.approx(0.0)
    sure = reliability([1.0] * 10, right)
    assert (sure.ece, sure.brier) == (pytest.approx(0.2), pytest.approx(0.2))
    assert sure.count.tolist() == [10]
    with pytest.raises(InvalidInputError, match="0 to 1"):
        reliability([1.2], [True])


def test_absence_asks_missing_and_present_markers_apart():
    rows = [
        Answer("a", "apex", None, (), None, absent="above", absent_truth="above", beyond_mm=20.0),
        Answer("b", "apex", None, (3,), 3, absent_truth="above", beyond_mm=50.0),
        Answer("c", "apex", 3, (), None, absent="above"),
        Answer("d", "apex", 3, (3,), 3, 0.0),
    ]
    found = absence(rows)
    assert (found["missing_near"].value, found["false_alarms"].value) == (0.5, 0.5)
    assert [row.is_right for row in rows] == [True, False, False, True]
    wrong_side = Answer("e", "apex", None, (), None, absent="below", absent_truth="above")
    assert not wrong_side.is_right


def test_markers_far_outside_are_counted_apart():
    cut = {"absent_truth": "below"}
    rows = [
        Answer("a", "carina", None, (3,), 3, **cut, beyond_mm=12.0),
        Answer("a", "diaphragm", None, (), None, absent="below", **cut, beyond_mm=150.0),
        Answer("b", "carina", None, (), None, absent="below", **cut, beyond_mm=48.0),
        Answer("b", "diaphragm", None, (), None, absent="below", **cut, beyond_mm=170.0),
        Answer("b", "apex", None, (), None, absent="above", absent_truth="above", beyond_mm=3.0),
    ]
    found = absence(rows)
    assert (found["missing_near"].value, found["missing_far"].value) == (0.5, 1.0)
    assert found["missing_far"].low == pytest.approx(wilson(2, 2).low)
    kept = {m: [a for a in rows if a.marker == m] for m in ("carina", "diaphragm")}
    table = slices_tables.truncation_table({"neck and upper chest": kept})["neck and upper chest"]
    assert (table["right"][0], table["patients"]) == (0.5, 2)


def test_the_search_is_the_same_where_all_three_answers_of_a_patient_are():
    same = [[True] * 3, [True, False, True], [True] * 3, [False] * 3]
    read = [{"search": {"same": s, "evaluated": 10, "slices": 40, "seconds": [1.0, 4.0]}} for s in same]
    found = slices_tables.search_table(read)
    assert (found["same"][0], found["patients"]) == (0.5, 4)
    assert found["same"][1] == pytest.approx(wilson(2, 4).low)


def test_answers_can_be_judged_by_the_readers_marks(three):
    tests = [PaperCase(name, np.zeros((6, 4, 4), np.uint8), np.arange(6) * 4.0, {"carina": 8.0}, read)
             for name, read in (("a", {}), ("b", {"carina": 3}), ("c", {}))]  # fmt: skip
    marked = slices_tables.against_marks({"x": {"carina": three}}, tests)["x"]["carina"]
    assert [a.truth for a in marked] == [2, 3, 2]
    assert readings(marked)["precision_slices"].value == 1.0
    assert slices_tables.against_marks({"x": {"carina": three[:1]}}, tests[:1]) == {}


def test_answers_survive_json(three):
    assert [Answer.of(json.loads(json.dumps(row.to_dict()))) for row in three] == three


def test_probabilities_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInputError, match="one finite probability"):
        answer_of([0.1, np.nan], 0, 0.0, [0.0, 4.0])


# --- patients ---------------------------------------------------------------------------------------------------------


def test_fewer_cases_of_a_split_are_its_first_ones():
    whole = split_indices(40, "20/10/10", 0, {})
    some = split_indices(40, "20/10/10", 0, {"training": 4, "test": 0})
    assert some["training"] == whole["training"][:4] and some["test"] == whole["test"]
    assert sorted(sum(whole.values(), [])) == list(range(40))


def test_truncations_leave_the_right_markers_out():
    z, levels = np.arange(90) * 4.0, {"apex": 310.0, "carina": 225.0, "diaphragm": 110.0}
    for seed in range(20):
        crops = truncations(z, levels, np.random.default_rng(seed))
        sides = {
            scene: [slices_cases.absent_side(levels[marker], kept, 2.0) for marker in MARKERS]
            for scene, kept in crops.items()
        }
        assert sides == {
            "no apex": ["above", "", ""], "no diaphragm": ["", "", "below"],
            "neck and upper chest": ["", "below", "below"], "lower chest and abdomen": ["above", "above", ""],
        }  # fmt: skip


def test_truncations_of_a_few_slices_are_left_out():
    crops = truncations(Z[:20], LEVELS, np.random.default_rng(0))
    kept = [np.count_nonzero((low <= Z[:20]) & (high >= Z[:20])) for low, high in crops.values()]
    assert 0 < len(crops) < 4 and min(kept) >= slices_cases.FEWEST


def test_an_extractor_on_a_truncated_ct_keeps_the_answers_of_its_slices():
    case = PaperCase("a", np.zeros((24, 4, 4), np.uint8), Z, {"carina": 49.0})
    probability = np.full(24, 0.1)
    probability[[3, 5, 12, 13]] = 0.6, 0.8, 0.9, 0.7
    whole = answer_of(probability, 12, 49.0, Z, "a", "carina")
    below = truncated_extracted(whole, case, (60.0, 92.0))
    assert (below.truth, below.predicted, below.absent, below.is_right) == (None, (), "below", True)
    assert below.beyond_mm == pytest.approx(11.0)
    kept = truncated_extracted(whole, case, (40.0, 92.0))
    assert (kept.truth, kept.predicted, kept.top, kept.is_right) == (12, (12, 13), 12, True)
    assert kept.error_mm == pytest.approx(1.0)
    wrong = truncated_extracted(whole, case, (0.0, 30.0))
    assert (wrong.truth, wrong.predicted, wrong.top, wrong.is_right) == (None, (3, 5), 5, False)


# --- the whole of it --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChestParameters:
    seed: int
    slice_mm: float = 4.0
    jitter: bool = False


class FakeChest(Phantom[ChestParameters]):
    """Stacks of 24 slices whose grey value tells the level; always the same anatomy."""

    name = "thorax"
    parameters_type = ChestParameters
    method = "slices"
    rendered = 0

    def sample_parameters(self, rng, **choices):
        return ChestParameters(int(rng.integers(2**31)), **choices)

    def render_batch(self, parameters, context=None):
        return [self._case(one) for one in parameters]

    def _case(self, one):
        FakeChest.rendered += 1
        rng = np.random.default_rng(one.seed)
        array = rng.normal(-900, 5, (24, 16, 16))
        for marker, hu in (("apex", -300), ("carina", -500), ("diaphragm", -700)):
            array[int(LEVELS[marker] / 4), 4:12, 4:12] = hu
        volume = Volume(array.astype(np.int16), np.diag([-2.0, -2.0, 4.0, 1.0]), modality="CT", units="HU")
        truth = {f"{marker}_mm": level for marker, level in LEVELS.items()}
        slices = {f"{marker}_slice": int(level / 4) for marker, level in LEVELS.items()}
        off = one.jitter and one.seed % 2
        read = {f"read_{name}": number + off for name, number in slices.items()}
        return Case({"ct": volume}, {}, {**truth, **slices, **read, "pathology": "uip" if one.seed % 2 else "none"})


def read_perfectly(stack: AxialStack, exhaustive: bool, rules_mm: object = None) -> Reading:
    """What a perfect method would say, looking at half of the slices unless all are asked for."""
    found = []
    for marker in MARKERS:
        level = LEVELS[marker]
        side = "" if stack.contains(level) else "above" if level > stack.z_mm[-1] else "below"
        index = None if side else stack.nearest(level)
        z_mm = None if index is None else float(stack.z_mm[index])
        found.append(Found(marker, index, z_mm, 0.95, side, np.zeros(stack.n)))
    looked = np.arange(stack.n) % 2 == 0
    return Reading(tuple(found), stack.z_mm, looked | exhaustive, np.zeros((stack.n, 3)))


@pytest.fixture
def small_world(monkeypatch):
    """Fake patients, a tiny network, and a perfect method instead of the bundle."""

    def tiny(name, inputs, outputs):
        pool = nn.AdaptiveAvgPool2d(1)
        return nn.Sequential(nn.Conv2d(inputs, 4, 3, 2, 1), nn.ReLU(), pool, nn.Flatten(), nn.Linear(4, outputs))

    monkeypatch.setitem(classifiers.CLASSIFIERS, "tiny", tiny)
    monkeypatch.setattr(registry, "phantom", lambda name: FakeChest())
    monkeypatch.setattr(BundleStore, "get", lambda self, name, method: StandIn())
    monkeypatch.setattr(slices_whole, "bundle_reader", lambda bundle, device="auto": read_perfectly)
    FakeChest.rendered = 0


SMALL = ["experiment.data=phantoms:3:12", "experiment.parts=4/2/6", "experiment.networks=tiny",
         "experiment.ablation=tiny", "experiment.rules=false", "experiment.train_cases=3", "recipe.size=16",
         "experiment.more=none",
         "recipe.items_per_epoch=16", "training.epochs=1", "training.val_every=1", "training.device=cpu",
         "training.precision=32-true"]  # fmt: skip


def test_the_experiment_runs_whole_and_goes_on_where_it_stopped(small_world, tmp_path):
    summary = slices.run(tmp_path / "out", "quick", SMALL)
    results = json.loads((tmp_path / "out" / "results.json").read_text(encoding="utf-8"))
    assert set(results["readings"]) == {"tiny", "tiny, neighbours", OURS, slices_whole.ALONE}
    assert results["readings"][OURS]["carina"]["precision_slices"][0] == 1.0
    assert results["distance"][OURS]["apex"]["mean_mm"] == 0.0
    assert results["distance"][OURS]["apex"]["within_4mm"][0] == 1.0
    assert results["about"]["patients"] == {"training": 3, "validation": 2, "test": 6}
    assert results["search"]["same"][0] == 1.0 and results["search"]["evaluated"] == 0.5
    assert all(row["right"][0] == 1.0 for row in results["truncation"][OURS].values())
    assert results["calibration"]["whole"]["ece"] == pytest.approx(0.05)
    assert sum(row["pathology"] == "uip" for row in results["patients"]) in range(1, 6)
    page = (tmp_path / "out" / "slices.md").read_text(encoding="utf-8")
    assert "Simulated" in page or "simulated" in page
    assert "used to train 3, to validate 2, to test 6 patients" in page and "EfficientNet-B4" in page
    assert "The comparison is of unequal trainings: ours was shown 800 images and each extractor 16 (0.0012 %" in page
    assert "within 4 mm %" in page and "missing by 10 to 50 mm, said so %" in page
    assert "readers' marks" in (tmp_path / "out" / "tables.md").read_text(encoding="utf-8").split("## Against")[1]
    assert (
        results["readings_marks"][OURS]["apex"]["recall_exact"][0]
        < results["readings"][OURS]["apex"]["recall_exact"][0]
    )
    assert "This run follows the text" in page
    for name in (slices_report.OFFSETS, slices_report.RELIABILITY, slices_report.EXAMPLES):
        assert (tmp_path / "out" / "images" / name).stat().st_size > 5000
    assert summary["report"].endswith("slices.md")
    _goes_on(tmp_path / "out", results)


def _goes_on(output, before):
    """A second run renders and trains nothing, and ends with the same numbers."""
    rendered = FakeChest.rendered
    slices.run(output, "quick", SMALL)
    again = json.loads((output / "results.json").read_text(encoding="utf-8"))
    assert FakeChest.rendered == rendered
    assert again == before  # durations too: they are those of the work, not of the last call


class StandIn:
    """An untrained network in place of a bundle."""

    name, version, simulated = "stand-in", "1.0.0", True
    trained_on = "simulated chest CT (phantoms:5:30): 24 patients"

    def __init__(self, start="", **slices):
        training = {"recipe": {"items_per_epoch": 200, "start": start}, "settings": {"epochs": 4},
                    "patients": {"training": 24}}  # fmt: skip
        self.facts = {"slices": {"input": {"size": 32, "pixel_mm": 2.0}, **slices}, "training": training}

    def build_network(self):
        torch.manual_seed(0)
        return SliceNet(InputSettings().channels, widths=(4, 8)).eval()

    def provenance(self):
        return {"name": self.name, "version": self.version, "trained_on": self.trained_on}


def test_a_bundle_reads_whole_and_truncated_cts(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "phantom", lambda name: FakeChest())
    reader = slices_whole.bundle_reader(StandIn(), "cpu")
    patients = slices_cases.Patients(3, {}, PaperRecipe(size=16), tmp_path)
    row = slices_whole.read_patient(patients, 0, reader, False, True)
    assert set(row["arms"]) == {OURS, slices_whole.EVERY_SLICE, slices_whole.ALONE}
    assert set(row["crops"]) < set(row["arms"][OURS])
    answers = [Answer.of(values) for values in row["arms"][OURS]["whole"]]
    assert [a.marker for a in answers] == list(MARKERS) and all(0 <= a.confidence <= 1 for a in answers)
    assert [a.truth for a in answers] == [20, 12, 3]
    assert 0 < row["search"]["evaluated"] <= row["search"]["slices"] == 24


def test_without_networks_only_the_test_patients_are_rendered(small_world, tmp_path):
    settings = [*SMALL, "experiment.networks=none", "experiment.ablation=none", "experiment.truncation=false"]
    slices.run(tmp_path, "quick", settings)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert FakeChest.rendered == 6
    assert list(results["readings"]) == [slices_whole.ALONE, OURS] and results["truncation"] == {}
    assert "No extractor of the source was trained" in (tmp_path / "slices.md").read_text(encoding="utf-8")


def test_a_refitted_decoder_other_plan_or_changed_code_is_read_anew(monkeypatch):
    known = slices_whole.reading_settings(StandIn(), True, True)
    assert known == slices_whole.reading_settings(StandIn(), True, True)
    assert known != slices_whole.reading_settings(StandIn(decoder={"sigma_mm": 2.0}), True, True)
    assert known != slices_whole.reading_settings(StandIn(search={"comb_mm": 30.0}), True, True)
    monkeypatch.setattr(slices_whole, "code_hash", lambda folder: f"other code in {folder.name}")
    assert slices_whole.reading_settings(StandIn(), True, True)["code"] == "other code in slices"


def test_the_reading_is_kept_under_these_settings(small_world, monkeypatch, tmp_path):
    settings = [*SMALL, "experiment.networks=none", "experiment.ablation=none"]
    slices.run(tmp_path, "quick", settings)
    rendered = FakeChest.rendered
    monkeypatch.setattr(BundleStore, "get", lambda self, name, method: StandIn(decoder={"sigma_mm": 2.0}))
    slices.run(tmp_path, "quick", settings)
    assert FakeChest.rendered == rendered + 6


def test_prepared_slices_of_another_format_are_prepared_anew(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "phantom", lambda name: FakeChest())
    patients = slices_cases.Patients(3, {}, PaperRecipe(size=16), tmp_path)
    key = patients.key(0)
    monkeypatch.setattr(slices_cases, "FORMAT", slices_cases.FORMAT + 1)
    assert patients.key(0) != key


@pytest.mark.parametrize("start", ["", "first"])
def test_a_bundle_that_learned_the_test_s_phantoms_is_refused(small_world, monkeypatch, tmp_path, start):
    mine, first = StandIn(start), StandIn()
    guilty = first if start else mine
    first.name, guilty.trained_on = "first", "simulated chest CT (phantoms:3:600): 480 patients"
    monkeypatch.setattr(BundleStore, "get", lambda self, name, method: first if name == "first" else mine)
    with pytest.raises(InvalidInputError, match="learned phantoms of the seed 3.*experiment.ours=NAME"):
        slices.run(tmp_path, "quick", SMALL)
    assert FakeChest.rendered == 0
    assert slices_whole.open_bundle("stand-in", 4) is mine


def test_a_start_that_is_not_here_or_goes_in_circles_ends(monkeypatch):
    def missing(self, name, method):
        raise ModelNotFoundError("nothing")

    monkeypatch.setattr(BundleStore, "get", missing)
    assert slices_whole.learned_seeds(StandIn("gone")) == {5}
    monkeypatch.setattr(BundleStore, "get", lambda self, name, method: StandIn("stand-in"))
    assert slices_whole.learned_seeds(StandIn("other")) == {5}


def test_further_patients_are_read_by_ours_and_the_rules_alone(small_world, tmp_path):
    settings = [*SMALL, "experiment.networks=none", "experiment.ablation=none", "experiment.truncation=false",
                "experiment.more=phantoms:8:3"]  # fmt: skip
    slices.run(tmp_path, "quick", settings)
    more = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["more"]
    assert FakeChest.rendered == 6 + 3 and more["patients"] == 3
    assert list(more["distance"]) == list(slices_more.METHODS)
    assert more["distance"][OURS]["diaphragm"]["mean_mm"] == 0.0
    assert "### On 3 further patients" in (tmp_path / "slices.md").read_text(encoding="utf-8")
    with pytest.raises(InvalidInputError, match=r"experiment\.more=phantoms:6"):
        slices.run(tmp_path, "quick", [*settings, "experiment.more=phantoms:5:3"])


def answers_off(errors):
    """An answer per patient with these errors in mm; None for none."""
    chosen = [(str(n), None if e is None else 3, e) for n, e in enumerate(errors)]
    return [Answer(name, "apex", 3, () if top is None else (top,), top, e) for name, top, e in chosen]


def test_errors_are_compared_on_the_same_patients():
    row = slices_paired.paired(answers_off([1.0, 1.0, 2.0, None]), answers_off([2.0, 3.0, 2.5, 1.0]))
    assert row["mean"] == pytest.approx(-3.5 / 3) and row["patients"] == 3
    assert row["low"] <= row["mean"] <= row["high"] <= 0.0
    same = slices_paired.paired(answers_off([1.0, 1.0]), answers_off([1.0, 1.0]))
    assert same["p"] == 1.0 and same["mean"] == same["low"] == same["high"] == 0.0
    assert np.isnan(slices_paired.paired(answers_off([1.0]), answers_off([2.0]))["mean"])


def test_paired_errors_are_adjusted_over_the_methods():
    rng = np.random.default_rng(0)
    ours, worse = rng.uniform(0, 1, 30), rng.uniform(2, 3, 30)
    given = {OURS: ours, "a": worse, "b": ours + rng.normal(0, 0.01, 30)}
    table = slices_paired.paired_table({name: {m: answers_off(v) for m in MARKERS} for name, v in given.items()})
    row = table["apex"]["a"]
    assert row["mean"] < -1.0 and row["p_holm"] == pytest.approx(2 * row["p"]) and row["p_holm"] < 1e-6
    assert slices_paired.shown(row)[0].startswith("\u2212") and slices_paired.shown(row)[1] == "30"
    assert slices_paired.paired_table({"a": {}}) == {}


def test_the_abstract_s_split_runs_without_validation(small_world, tmp_path):
    settings = [*SMALL, "experiment.parts=6/0/6", "experiment.ablation=none", "training.epochs=2"]
    slices.run(tmp_path, "quick", settings)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["about"]["patients"] == {"training": 3, "validation": 0, "test": 6}
    assert results["runs"]["tiny"]["apex"]["best_epoch"] == 2
    page = (tmp_path / "slices.md").read_text(encoding="utf-8")
    assert "the last epoch of each extractor was kept" in page and "This run follows the abstract" in page
    assert slices.split_indices(472, "400/0/72", 0, {})["validation"] == []


def better(ours, other, p_holm):
    """What the page says of one marker."""
    rows = {name: {"apex": {"within_1": [v, 0, 1]}} for name, v in ((OURS, ours), ("a", other), ("b", 0.1))}
    tests = {"apex": {"a": {"p_holm": p_holm}, "b": {"p_holm": 1e-9}}}
    return slices_report._better({"distance": rows, "mcnemar": tests}, "apex")[0][-1]


def test_ours_is_better_only_where_the_test_says_so():
    assert better(0.99, 0.90, 0.003).startswith("yes")
    assert better(0.99, 0.98, 0.5).startswith("higher, not significant")
    assert better(0.98, 0.98, 1.0).startswith("no") and better(0.90, 0.99, 0.001).startswith("no")


def test_the_plan_is_every_network_of_the_source_for_every_marker():
    everything = slices.plan(slices.Settings(ablation="none"))
    assert len(everything) == 15 * 3 and ("densenet169", "carina", False) in everything
    assert slices.plan(slices.Settings(networks="none")) == [("efficientnet_b4", m, True) for m in MARKERS]
    assert slices_arms.title("efficientnet_b4") in slices_tables.PUBLISHED
    assert slices_arms.title("inception_v3") in slices_tables.PUBLISHED
    assert slices_arms.title("densenet169") in slices_tables.PUBLISHED


def test_the_schedule_is_the_source_s():
    config = slices.read_sections(None, list(slices.SOURCE), slices.TYPES)["training"]
    assert (config.epochs, config.optimizer, config.lr) == (20, "adamw", 1e-3)
    assert config.final_lr == pytest.approx(1e-4) and config.drop_at * config.epochs == 10


def test_tables_of_a_cohort_of_files_are_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="phantoms:SEED:COUNT"):
        slices.run(tmp_path, "quick", ["experiment.data=cohort.csv"])


def test_offsets_beyond_the_figure_are_drawn_at_its_ends():
    assert slices_figures._ends_together({"-9": 2, "0": 5, "5": 1, "40": 1}) == [2, 0, 0, 0, 0, 5, 0, 0, 0, 0, 2]


def test_shares_and_numbers_that_do_not_exist_are_dashes():
    assert slices_report.cell([None, None, None]) == "–" and slices_report.number(None) == "–"
    assert slices_report.cell([0.951, 0.9, 1.0]) == "95.1 (90.0 to 100.0)"


def test_extractors_learn_a_reader_s_marks_and_are_tested_on_the_truth():
    made = PaperCase("a", np.zeros((24, 4, 4), np.uint8), Z, {"apex": 80.0, "carina": 49.0, "diaphragm": -90.0})
    truth = {"apex_slice": 40, "read_apex_slice": 42, "carina_slice": 24, "read_carina_slice": 24,
             "diaphragm_slice": None, "read_diaphragm_slice": None}  # fmt: skip
    thin = Volume(np.zeros((48, 4, 4), np.int16), np.diag([-2.0, -2.0, 2.0, 1.0]), modality="CT", units="HU")
    assert slices_cases.read_slices(made, Case({"ct": thin}, {}, truth)) == {"apex": 21}
    read = PaperCase("a", made.images, Z, made.levels_mm, {"apex": 21})
    assert [read.label(marker) for marker in MARKERS] == [21, 12, None]
    assert [read.label_mm(marker) for marker in MARKERS] == [84.0, 49.0, -90.0]
