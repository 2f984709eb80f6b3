"""The loop: it learns, and a run that was interrupted ends like one that was not."""

from __future__ import annotations

import json
import logging
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_task import AdversarialTask, TinyTask

from manabi.errors import CancelledError, CorruptModelError, InvalidInputError, ManabiError
from Training.checkpoint import load_checkpoint, seed_all
from Training.config import TrainConfig
from Training.engine import _optimizer, fit
from Training.loggers import read_metrics

CONFIG = TrainConfig(epochs=4, batch_size=4, checkpoint_steps=2, device="cpu", lr=0.01)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / "checkpoints" / "last.pt")["model"]


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_training_lowers_the_loss_and_writes_its_records(tmp_path):
    result = fit(TinyTask(), CONFIG, tmp_path)
    rows = read_metrics(tmp_path / "metrics.csv")
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    assert rows[-1]["val_error"] < rows[0]["val_error"]
    assert rows[-1]["lr"] == pytest.approx(1e-5)
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["status"] == "finished" and record["config"]["lr"] == 0.01 and record["data"] == "tiny"
    assert {"torch", "lightning-fabric"} <= set(record["versions"])
    assert list((tmp_path / "tensorboard").glob("events.*"))
    assert result.best_metrics["val_error"] == min(row["val_error"] for row in rows)
    assert not result.model.training


@pytest.mark.parametrize("more", [{}, {"ema_decay": 0.9, "clip_norm": 1.0}, {"num_workers": 1}], ids=str)
def test_a_run_that_broke_in_the_middle_of_an_epoch_ends_with_the_same_weights(tmp_path, more):
    config = TrainConfig.of({**CONFIG.to_dict(), **more})
    whole = fit(TinyTask(), config, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt, match="killed"):
        fit(TinyTask(die_at=9), config, tmp_path / "broken")
    progress = load_checkpoint(tmp_path / "broken" / "checkpoints" / "last.pt")["progress"]
    assert (progress["epoch"], progress["step"]) == (2, 2)
    np.random.default_rng().random(7), torch.rand(3), np.random.rand(2)  # other work in between must not matter
    broken = fit(TinyTask(), config, tmp_path / "broken")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))
    assert same(whole.model.state_dict(), broken.model.state_dict())
    assert (tmp_path / "whole" / "metrics.csv").read_text() == (tmp_path / "broken" / "metrics.csv").read_text()


def test_every_step_is_a_good_one_to_break_at(tmp_path):
    config = TrainConfig.of({**CONFIG.to_dict(), "epochs": 2, "checkpoint_steps": 1})
    fit(TinyTask(), config, tmp_path / "whole")
    for step in range(1, 7):
        with pytest.raises(KeyboardInterrupt):
            fit(TinyTask(die_at=step), config, tmp_path / str(step))
        fit(TinyTask(), config, tmp_path / str(step))
        assert same(weights(tmp_path / "whole"), weights(tmp_path / str(step))), f"broken in step {step}"


def test_the_number_of_workers_does_not_change_the_weights(tmp_path):
    fit(TinyTask(), CONFIG, tmp_path / "none")
    fit(TinyTask(), TrainConfig.of({**CONFIG.to_dict(), "num_workers": 2}), tmp_path / "two")
    assert same(weights(tmp_path / "none"), weights(tmp_path / "two"))


def test_another_seed_gives_other_weights(tmp_path):
    fit(TinyTask(), CONFIG, tmp_path / "a")
    fit(TinyTask(), TrainConfig.of({**CONFIG.to_dict(), "seed": 1}), tmp_path / "b")
    assert not same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_a_finished_run_is_not_run_again_unless_asked(tmp_path, caplog):
    fit(TinyTask(), CONFIG, tmp_path)
    with caplog.at_level(logging.WARNING):
        again = fit(TinyTask(die_at=1), CONFIG, tmp_path)
    assert again.already_finished and "--fresh" in caplog.text
    with pytest.raises(KeyboardInterrupt):
        fit(TinyTask(die_at=1), CONFIG, tmp_path, resume=False)
    assert not (tmp_path / "checkpoints" / "last.pt").exists()


def test_other_settings_are_refused_and_named(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(TinyTask(die_at=6), CONFIG, tmp_path)
    with pytest.raises(InvalidInputError, match=r"training.lr: 0.01 there, 0.002 here"):
        fit(TinyTask(), TrainConfig.of({**CONFIG.to_dict(), "lr": 0.002}), tmp_path)
    with pytest.raises(InvalidInputError, match=r"task.size: 11 there, 12 here"):
        fit(TinyTask(size=12), CONFIG, tmp_path)
    elsewhere = TrainConfig.of({**CONFIG.to_dict(), "checkpoint_every": 2, "num_workers": 1})
    assert fit(TinyTask(), elsewhere, tmp_path).history[-1]["epoch"] == 4


def test_a_damaged_checkpoint_is_named(tmp_path):
    fit(TinyTask(), CONFIG, tmp_path)
    path = tmp_path / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CorruptModelError, match="last.pt.*--fresh"):
        fit(TinyTask(), CONFIG, tmp_path)


def test_a_loss_that_is_not_a_number_stops_and_names_the_last_good_checkpoint(tmp_path):
    with pytest.raises(ManabiError, match=r"NaN.*epoch 2.*last good checkpoint is .*last\.pt"):
        fit(TinyTask(nan_at=5), CONFIG, tmp_path)
    kept = weights(tmp_path)
    assert all(value.isfinite().all() for value in kept.values())


def test_weights_that_are_not_numbers_are_never_saved(tmp_path):
    with pytest.raises(ManabiError, match="Nothing was saved"):
        fit(TinyTask(), TrainConfig.of({**CONFIG.to_dict(), "lr": 1e38, "optimizer": "sgd"}), tmp_path)
    assert not (tmp_path / "checkpoints").exists() or not list((tmp_path / "checkpoints").iterdir())


def test_a_monitor_that_validation_does_not_give_is_refused(tmp_path):
    task = TinyTask()
    task.monitor = "dice"
    with pytest.raises(InvalidInputError, match="'dice'; validation gave: error"):
        fit(task, CONFIG, tmp_path)


def test_without_a_monitor_the_last_epoch_is_kept(tmp_path):
    task = TinyTask()
    task.monitor = None
    result = fit(task, CONFIG, tmp_path)
    assert result.best_epoch == 4
    assert same(result.model.state_dict(), weights(tmp_path))


def test_the_largest_value_is_kept_when_larger_is_better(tmp_path):
    task = TinyTask()
    task.monitor_mode = "max"
    result = fit(task, CONFIG, tmp_path)
    assert result.best_metrics["val_error"] == max(row["val_error"] for row in result.history)


def test_averaged_weights_lie_between_the_steps(tmp_path):
    result = fit(TinyTask(), TrainConfig.of({**CONFIG.to_dict(), "ema_decay": 0.99}), tmp_path)
    stored = load_checkpoint(tmp_path / "checkpoints" / "last.pt")
    assert not same(stored["average"], stored["model"])
    assert all(math.isfinite(row["val_error"]) for row in result.history)


def test_phases_train_their_own_weights_in_turn(tmp_path):
    task = AdversarialTask()
    result = fit(task, TrainConfig.of({**CONFIG.to_dict(), "epochs": 2}), tmp_path)
    assert {"train_generator_loss", "train_judge_loss"} <= set(result.history[0])
    with pytest.raises(KeyboardInterrupt):
        fit(AdversarialTask(die_at=10), TrainConfig.of({**CONFIG.to_dict(), "epochs": 2}), tmp_path / "broken")
    fit(AdversarialTask(), TrainConfig.of({**CONFIG.to_dict(), "epochs": 2}), tmp_path / "broken")
    assert same(weights(tmp_path), weights(tmp_path / "broken"))


def test_an_empty_training_split_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match="nothing to train on"):
        fit(TinyTask(size=0), CONFIG, tmp_path)


def test_reduced_precision_runs(tmp_path):
    result = fit(TinyTask(), TrainConfig.of({**CONFIG.to_dict(), "precision": "bf16-mixed"}), tmp_path)
    assert next(result.model.parameters()).dtype == torch.float32
    assert math.isfinite(result.history[-1]["train_loss"])


def test_sigterm_in_process_saves_at_the_next_step(tmp_path):
    fit(TinyTask(), CONFIG, tmp_path / "whole")
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(CancelledError, match="The same command goes on"):
        fit(TinyTask(signal_at=5), CONFIG, tmp_path / "stopped")
    assert signal.getsignal(signal.SIGTERM) is before
    progress = load_checkpoint(tmp_path / "stopped" / "checkpoints" / "last.pt")["progress"]
    assert (progress["epoch"], progress["step"]) == (1, 2)
    assert json.loads((tmp_path / "stopped" / "run.json").read_text())["status"] == "stopped"
    fit(TinyTask(), CONFIG, tmp_path / "stopped")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "stopped"))


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from tiny_task import TinyTask
from Training.config import TrainConfig
from Training.engine import _optimizer, fit
from manabi.errors import ManabiError
config = TrainConfig(epochs=4, batch_size=4, checkpoint_steps=2, device="cpu", lr=0.01)
try:
    fit(TinyTask(pause_s=float(sys.argv[2]), batch_norm=False), config, Path(sys.argv[1]))
except ManabiError as error:
    sys.exit(error.exit_code)
"""


def start(folder: Path, pause_s: float, *launcher: str) -> subprocess.Popen[bytes]:
    script = folder.parent / "train.py"
    script.write_text(SCRIPT.format(here=str(Path(__file__).parent)))
    root = Path(__file__).parents[2]
    paths = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": paths}
    return subprocess.Popen(
        [sys.executable, *launcher, str(script), str(folder), str(pause_s)],
        env=environment, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for_checkpoint(folder: Path, process: subprocess.Popen[bytes], steps: int) -> None:
    """Until the run is ``steps`` steps on; the file is replaced whole, so it can be read at any moment."""
    limit = time.monotonic() + 120
    while time.monotonic() < limit:
        assert process.poll() is None, process.stderr.read().decode()
        if (folder / "checkpoints" / "last.pt").exists():
            progress = load_checkpoint(folder / "checkpoints" / "last.pt")["progress"]
            if progress["epoch"] * 3 + progress["step"] >= steps:
                return
        time.sleep(0.05)
    pytest.fail("no checkpoint within two minutes")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGINT, 130)], ids=str)
def test_a_killed_process_is_resumed_to_the_same_weights(tmp_path, number, code):
    fit(TinyTask(batch_norm=False), CONFIG, tmp_path / "whole")
    process = start(tmp_path / "killed", 0.4)
    wait_for_checkpoint(tmp_path / "killed", process, 4)
    process.send_signal(number)
    assert process.wait(60) == code
    assert not load_checkpoint(tmp_path / "killed" / "checkpoints" / "last.pt")["finished"]
    fit(TinyTask(batch_norm=False), CONFIG, tmp_path / "killed")
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "killed"))
    assert len(read_metrics(tmp_path / "killed" / "metrics.csv")) == 4


def test_torchrun_with_two_processes_trains_the_same_network(tmp_path):
    process = start(tmp_path / "two", 0.0, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")
    assert process.wait(200) == 0, process.stderr.read().decode()
    record = json.loads((tmp_path / "two" / "run.json").read_text())
    assert record["processes"] == 2 and record["status"] == "finished"
    fit(TinyTask(batch_norm=False), CONFIG, tmp_path / "one")
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for key in one:
        torch.testing.assert_close(two[key], one[key], rtol=1e-3, atol=1e-5)
    assert len(read_metrics(tmp_path / "two" / "metrics.csv")) == 4


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_every_optimizer_takes_its_momentum_from_beta1(optimizer):
    weights = [torch.nn.Parameter(torch.zeros(1))]
    group = _optimizer(TrainConfig(optimizer=optimizer, beta1=0.5), weights).param_groups[0]
    assert (group["momentum"] if optimizer == "sgd" else group["betas"][0]) == 0.5


def test_a_phase_can_learn_at_its_own_rate(tmp_path):
    class Still(AdversarialTask):
        def phase_rate(self, phase):
            return 0.0 if phase == "judge" else 1.0

    begun = Still()
    seed_all(CONFIG.seed)
    before = begun.build_model().state_dict()
    after = fit(begun, CONFIG, tmp_path, show_progress=False).model.state_dict()
    assert torch.equal(before["judge.weight"], after["judge.weight"])
    assert not torch.equal(before["generator.weight"], after["generator.weight"])
