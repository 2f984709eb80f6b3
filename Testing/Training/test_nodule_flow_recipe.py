"""Training a flow: grey levels, a run that goes on as if unbroken, scores, report, bundle, and opening it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_films import QUICK, split_films, tiny_films

from manabi import networks
from manabi.bundle import Bundle
from manabi.errors import CancelledError, CorruptModelError, InvalidInputError
from manabi.nodule.glow import Glow
from manabi.nodule.glow_bundle import load_flow
from Training import nodule_flow
from Training.config import CONFIGS, TrainConfig
from Training.nodule_flow import FlowInTraining, FlowTask, read_plan, train
from Training.nodule_flow_evaluate import bits_of, copies, correlation, evaluate, fine, nearest

SETTINGS = [
    "epochs=2", "training.optimizer=adam", "lr=0.002", "warmup_epochs=0.5", "checkpoint_steps=1", "training.device=cpu",
    *(f"recipe.{key}={value}" for key, value in QUICK.to_dict().items()),
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def _known_network():
    """The networks' table holds the flow."""
    before = dict(networks.ENCODERS)
    networks.ENCODERS.setdefault("glow", "manabi.nodule.glow:Glow")
    yield
    networks.ENCODERS.clear()
    networks.ENCODERS.update(before)


# --- the task ---------------------------------------------------------------------------------------------------------


def test_grey_levels_follow_the_steps_and_are_kept_with_the_weights():
    task = FlowTask(replace(QUICK, bits="3-8", bits_at="0.5"), split_films(), steps=4)
    model = task.build_model()
    batch = task.train_batch([0, 1], [np.random.default_rng(n) for n in (0, 1)])
    seen = []
    for _ in range(4):
        seen.append(float(task.training_step(model, batch)["grey"]))
    assert seen == [3.0, 3.0, 8.0, 8.0]
    assert int(model.state_dict()["done"]) == 4 and int(model.state_dict()["glow.grey_bits"]) == 8


def test_validation_is_at_the_last_grey_levels_and_leaves_the_model_as_it_was():
    task = FlowTask(replace(QUICK, bits="3-8", bits_at="0.5"), split_films(), steps=4)
    model = task.build_model().eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        bits = task.validate(model)["bits"]
        assert task.validate(model)["bits"] == bits
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    model.glow.bits = 8
    films, noise = task.validation
    assert bits == pytest.approx(float(model.glow(films, noise).mean().detach()), abs=1e-4)


def test_a_flow_that_has_left_the_numbers_is_not_the_best():
    task = FlowTask(QUICK, split_films(), steps=4)
    model = task.build_model().eval()
    with torch.no_grad():
        model.glow.flows[0].bias.fill_(float("nan"))
        assert task.validate(model)["bits"] == float("inf")


def test_items_and_noise_follow_from_their_generator():
    task = FlowTask(QUICK, split_films(), steps=4)
    (film, noise), (again, same), (other, _) = (task.train_item(0, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert torch.equal(film, again) and torch.equal(noise, same) and not torch.equal(film, other)
    assert film.shape == noise.shape == (16, 16) and float(noise.min()) >= 0 and float(noise.max()) < 1


def test_a_new_model_is_initialised_by_training_films():
    task = FlowTask(QUICK, split_films(), steps=4)
    torch.manual_seed(1)
    bits = task.validate(task.build_model().eval())["bits"]
    untouched = FlowInTraining(Glow(**QUICK.network_arguments()))
    assert bits < task.validate(untouched.eval())["bits"]


# --- settings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nodule_flow", "nodule_flow_film", "nodule_flow_source", "nodule_flow_quick"])
def test_shipped_configurations_fit_the_recipe(name, monkeypatch):
    values = json.loads((CONFIGS / f"{name}.json").read_text())
    assert values["training"].pop("optimizer") == "adamax"
    recipe, config = read_plan(None, [f"{s}.{k}={v}" for s, part in values.items() for k, v in part.items()])
    assert recipe.name == f"{name}".replace("_", "-") and recipe.reversible
    weights = 0 if name == "nodule_flow_source" else sum(
        p.numel() for p in Glow(**recipe.network_arguments()).parameters()
    )  # fmt: skip
    assert weights * 4 <= 4_000_000
    assert config.batch_size == {"nodule_flow_source": 8}.get(name, 16)


def test_the_source_sized_flow_is_that_of_the_authors_code():
    recipe, _ = read_plan("nodule_flow_source", ["optimizer=adam"])
    arguments = recipe.network_arguments()
    assert (arguments["size"], arguments["levels"], arguments["steps"], arguments["hidden"]) == (256, 6, 32, 512)
    assert arguments["coupling"] == "additive"


def test_half_precision_does_not_go_with_inversion():
    with pytest.raises(InvalidInputError, match="Take precision=32-true, or reversible=false"):
        read_plan(None, ["precision=bf16-mixed"])
    assert not read_plan(None, ["precision=bf16-mixed", "reversible=false"])[0].reversible


# --- a run ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on tiny films, and its summary."""
    folder = tmp_path_factory.mktemp("flow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodule_flow, "open_films", lambda data, recipe, cache: split_films())
        summary = train("films", folder, None, SETTINGS)
    return folder, summary


def test_a_run_gives_a_bundle_that_opens_as_a_flow(trained):
    folder, summary = trained
    bundle = Bundle(folder / "bundle").verify()
    assert summary["bundle"] == str(bundle.folder) and bundle.method == "nodule" and not bundle.simulated
    assert bundle.facts["flow"] == {"what": "patch", "matrix": 64, "size": 16, "within": "lungs"}
    assert bundle.trained_on == "6 normal chest films of 6 patients"
    flow = load_flow(bundle.folder)
    assert isinstance(flow, Glow) and flow.bits == 8 and not flow.training
    films = torch.from_numpy(tiny_films(1)[0].film[None, :16, :16])
    with torch.no_grad():
        torch.testing.assert_close(flow.decode(flow.encode(films)[0]), films, atol=1e-5, rtol=0)


def test_training_lowers_the_bits(trained):
    folder, summary = trained
    with (folder / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert float(rows[1]["val_bits"]) < float(rows[0]["val_bits"])
    measured = summary["metrics"]["bits_per_dimension"]
    assert measured["ci95"][0] <= measured["mean"] <= measured["ci95"][1]
    assert summary["metrics"]["round_trip_error"]["mean"] < 1e-4


def test_the_report_shows_pictures_and_the_card_says_what_it_is(trained):
    folder, _ = trained
    report, card = (folder / "report.md").read_text(), Bundle(folder / "bundle").card
    for name in ("samples", "neighbours", "interpolations", "course"):
        assert f"![{name}]({name}.png)" in report and (folder / f"{name}.png").stat().st_size > 2000
    assert "not for diagnosis" in card and "| bits_per_dimension |" in card and "## Limits" in card
    assert json.loads((folder / "splits.json").read_text())["training"] == [f"film-{n}" for n in range(6)]


def test_an_interrupted_run_ends_with_the_same_weights(trained, tmp_path, monkeypatch):
    folder, _ = trained
    step, calls = FlowTask.training_step, []

    def interrupted(self, model, batch):
        calls.append(1)
        if len(calls) == 4:
            raise CancelledError("stop")
        return step(self, model, batch)

    monkeypatch.setattr(nodule_flow, "open_films", lambda data, recipe, cache: split_films())
    monkeypatch.setattr(FlowTask, "training_step", interrupted)
    with pytest.raises(CancelledError):
        train("films", tmp_path, None, SETTINGS)
    train("films", tmp_path, None, SETTINGS)
    ours, theirs = (Bundle(place / "bundle").load_state() for place in (tmp_path, folder))
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())


def test_bundles_of_other_networks_are_no_flows(trained, tmp_path, spect_stand_in):
    folder, _ = trained
    with pytest.raises(CorruptModelError, match="made for the method 'spect', not for 'nodule'"):
        load_flow(spect_stand_in)
    bundle = Bundle(folder / "bundle")
    metadata = json.loads(json.dumps(bundle.metadata))
    metadata["manabi"]["network"]["name"] = "unet"
    other = Bundle(bundle.folder)
    other.__dict__["metadata"] = metadata
    with pytest.raises(CorruptModelError, match="holds the network 'unet', not a flow"):
        load_flow(other)
    metadata["manabi"]["network"] = {"name": "glow", "arguments": {**bundle.network["arguments"], "hidden": 5}}
    with pytest.raises(CorruptModelError, match="do not fit its flow"):
        load_flow(other)


# --- scores -----------------------------------------------------------------------------------------------------------


def test_correlation_finds_a_part_wherever_it_is_and_ignores_contrast():
    film = torch.from_numpy(tiny_films(1)[0].film)[None, None]
    part = 0.3 * film[..., 10:26, 21:37] + 0.2
    found = correlation(film, torch.cat([part, -part]))
    assert found.shape == (2, 49, 49)
    assert divmod(int(found[0].argmax()), 49) == (10, 21) and float(found[0].max()) == pytest.approx(1.0, abs=1e-4)
    assert float(found[1, 10, 21]) == pytest.approx(-1.0, abs=1e-4)
    expected = np.corrcoef(film[0, 0, 3:19, 5:21].flatten(), part.flatten())[0, 1]
    assert float(found[0, 3, 5]) == pytest.approx(expected, abs=1e-4)
    assert float(correlation(torch.ones_like(film), part).abs().max()) == 0.0


def test_fine_structure_of_a_part_is_that_of_its_place():
    film = torch.from_numpy(tiny_films(1)[0].film)[None, None]
    torch.testing.assert_close(fine(film, 2)[..., 5:9, 3:7], fine(film[..., 10:26, 6:22], 2))


def test_a_copied_patch_is_found_and_counted():
    training = tiny_films(4)
    copy = torch.from_numpy(training[2].film[20:36, 30:46].copy())
    strange = torch.from_numpy(tiny_films(1, 50)[0].film[20:36, 30:46].copy())
    found = nearest(torch.stack([copy.sqrt(), strange]), training, QUICK)
    assert found.likeness[0] > 0.95 > found.likeness[1]
    np.testing.assert_array_equal(found.shown[0], copy.numpy())
    assert copies(found, replace(found, likeness=found.likeness[1:])) == 0.5


def test_a_copied_whole_film_is_found():
    recipe, training = replace(QUICK, what="film"), tiny_films(3)
    from Training.nodule_flow_items import whole

    found = nearest(torch.from_numpy(whole(training[1].film, 16))[None], training, recipe)
    assert found.likeness[0] == pytest.approx(1.0, abs=1e-4)


def test_scores_are_of_unseen_patients_and_repeat():
    torch.manual_seed(0)
    films = split_films()
    flow = FlowTask(QUICK, films, 4).build_model().glow.eval()
    flow.bits = 8
    first, second = evaluate(flow, QUICK, films), evaluate(flow, QUICK, films)
    assert first.metrics == second.metrics and np.array_equal(first.samples, second.samples)
    assert first.paths.shape == (3, 7, 16, 16)
    np.testing.assert_allclose(first.paths[1, 0], first.test[2], atol=1 / 256 + 1e-4)
    np.testing.assert_allclose(first.paths[1, -1], first.test[3], atol=1 / 256 + 1e-4)
    bits = bits_of(flow, torch.from_numpy(first.test))
    assert bits.shape == (6,) and np.isfinite(bits).all()


def test_defaults_of_the_engine_are_not_changed():
    assert read_plan(None, [])[1] == replace(TrainConfig(), batch_size=16)
