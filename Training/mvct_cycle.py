"""Learning to convert between two kinds of CT without pairs: CycleGAN with the source's terms, on the engine.

Zhu et al., ICCV 2017, 10.1109/ICCV.2017.244; Ozaki et al., Medical Physics 2022, 10.1002/mp.15626. The source trains
with batches of 1, Adam with beta1 = 0.1 (CycleGAN: 0.5), rates of 2e-4 and 1e-4 (judges), weight decay 1e-7, a cosine
and 50 epochs: the engine's ``beta1``, ``lr``, ``weight_decay`` and ``schedule``, and ``judge_rate`` here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from Training import mvct_losses as terms
from Training.mvct_cycle_networks import CycleNetworks, Images
from Training.mvct_cycle_recipe import PRESETS, TERMS, CycleRecipe
from Training.mvct_cycle_task import ConverterTask

__all__ = ["PRESETS", "TERMS", "CycleNetworks", "CycleRecipe", "CycleTask", "generator_terms", "judge_terms"]


class CycleTask(ConverterTask):
    """Two translators and their judges on crops of two unpaired domains; see :class:`CycleRecipe`.

    The arguments are those of :class:`Training.mvct_cycle_task.ConverterTask`.
    """

    recipe: CycleRecipe

    def build_model(self) -> nn.Module:
        """Translators, judges and pools."""
        return CycleNetworks(self.recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def phases(self) -> tuple[str, ...]:
        """The generators first: their images are judged without being made again."""
        weights = self.recipe.weights()
        judged = any(name in weights for name in ("adversarial", "adversarial_back", "latent_adversarial"))
        return ("generator", "judge") if judged else ("generator",)

    def phase_parameters(self, model: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        """Those of the translators or of the judges."""
        return model.get_submodule("pair" if phase == "generator" else "judges").parameters()

    def phase_rate(self, phase: str) -> float:
        """The judges learn more slowly, as in the source."""
        return self.recipe.judge_rate if phase == "judge" else 1.0

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The generators' step; see :meth:`phase_step`."""
        return self.phase_step(model, batch, "generator")

    def phase_step(self, model: nn.Module, batch: Any, phase: str) -> dict[str, Tensor]:
        """The weighted sum of the terms under ``loss``, and each term as it is."""
        x, y = (part.contiguous(memory_format=torch.channels_last) for part in batch)
        images = {name: value.float() for name, value in model(x, y, phase).items()}
        if phase == "judge":
            return judge_terms(self.recipe, images)
        found = generator_terms(self.recipe, images, x, y)
        loss = torch.stack([weight * found[name] for name, weight in self.recipe.weights().items()]).sum()
        return {"loss": loss, **found}


def generator_terms(recipe: CycleRecipe, images: Images, x: Tensor, y: Tensor) -> dict[str, Tensor]:
    """The terms whose weight is above 0, unweighted.

    Args:
        recipe: weights and options.
        images: of :meth:`CycleNetworks.forward` for the generators.
        x: source crops ``(n, context, rows, columns)``.
        y: target crops.
    """
    i, blur, air_up_to = images, recipe.gradient_blur_px, recipe.air_threshold
    fooled = _fooled if recipe.gan == "lsgan" else _critic
    known = {
        "cycle": lambda: terms.difference(i["x_again"], x),
        "cycle_back": lambda: terms.difference(i["y_again"], y),
        "autoencoder": lambda: terms.difference(i["x_auto"], x),
        "autoencoder_back": lambda: terms.difference(i["y_auto"], y),
        "adversarial": lambda: fooled(i["said_there"], 1.0),
        "adversarial_back": lambda: fooled(i["said_back"], 1.0),
        "latent_adversarial": lambda: fooled(i["said_latent_x"], 1.0) + fooled(i["said_latent_y"], 0.0),
        "latent_size": lambda: terms.latent_size(i["latent_x"]) + terms.latent_size(i["latent_y"]),
        "domain": lambda: terms.difference(i["x_kept"], x) + terms.difference(i["y_kept"], y),
        "idempotence": lambda: (
            terms.difference(i["there_twice"], i["there"]) + terms.difference(i["back_twice"], i["back"])
        ),
        "perceptual": lambda: terms.feature_difference(i["seen_x"], i["seen_there"]),
        "perceptual_back": lambda: terms.feature_difference(i["seen_y"], i["seen_back"]),
        "gradient": lambda: terms.gradient(x, i["there"], blur),
        "gradient_back": lambda: terms.gradient(y, i["back"], blur),
        "air": lambda: terms.air(x, i["there"], air_up_to),
        "air_back": lambda: terms.air(y, i["back"], air_up_to),
        "total_variation": lambda: terms.total_variation(i["there"], recipe.tv_tau),
        "slice_variation": lambda: terms.slice_variation(i["there"]),
    }
    return {name: known[name]() for name in recipe.weights()}


def judge_terms(recipe: CycleRecipe, images: Images) -> dict[str, Tensor]:
    """The judges' loss, and their parts by name.

    LSGAN: half the squared distances of real from 1 and of made from 0, both targets shifted by noise, one number per
    batch and verdict. WGAN-GP: made less real, and the penalty of slopes. Of the latent images, y's count as real.
    """
    found: dict[str, Tensor] = {}
    for name in (key.removeprefix("real_") for key in images if key.startswith("real_")):
        real, made = images[f"real_{name}"], images[f"made_{name}"]
        if recipe.gan == "lsgan":
            shifts = recipe.jitter * torch.randn(2, device=real.device)
            loss = 0.5 * (terms.least_squares(real, 1.0, shifts[0]) + terms.least_squares(made, 0.0, shifts[1]))
        else:
            loss = terms.wasserstein(made, 1.0) + terms.wasserstein(real, -1.0)
            loss = loss + recipe.gradient_penalty * terms.slope_penalty(images[f"slope_{name}"])
        if recipe.judge_weighting:
            loss = loss + recipe.judge_weighting * (terms.weight_size(real) + terms.weight_size(made))
        found[name] = loss
    return {"loss": torch.stack(list(found.values())).sum(), **found}


def _fooled(verdict: Tensor, target: float) -> Tensor:
    return terms.least_squares(verdict, target)


def _critic(verdict: Tensor, target: float) -> Tensor:
    """The generators' part of WGAN: a higher score where 1 is wanted, a lower one where 0 is."""
    return terms.wasserstein(verdict, -1.0 if target else 1.0)
