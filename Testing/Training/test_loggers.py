"""Logs: a table without gaps or duplicates, and TensorBoard only where it is installed."""

from __future__ import annotations

import logging
import sys

from Training.loggers import ProgressBar, TensorBoardLog, read_metrics, write_metrics

HISTORY = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25, "val_ssim": 0.8}]


def test_a_metric_that_an_epoch_lacks_is_an_empty_cell(tmp_path):
    write_metrics(tmp_path / "m.csv", HISTORY)
    assert (tmp_path / "m.csv").read_text() == "epoch,loss,val_ssim\n1,0.5,\n2,0.25,0.8\n"
    assert read_metrics(tmp_path / "m.csv") == HISTORY


def test_writing_again_replaces(tmp_path):
    write_metrics(tmp_path / "m.csv", HISTORY)
    write_metrics(tmp_path / "m.csv", HISTORY[:1])
    assert len(read_metrics(tmp_path / "m.csv")) == 1


def test_tensorboard_gets_every_scalar(tmp_path):
    log = TensorBoardLog(tmp_path)
    for row in HISTORY:
        log.write(row)
    log.close()
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(1, 0.5), (2, 0.25)]


def test_without_tensorboard_there_is_a_warning_and_no_file(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with caplog.at_level(logging.WARNING):
        log = TensorBoardLog(tmp_path)
    log.write(HISTORY[0])
    log.close()
    assert "metrics.csv only" in caplog.text and not list(tmp_path.iterdir())


def test_every_epoch_is_a_line_in_the_log(caplog):
    with caplog.at_level(logging.INFO), ProgressBar(2, 0, 1, shown=False) as bar:
        bar.step()
        bar.epoch(HISTORY[1])
    assert "epoch 2 of 2: loss 0.25  val_ssim 0.8" in caplog.text
