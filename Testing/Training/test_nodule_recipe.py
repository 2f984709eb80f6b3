"""The recipe of NoduleSynth's detector: what is learned from pairs, and the way to a bundle the method can use."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from tiny_pairs import SIZE, TinyStore

import Training.nodule_bundle as nodule_bundle
import Training.nodule_data as nodule_data
from manabi.bundle import Bundle
from manabi.errors import InvalidInputError
from manabi.networks import build
from manabi.nodule.operating import Curve
from Training.engine import fit
from Training.nodule import NoduleTask, read_plan, train
from Training.nodule_data import NoduleData, Wanted, everything, split
from Training.nodule_evaluate import components, films_from_json, films_of, films_to_json, finder, heat_maps
from Training.nodule_network import PairUNet, freeze_encoder, keep_statistics

RANGE = {"brightness": [0.2, 0.8]}


def data_of(count=24, people=12, parts="8/2/2"):
    return NoduleData(split(everything([TinyStore(count, people)]), parts, 0), "x", True, "simulated pairs", SIZE)


def task_of(*settings):
    return NoduleTask(read_plan("nodule_quick", ["device=cpu", *settings]), data_of())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of the quick configuration on tiny films: its folder, summary and data."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodule_data, "simulated_pairs",
                      lambda seed, count, wanted, cache: TinyStore(count, wanted.chests, seed=seed % 1000))  # fmt: skip
        patch.setattr(nodule_bundle, "feature_range", lambda part: RANGE)
        output = tmp_path_factory.mktemp("run") / "run 1"
        settings = ["device=cpu", "epochs=5", "items_per_epoch=96", "chests=12", "parts=8/2/2", "held_out=8",
                    "val_every=5", "loss.nac=1", "loss.necmos=1", "limit_to_lungs=false"]  # fmt: skip
        summary = train("phantoms:1:24", output, "nodule_quick", settings)
        again = train("phantoms:1:24", output, "nodule_quick", settings)
    return output, summary, again


# --- configurations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "megabytes"), [("nodule", 6), ("nodule_site", 6), ("nodule_quick", 1)])
def test_shipped_configurations_are_valid_and_their_weights_small(name, megabytes):
    network = build("unet", **read_plan(name, []).recipe.network_arguments())
    assert 4 * sum(p.numel() for p in network.parameters()) < 1e6 * megabytes


def test_the_sources_configuration_has_its_network_weights_and_number_of_steps():
    plan = read_plan("nodule_paper", [])
    assert plan.recipe.filters == "32-64-128-256-512"
    assert (plan.loss.dice, plan.loss.nac, plan.loss.necmos) == (10, 10, 10)
    assert plan.config.epochs * plan.recipe.items_per_epoch / plan.config.batch_size == 30_000
    assert (plan.config.lr, plan.config.final_lr, plan.config.schedule) == (1e-3, 1e-5, "cosine")


def test_a_site_begins_with_the_network_of_the_default_bundle():
    plans = [read_plan(name, []) for name in ("nodule", "nodule_site")]
    assert plans[0].recipe.network_arguments() == plans[1].recipe.network_arguments()
    assert plans[1].recipe.start == plans[0].recipe.name


def test_channels_that_are_none_are_refused():
    with pytest.raises(InvalidInputError, match="filters"):
        read_plan("nodule_quick", ["filters=a-b"]).recipe.network_arguments()


# --- batches ----------------------------------------------------------------------------------------------------------


def test_a_batch_follows_from_its_generators_and_its_masks_lie_on_the_nodules():
    task = task_of("augment.noise=0")
    draw = [[np.random.default_rng([seed, k]) for k in range(3)] for seed in (1, 1, 2)]
    (inputs, mask), again, other = (task.train_batch([0, 1, 2], rngs) for rngs in draw)
    assert inputs.shape == (3, 2, 48, 48)
    assert torch.equal(inputs, again[0])
    assert not torch.equal(inputs, other[0])
    gap = inputs[:, 0] - inputs[:, 1]
    assert gap[mask].mean() > gap[~mask].mean() + 0.5


def test_films_are_normalised_whole_and_cut_afterwards():
    whole, cut = (task_of("augment.noise=0", f"crop={crop}") for crop in (0, 32))
    for task in (whole, cut):
        inputs, _ = task.train_batch([0], [np.random.default_rng(5)])
        means = inputs.mean((2, 3)).abs()
        assert (means < 1e-3).all() if task is whole else (means > 1e-3).any()


def test_features_reach_the_loss_only_where_it_compares_them():
    for form in ("output", "feature"):
        task = task_of(f"loss.nac_form={form}")
        model = task.build_model().train()
        batch = task.train_batch([0, 1, 2], [np.random.default_rng(k) for k in range(3)])
        assert model(torch.zeros(1, 1, 16, 16)).shape[1] == (1 if form == "output" else 5)
        found = task.training_step(model, batch)
        found["loss"].backward()
        assert found["nac"].item() > 0
        assert model.eval()(torch.zeros(1, 1, 16, 16)).shape[1] == 1


def test_the_network_is_the_one_that_the_bundle_names():
    arguments = read_plan("nodule_quick", []).recipe.network_arguments()
    network, model = build("unet", **arguments), PairUNet(features=True, **arguments)
    network.load_state_dict(model.state_dict())
    x = torch.randn(2, 1, 40, 52, generator=torch.Generator().manual_seed(0))
    assert torch.equal(network.eval()(x), model.eval()(x))
    assert torch.allclose(model.train()(x)[:, :1], network.train()(x), atol=1e-6)


def test_a_frozen_encoder_keeps_weights_and_statistics():
    model = PairUNet(filters=(4, 8), norm="batch")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    freeze_encoder(model)
    model.train()
    keep_statistics(model)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.1)
    model(torch.randn(2, 1, 16, 16)).square().mean().backward()
    optimiser.step()
    changed = {k.split(".")[0] for k, v in model.state_dict().items() if not torch.equal(v, before[k])}
    assert "down" not in changed
    assert {"up", "merge", "head"} <= changed


# --- marks ------------------------------------------------------------------------------------------------------------


class Bright(torch.nn.Module):
    """A network that knows the answer: what is much brighter than the film."""

    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(4.0))

    def forward(self, x):
        return self.slope * (torch.nn.functional.avg_pool2d(x, 5, 1, 2) - 1.5)


def test_heat_maps_are_probabilities_and_do_not_depend_on_what_else_is_in_the_batch():
    films = np.stack([TinyStore()[k].positive for k in range(11)])
    together, alone = heat_maps(Bright(), films), heat_maps(Bright(), films[9:10])
    assert together.shape == films.shape
    assert 0 <= together.min() < together.max() <= 1
    assert np.allclose(together[9:10], alone, atol=1e-6)


def test_both_films_of_every_pair_are_scored_and_kept_as_json():
    part = everything([TinyStore(7, 7, contrast=0.5)])
    films = films_of(part, finder(Bright()))
    assert [f.name for f in films[:3]] == ["0-0+", "0-0-", "0-1+"]
    assert [len(f.nodules) for f in films] == [1, 0] * 7
    best = [max(f.marks, key=lambda m: m.score) for f in films[::2]]
    for mark, film in zip(best, films[::2], strict=True):
        assert np.hypot(mark.row - film.nodules[0].row, mark.column - film.nodules[0].column) < 4
    again = films_from_json(json.loads(json.dumps(films_to_json(films))))
    assert [f.nodules for f in again] == [f.nodules for f in films]
    assert again[0].marks[0].score == pytest.approx(films[0].marks[0].score, abs=1e-6)


def test_components_are_scored_at_their_highest_place():
    heat = np.zeros((32, 32), np.float32)
    heat[4:8, 4:9], heat[6, 7], heat[20, 20] = 0.3, 0.9, 0.2
    found = components(heat)
    assert [(m.row, m.column, round(m.score, 3)) for m in found] == [(6, 7, 0.9), (20, 20, 0.2)]
    assert found[0].box == (3.5, 3.5, 7.5, 8.5)
    assert components(np.zeros((8, 8))) == ()


# --- the whole --------------------------------------------------------------------------------------------------------


def test_training_finds_the_discs_and_a_finished_run_is_not_repeated(trained):
    _, summary, again = trained
    assert summary["metrics"]["sensitivity_at_1"]["mean"] >= 0.75
    assert again["metrics"] == summary["metrics"]


def test_the_bundle_has_what_the_method_reads(trained):
    output, summary, _ = trained
    bundle = Bundle(output / "bundle").verify()
    assert (bundle.method, bundle.network["name"], bundle.simulated) == ("nodule", "unet", True)
    facts = bundle.facts
    assert (facts["matrix"], facts["peak_distance"]) == (SIZE, 6)
    curve = Curve.of(facts)
    assert [p.false_positives for p in curve.points] == [0.05, 0.125, 0.2, 0.25, 0.5, 1.0, 2.0, 4.0]
    assert facts["feature_range"] == RANGE
    assert 0.5 < facts["image_auc"] <= 1
    assert facts["other_domain"]["films"] == 16
    assert set(summary["metrics"]["sensitivity_at_0.2"]) == {"mean", "ci95"}
    assert bundle.build_network()(torch.zeros(1, 1, 64, 64)).shape == (1, 1, 64, 64)


def test_the_card_says_on_what_it_was_trained_and_scored(trained):
    card = Bundle(trained[0] / "bundle").card
    for words in ("not for diagnosis", f"films of {SIZE} × {SIZE} pixels", "simulated pairs (phantoms:1:24)",
                  "behind heart", "below diaphragm", "| false positives per film |", "other domain",
                  "per film with a nodule"):  # fmt: skip
        assert words in card
    assert str(trained[0]) not in json.dumps(Bundle(trained[0] / "bundle").metadata) + card


def test_a_bundle_needs_films_to_choose_thresholds_on(tmp_path):
    plan = read_plan("nodule_quick", ["device=cpu", "epochs=1", "items_per_epoch=4"])
    data = data_of(parts="8/0/2")
    result = fit(NoduleTask(plan, data), plan.config, tmp_path, show_progress=False)
    with pytest.raises(InvalidInputError, match="Operating points"):
        nodule_bundle.measure(plan, result, data)


def test_how_a_network_is_measured_does_not_shape_its_weights():
    plans = [read_plan("nodule_quick", ["device=cpu", *more]) for more in ([], ["limit_to_lungs=false"])]
    first, second = (NoduleTask(plan, data_of()).settings() for plan in plans)
    assert first == second


@pytest.mark.parametrize("limit", [True, False])
def test_thresholds_and_scores_are_of_marks_in_the_lungs_where_the_recipe_says_so(limit, monkeypatch, tmp_path):
    import Training.nodule_lungs as nodule_lungs

    asked = []
    monkeypatch.setattr(nodule_lungs, "within", lambda film, marks: asked.append(1) or ())
    monkeypatch.setattr(nodule_bundle, "feature_range", lambda part: RANGE)
    plan = read_plan("nodule_quick", ["device=cpu", "epochs=1", "items_per_epoch=4", f"limit_to_lungs={limit}",
                                      "threshold_pairs=1"])  # fmt: skip
    data = data_of()
    result = fit(NoduleTask(plan, data), plan.config, tmp_path / "run", show_progress=False)
    measured = nodule_bundle.measure(plan, result, data, data.parts["test"])
    calibrated, chosen, tested = 2, 2, 2 * len(data.parts["test"])
    assert len(asked) == (calibrated + chosen + 2 * tested if limit else 0)
    if limit:
        assert {p["false_positives_tested"] for p in measured.points} == {0}
        assert measured.other["sensitivity"]["all"]["2"]["mean"] == 0
    bundle = nodule_bundle.export(tmp_path / "bundle", plan, result, data, measured)
    assert bundle.facts["limit_to_lungs"] is limit
    assert ("are left out, as the method does by" in bundle.card) is limit
    assert "0.375 pixels of the network's grid beyond it" in bundle.card


def test_where_pairs_are_made_does_not_shape_the_weights():
    plans = [read_plan("nodule_quick", [f"workers={n}", "device=cpu"]) for n in (1, 2)]
    first, second = (NoduleTask(plan, data_of()).settings() for plan in plans)
    assert first == second
    assert read_plan("nodule_quick", []).recipe.wanted() == Wanted(96, 4, "", 1)


def test_the_method_searches_a_film_with_the_bundle(trained):
    from manabi.context import Context
    from manabi.nodule.method import NoduleSynth
    from manabi.volume import Volume

    film = np.kron(TinyStore(contrast=0.5)[3].positive, np.ones((4, 4)))
    place = np.diag([-1.4, -1.4, 1.0, 1.0])
    film = Volume((4000 * film).astype(np.uint16)[None], place, modality="DX", name="radiograph")
    context = Context(device="cpu", bundle=str(trained[0] / "bundle"))
    result = NoduleSynth().run({"radiograph": film}, {"limit_to_lungs": False, "false_positives": 1.0}, context)
    assert result.volumes["heat_map"].shape == film.shape
    assert len(result.tables["operating_points"].rows) == 8
    best = result.tables["candidates"].rows[0]
    truth = TinyStore(contrast=0.5)[3].nodules[0]
    assert np.hypot(best[3] / -1.4 / 4 - truth.column, best[4] / -1.4 / 4 - truth.row) < 6
