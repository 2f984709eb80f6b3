"""Fine-tuning: whole cases left out, the encoder kept, and nothing of a judged case seen."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_pairs import TinyStore

import Training.nodule_finetune as nodule_finetune
from Training.nodule_data import everything
from Training.nodule_finetune import FineTune, cross_tuned, left_out, tune
from Training.nodule_losses import PairWeights
from Training.nodule_network import PairUNet

HOW = FineTune(epochs=2, lr=1e-2, batch_size=4, folds=3)


def network():
    torch.manual_seed(0)
    return PairUNet(filters=(4, 8), norm="batch").eval()


def cases(count=9, people=6):
    return everything([TinyStore(count, people)])


def test_each_case_is_left_out_once_with_all_films_of_its_patient():
    patients = cases(12, 5).patients
    every = left_out(patients, 0)
    assert len(every) == 5
    assert sorted(k for fold in every for k in fold) == list(range(12))
    for fold in left_out(patients, 3):
        away = {patients[k] for k in fold}
        assert not away & {p for k, p in enumerate(patients) if k not in fold}
    assert len(left_out(patients, 3)) == 3


def test_the_sources_way_is_leave_one_case_out_with_five_epochs_at_a_tenth_of_the_rate():
    assert (FineTune().folds, FineTune().epochs, FineTune().lr) == (0, 5, 1e-4)


def test_the_encoder_and_the_given_network_stay_what_they_are():
    model = network()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    tuned = tune(model, list(cases()), HOW, PairWeights())
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    changed = {k for k, v in tuned.state_dict().items() if not torch.equal(v, before[k])}
    assert changed
    assert not any(k.startswith("down") for k in changed)
    assert not tuned.training


@pytest.mark.parametrize(("count", "batch"), [(3, 8), (5, 6), (9, 4)])
def test_no_step_shows_both_films_of_a_case(count, batch, monkeypatch):
    shown = []
    batches = nodule_finetune._batch

    def noted(first, others, *more):
        shown.append(({one.name for one in first}, {one.name for one in others}))
        return batches(first, others, *more)

    monkeypatch.setattr(nodule_finetune, "_batch", noted)
    tune(network(), list(cases(count, count)), FineTune(epochs=1, batch_size=batch), PairWeights())
    assert {name for first, _ in shown for name in first} == {f"0-{k}" for k in range(count)}
    assert not any(first & others for first, others in shown)


def test_one_seed_gives_one_network():
    first, again = (tune(network(), list(cases()), HOW, PairWeights()).state_dict() for _ in range(2))
    assert all(torch.equal(first[k], again[k]) for k in first)
    other = tune(network(), list(cases()), FineTune.of({**HOW.to_dict(), "seed": 1}), PairWeights()).state_dict()
    assert not all(torch.equal(first[k], other[k]) for k in first)


def test_a_step_never_shows_both_films_of_a_case(monkeypatch):
    seen = []

    def batch(shown, others, how, seed):
        seen.append([(a.name, b.name) for a, b in zip(shown, others, strict=True)])
        return torch.zeros(len(shown), 2, 16, 16), torch.zeros(len(shown), 16, 16, dtype=torch.bool)

    monkeypatch.setattr(nodule_finetune, "_batch", batch)
    tune(network(), list(cases()), HOW, PairWeights())
    assert len(seen) == 2 * 5
    assert all(first != second for step in seen for first, second in step)


def test_no_case_is_judged_by_a_network_that_saw_its_patient(monkeypatch):
    trained, judged = [], []

    def remember(model, shown, how, weights):
        trained.append({one.patient for one in shown})
        return model

    def films(shown, find):
        judged.append({one.patient for one in shown})
        return real(shown, find)

    real = nodule_finetune.films_of
    monkeypatch.setattr(nodule_finetune, "tune", remember)
    monkeypatch.setattr(nodule_finetune, "films_of", films)
    found = cross_tuned(network(), cases(), HOW, PairWeights())
    assert len(trained) == len(judged) == 3
    assert all(not seen & own for seen, own in zip(trained, judged, strict=True))
    assert [f.name for f in found] == [f"{one.name}{sign}" for one in cases() for sign in "+-"]


def test_a_fold_that_is_kept_is_not_fitted_again():
    store: dict[int, list] = {}

    def keep(number, work):
        if number not in store:
            store[number] = work()
        return store[number]

    first = cross_tuned(network(), cases(), HOW, PairWeights(), keep)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nodule_finetune, "tune", lambda *a: pytest.fail("fitted again"))
        assert cross_tuned(network(), cases(), HOW, PairWeights(), keep) == first


def test_films_without_nodules_are_suppressed_and_those_with_are_not_ignored():
    part = list(cases(12, 12))
    tuned = tune(network(), part, FineTune(epochs=12, lr=1e-2, batch_size=4), PairWeights(necmos=1))
    from Training.nodule_evaluate import heat_maps

    with_nodule = heat_maps(tuned, np.stack([one.positive for one in part]))
    mask = np.stack([one.mask for one in part])
    assert with_nodule[mask].mean() > 2 * with_nodule[~mask].mean()
