"""Learning both ways at once from pairs: the start that unpaired training on a site's own scans goes on from.

Simulated scans are pairs, so that a converter and its way back can be learned from them in a fraction of the time that
judges take, and without anything being invented: the mean absolute error is least for what is really there. What the
simulation does not know of a real scanner is then learned by ``method=cycle`` with ``start`` (our choice; the source
trains from nothing).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from Training import mvct_losses as terms
from Training.losses import ssim
from Training.mvct_augment import HuAugment
from Training.mvct_checks import check, scaled_batch
from Training.mvct_lesions import SoftLesions
from Training.mvct_oracle import OracleRecipe, OracleTask


class BothWays(nn.Module):
    """A pair of converters behind one ``forward``."""

    def __init__(self, recipe: OracleRecipe) -> None:
        from manabi.networks.converter_pair import ConverterPair

        super().__init__()
        self.pair = ConverterPair(recipe.network_arguments(), recipe.network_arguments())

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Source and target stacks ``(n, context, rows, columns)`` to both converted middle slices."""
        return self.pair(x), self.pair.back(y)


class PairsTask(OracleTask):
    """Supervised training of the converter and of the way back; see :class:`Training.mvct_oracle.OracleTask`.

    Attributes:
        augment: changes the values of source crops before they are converted; None changes nothing. What the way back
            shall give is the unchanged source.
        lesions: put into both crops; None puts none.
    """

    augment: HuAugment | None = None
    lesions: SoftLesions | None = None

    def build_model(self) -> nn.Module:
        """The pair."""
        return BothWays(self.recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def train_item(self, index: int, rng: np.random.Generator) -> Any:
        """Source as it is converted, source, and target, ``(context, crop, crop)`` each, scaled."""
        kinds = [[pair.source for pair in self.training], [pair.target for pair in self.training]]
        x, y = self.cropper.draw_together(kinds, rng)
        if self.lesions is not None:
            x, y = self.lesions(x, y, rng)
        seen = x if self.augment is None else self.augment(x, rng, "source")
        first, second, third = scaled_batch((seen, x, y), (self.windows[0], *self.windows))
        return first, second, third

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The weighted terms of both directions; the way back counts by its L1 alone, for its noise is not learned."""
        seen, x, y = (part.contiguous(memory_format=torch.channels_last) for part in batch)
        middle = self.recipe.context // 2
        there, back = (made.float() for made in model(seen, y))
        source, target = (part[:, middle : middle + 1] for part in (x, y))
        found = {
            "l1": terms.difference(there, target),
            "gradient": terms.gradient(there, target),
            "back": terms.difference(back, source),
        }
        loss = self.recipe.l1 * (found["l1"] + found["back"]) + self.recipe.gradient * found["gradient"]
        if self.recipe.ssim:
            found["ssim"] = 1 - ssim(there, target, data_range=2.0)
            loss = loss + self.recipe.ssim * found["ssim"]
        return {"loss": loss, **found}

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Errors in HU of the converter; see :func:`Training.mvct_checks.check`."""
        return check(model.get_submodule("pair"), self.validation, self.recipe.context, self.windows)

    def settings(self) -> dict[str, Any]:
        """The recipe, the way back and the augmentation."""
        return {**super().settings(), "both_ways": True, "augment": repr(self.augment), "lesions": repr(self.lesions)}
