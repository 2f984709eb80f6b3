"""Fine-tuning on annotated films, each left-out case judged by a network that has not seen it.

As ``methods/nodule.md`` proposes (the source fine-tunes on the films of the JSRT, leave-one-case-out): the encoder
stays what it is, few epochs, a small learning rate. Annotated films come alone, not in pairs: no contrast term,
Dice on films with nodules, NECMOS on those without.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from manabi.nodule.prepare import network_input
from manabi.parameters import Parameters
from Training.froc import Film
from Training.nodule_augment import FilmAugment, augment, crops
from Training.nodule_data import Example, Part
from Training.nodule_evaluate import PEAK_DISTANCE, films_of, finder
from Training.nodule_losses import PairWeights, cross_entropy, dice, necmos
from Training.nodule_lungs import limited
from Training.nodule_network import PairUNet, freeze_encoder, keep_statistics

logger = logging.getLogger(__name__)

Keep = Callable[[int, Callable[[], list[Film]]], list[Film]]
"""Gives the kept films of a fold, or those of the work, kept."""


@dataclass(frozen=True)
class FineTune(Parameters):
    """How a trained network is fitted to annotated films."""

    epochs: int = field(default=5, metadata={"low": 1, "help": "passes over the annotated films"})
    lr: float = field(default=1e-4, metadata={"low": 0.0, "help": "learning rate of Adam"})
    batch_size: int = field(default=8, metadata={"low": 2, "help": "films per step, half of them with a nodule"})
    folds: int = field(default=0, metadata={"low": 0, "help": "parts of cases left out in turn; 0 leaves out one each"})
    crop: int = field(default=0, metadata={"low": 0, "help": "side of crops in pixels; 0 takes whole films"})
    seed: int = field(default=0, metadata={"low": 0})


def left_out(patients: Sequence[str], folds: int, seed: int = 0) -> list[list[int]]:
    """The positions of each fold, whole patients in each; ``folds`` 0 makes one of every patient."""
    names = sorted(set(patients))
    order = [names[int(k)] for k in np.random.default_rng(seed).permutation(len(names))]
    count = len(order) if not folds else min(folds, len(order))
    of = {name: k % count for k, name in enumerate(order)}
    return [[n for n, patient in enumerate(patients) if of[patient] == fold] for fold in range(count)]


def tune(network: PairUNet, cases: Sequence[Example], how: FineTune, weights: PairWeights) -> PairUNet:
    """A copy of the network, fitted to annotated films; the network itself stays what it is.

    Args:
        network: trained.
        cases: the film with nodules and the normal film of each are taken as two films that have nothing in common:
            a step never shows both of one case.
        how: settings.
        weights: of the first training; its contrast term is left out.
    """
    torch.manual_seed(how.seed)
    model = copy.deepcopy(network)
    freeze_encoder(model)
    device = next(model.parameters()).device
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=how.lr)
    rng = np.random.default_rng(how.seed)
    half = max(1, min(how.batch_size // 2, len(cases) // 2))
    for _ in range(how.epochs):
        order = rng.permutation(len(cases))
        for start in range(0, len(order), half):
            shown = [cases[int(k)] for k in order[start : start + half]]
            others = [cases[int(k)] for k in np.roll(order, half)[start : start + half]]
            inputs, mask = _batch(shown, others, how, int(rng.integers(2**62)))
            loss = _step_loss(model, inputs.to(device), mask.to(device), weights)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
    model.requires_grad_(True)
    return model.eval()


def _batch(
    shown: Sequence[Example], others: Sequence[Example], how: FineTune, seed: int
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """``(n, 2, rows, columns)``, a film with nodules and a normal one of another case, and the first's masks."""
    films = torch.from_numpy(np.stack([np.stack([a.positive, b.negative]) for a, b in zip(shown, others, strict=True)]))
    mask = torch.from_numpy(np.stack([one.mask for one in shown]))
    generator = torch.Generator().manual_seed(seed)
    films, mask = augment(films, mask, FilmAugment(), generator)
    inputs = network_input(films.flatten(0, 1)).reshape(films.shape)
    return crops(inputs, mask, how.crop, 0.75, generator)


def _step_loss(model: PairUNet, inputs: Tensor, mask: Tensor, weights: PairWeights) -> Tensor:
    """Dice on the films with nodules, NECMOS on the others, and cross-entropy where it was used."""
    model.train()
    keep_statistics(model)
    count = len(inputs)
    stacked = inputs.transpose(0, 1).flatten(0, 1)[:, None].contiguous(memory_format=torch.channels_last)
    logits = model(stacked).float()[:, 0]
    loss = weights.dice * dice(logits[:count], mask, weights.dice_over)
    if weights.necmos:
        loss = loss + weights.necmos * necmos(logits[count:], weights.necmos_form, weights.top_share)
    if weights.bce:
        loss = loss + weights.bce * cross_entropy(logits[:count], logits[count:], mask)
    return loss


def cross_tuned(
    network: PairUNet, cases: Part, how: FineTune, weights: PairWeights, keep: Keep | None = None,
    peak_distance: int = PEAK_DISTANCE, limit_to_lungs: bool = False,
) -> list[Film]:  # fmt: skip
    """The marks on every case by a network that was fitted to all others, in the order of the cases.

    Args:
        network: trained on pairs.
        cases: annotated.
        how: settings; the seed of fold k is ``seed + k``.
        weights: of the first training.
        keep: keeps the films of a fold that is done; None does all at once.
        peak_distance: pixels between two marks.
        limit_to_lungs: whether marks outside the lungs are left out.
    """
    folds = left_out(cases.patients, how.folds, how.seed)
    found: dict[str, Film] = {}
    every = list(cases)
    for number, numbers in enumerate(folds):

        def work(number: int = number, numbers: Sequence[int] = tuple(numbers)) -> list[Film]:
            """The marks on the cases of one fold."""
            away = set(numbers)
            rest = [one for k, one in enumerate(every) if k not in away]
            model = tune(network, rest, replace(how, seed=how.seed + number), weights)
            logger.info("fine-tuned without part %d of %d", number + 1, len(folds))
            return films_of([every[k] for k in numbers], limited(finder(model, peak_distance), limit_to_lungs))

        for film in keep(number, work) if keep is not None else work():
            found[film.name] = film
    return [found[f"{one.name}{sign}"] for one in every for sign in "+-"]
