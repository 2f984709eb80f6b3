"""Settings: checked, read from JSON and the command line, and a schedule that is the paper's."""

from __future__ import annotations

import json

import pytest

from manabi.errors import InvalidInputError
from manabi.parameters import Parameters
from Training.config import CONFIGS, TrainConfig, find_config, learning_rate, read_sections
from Training.spect import SPECTRecipe

TYPES: dict[str, type[Parameters]] = {"training": TrainConfig}


def test_the_papers_schedule_drops_after_150_of_200_epochs():
    sections = read_sections("spect_paper", [], {"training": TrainConfig, "recipe": SPECTRecipe})
    paper = sections["training"]
    assert sections["recipe"].pipeline == "paper"
    assert (paper.epochs, paper.batch_size, paper.optimizer) == (200, 8, "adam")
    assert [learning_rate(paper, e) for e in (0, 149.9, 150, 199)] == [1e-3, 1e-3, 1e-5, 1e-5]


def test_cosine_falls_to_its_end_after_a_linear_start():
    config = TrainConfig(epochs=12, schedule="cosine", warmup_epochs=2, lr=1.0, final_lr=0.1)
    assert [learning_rate(config, e) for e in (0, 1, 2, 7, 12)] == pytest.approx([0, 0.5, 1, 0.55, 0.1])


def test_constant_stays():
    assert learning_rate(TrainConfig(schedule="constant", lr=0.5), 199) == 0.5


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.json")), ids=lambda p: p.stem)
def test_shipped_configurations_train(path):
    training = TrainConfig.of(json.loads(path.read_text())["training"])
    assert training.epochs > 0 and find_config(path.stem) == path


def test_overrides_go_before_the_file(tmp_path):
    path = tmp_path / "c.json"
    path.write_text('{"training": {"epochs": 3, "lr": 0.5}}')
    found = read_sections(path, ["training.epochs=7", "clip_norm=none", "deterministic=no"], TYPES)["training"]
    assert (found.epochs, found.lr, found.clip_norm, found.deterministic) == (7, 0.5, None, False)


@pytest.mark.parametrize(
    ("content", "overrides", "message"),
    [
        ("{", [], "not JSON"),
        ("[]", [], "object of sections"),
        ('{"train": {}}', [], "Unknown section 'train'"),
        ('{"training": {"epoch": 1}}', [], "Unknown parameter: epoch"),
        ("{}", ["epochs"], "key=value"),
        ("{}", ["speed=1"], "Unknown setting 'speed'"),
        ("{}", ["recipe.epochs=1"], "Unknown section 'recipe'"),
        ("{}", ["epochs=0"], "epochs must lie between"),
        ("{}", ["optimizer=magic"], "optimizer must be one of"),
        ("{}", ["device=tpu"], "device must be"),
        ("{}", ["device=cuda:1", "devices=2"], "devices must be 1"),
        ("{}", ["device=cpu", "precision=16-mixed"], "needs a CUDA device"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, content, overrides, message):
    path = tmp_path / "c.json"
    path.write_text(content)
    with pytest.raises(InvalidInputError, match=message):
        read_sections(path, overrides, TYPES)


def test_a_key_in_two_sections_needs_its_section():
    with pytest.raises(InvalidInputError, match="several sections"):
        read_sections(None, ["epochs=3"], {"one": TrainConfig, "two": TrainConfig})


def test_an_unknown_configuration_lists_the_known_ones():
    with pytest.raises(InvalidInputError, match="spect_paper"):
        find_config("nothing")


def test_a_later_setting_at_its_default_lets_an_older_run_go_on():
    assert "beta1" not in TrainConfig().what_is_learned()
    assert TrainConfig(beta1=0.5).what_is_learned()["beta1"] == 0.5


def test_where_it_runs_is_no_part_of_what_is_learned():
    assert TrainConfig(num_workers=3, device="cpu").what_is_learned() == TrainConfig().what_is_learned()
    assert TrainConfig(lr=0.1).what_is_learned() != TrainConfig().what_is_learned()
