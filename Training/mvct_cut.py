"""Learning to convert between two kinds of CT without pairs and without a way back: CUT and FastCUT.

Park, Efros, Zhang and Zhu, Contrastive learning for unpaired image-to-image translation, ECCV 2020,
10.1007/978-3-030-58545-7_19: each patch of the converted image must be recognised as the patch of the input at the same
place, in the features of the converter's own encoder.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from manabi.errors import InvalidInputError
from manabi.networks.converter_pair import ConverterPair
from manabi.networks.patch_discriminator import PatchDiscriminator
from Training import mvct_losses as terms
from Training.mvct_cycle_base import ConverterRecipe
from Training.mvct_cycle_networks import ImagePool, Images, frozen_call
from Training.mvct_cycle_task import ConverterTask


@dataclass(frozen=True)
class CutRecipe(ConverterRecipe):
    """Weights and options; the source's are the presets, on which ours puts its terms for gradients and air."""

    nce: float = field(default=1.0, metadata={"low": 0.0, "help": "weight of the contrast of patches of x and G(x)"})
    nce_identity: float = field(default=1.0, metadata={"low": 0.0, "help": "the same for y and G(y); 0 in FastCUT"})
    adversarial: float = field(default=1.0, metadata={"low": 0.0, "help": "weight of the judge of G(x)"})
    gradient: float = field(default=1.0, metadata={"low": 0.0, "help": "weight of the difference of gradients (ours)"})
    gradient_blur_px: float = field(default=1.0, metadata={"low": 0.0, "high": 8.0, "help": "smoothing before it"})
    air: float = field(default=1.0, metadata={"low": 0.0, "help": "weight of the air term of the cycle (ours)"})
    patches: int = field(default=128, metadata={"low": 2, "help": "patches per image and level; the paper has 256"})
    temperature: float = field(default=0.07, metadata={"low": 1e-3, "help": "of the softmax over patches"})
    channels: int = field(default=64, metadata={"low": 2, "help": "of a patch's code; the paper has 256"})
    pool: int = field(default=0, metadata={"low": 0, "help": "earlier images that the judge sees too"})
    jitter: float = field(default=0.0, metadata={"low": 0.0, "help": "SD of noise on the judge's targets"})
    judge_rate: float = field(default=1.0, metadata={"low": 0.0, "help": "the judge's learning rate, as a multiple"})

    def __post_init__(self) -> None:
        """Check every field, and that there is something to learn."""
        super().__post_init__()
        if not self.nce and not self.adversarial:
            raise InvalidInputError("Of nce and adversarial at least one must be above 0.")

    @classmethod
    def preset(cls, name: Literal["cut", "fastcut", "ours"], **changes: Any) -> Self:
        """``cut`` and ``fastcut`` have the paper's weights; ``ours`` the defaults."""
        plain: dict[str, Any] = {"gradient": 0.0, "air": 0.0, "residual": False, "output": "tanh"}
        plain |= {"norm": "instance", "judge_norm": "instance"}
        presets: dict[str, dict[str, Any]] = {
            "cut": plain,
            "fastcut": {**plain, "nce": 10.0, "nce_identity": 0.0},
            "ours": {},
        }
        if name not in presets:
            raise InvalidInputError(f"preset must be one of {', '.join(presets)}; got {name!r}.")
        return cls.of({**presets[name], **changes})


class PatchCodes(nn.Module):
    """Codes of length 1 of random places of the encoder's levels, by a small network per level."""

    def __init__(self, widths: list[int], channels: int, patches: int) -> None:
        super().__init__()
        self.patches = patches
        self.projectors = nn.ModuleList(
            nn.Sequential(nn.Linear(width, channels), nn.ReLU(), nn.Linear(channels, channels)) for width in widths
        )

    def places(self, levels: list[Tensor]) -> list[Tensor]:
        """Random places of each level, the same for every image of the batch."""
        sizes = [level[0, 0].numel() for level in levels]
        return [torch.randperm(n, device=levels[0].device)[: self.patches] for n in sizes]

    def forward(self, levels: list[Tensor], places: list[Tensor]) -> list[Tensor]:
        """``(n, patches, channels)`` of each level."""
        pairs = zip(self.projectors, levels, places, strict=True)
        return [F.normalize(project(x.flatten(2)[..., at].transpose(1, 2)), dim=-1) for project, x, at in pairs]


class CutNetworks(nn.Module):
    """Converter, judge, and the codes of patches, behind one ``forward``."""

    def __init__(self, recipe: CutRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.pair = ConverterPair(recipe.translator_arguments())
        filters = self.pair.converter.filters
        self.codes = PatchCodes([*filters, filters[-1]], recipe.channels, recipe.patches)
        self.judge = PatchDiscriminator(recipe.context, **recipe.judge_arguments())
        self.earlier = ImagePool(recipe.pool, (recipe.context, recipe.crop, recipe.crop))
        self._made: Tensor | None = None

    def forward(self, x: Tensor, y: Tensor, phase: str) -> Images:
        """What the loss of a phase compares.

        Args:
            x: crops of the source domain ``(n, context, rows, columns)``, scaled.
            y: of the target domain, the same shape.
            phase: ``generator`` or ``judge``. The judge sees what the converter made just before.

        Returns:
            For the converter ``there`` G(x), the verdict ``said``, and codes ``query_*`` and ``key_*`` of each level,
            of y with ``own_`` before; for the judge the verdicts ``real`` and ``made``.
        """
        if phase == "judge":
            return self._judge(x, y)
        converter, both = self.pair.converter, bool(self.recipe.nce and self.recipe.nce_identity)
        latent, skips = converter.encode(torch.cat([x, y]) if both else x)
        answers = converter.decode(latent, skips)
        images: Images = {"there": answers[: len(x)]}
        self._made = images["there"].detach()
        if self.recipe.adversarial:
            images["said"] = frozen_call(self.judge, images["there"])
        if self.recipe.nce:
            images |= self._contrast([*skips.levels, latent], answers, len(x))
        return images

    def _contrast(self, levels: list[Tensor], answers: Tensor, n: int) -> Images:
        """Codes of the answers (queries) and of the inputs (keys) at the same random places."""
        latent, skips = self.pair.converter.encode(answers)
        places = self.codes.places(levels)
        queries = self.codes([*skips.levels, latent], places)
        with torch.no_grad():
            keys = self.codes(levels, places)
        found: Images = {}
        for i, (query, key) in enumerate(zip(queries, keys, strict=True)):
            found |= {f"query_{i}": query[:n], f"key_{i}": key[:n]}
            if len(query) > n:
                found |= {f"own_query_{i}": query[n:], f"own_key_{i}": key[n:]}
        return found

    def _judge(self, x: Tensor, y: Tensor) -> Images:
        if self._made is None:
            with torch.no_grad():
                self._made = self.pair.converter(x)
        made, self._made = self.earlier(self._made), None
        real, said = self.judge(torch.cat([y, made])).split((len(y), len(made)))
        return {"real": real, "made": said}


class CutTask(ConverterTask):
    """A converter, its judge and its patches; arguments as :class:`Training.mvct_cycle_task.ConverterTask`."""

    recipe: CutRecipe

    def build_model(self) -> nn.Module:
        """Converter, judge and codes."""
        return CutNetworks(self.recipe).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def phases(self) -> tuple[str, ...]:
        """The converter first: its images are judged without being made again."""
        return ("generator", "judge") if self.recipe.adversarial else ("generator",)

    def phase_parameters(self, model: nn.Module, phase: str) -> Iterable[nn.Parameter]:
        """Those of converter and codes, or of the judge."""
        names = ("judge",) if phase == "judge" else ("pair", "codes")
        return [p for name in names for p in model.get_submodule(name).parameters()]

    def phase_rate(self, phase: str) -> float:
        """The judge's own rate."""
        return self.recipe.judge_rate if phase == "judge" else 1.0

    def training_step(self, model: nn.Module, batch: Any) -> dict[str, Tensor]:
        """The converter's step; see :meth:`phase_step`."""
        return self.phase_step(model, batch, "generator")

    def phase_step(self, model: nn.Module, batch: Any, phase: str) -> dict[str, Tensor]:
        """The weighted sum of the terms under ``loss``, and each term as it is."""
        x, y = (part.contiguous(memory_format=torch.channels_last) for part in batch)
        images = {name: value.float() for name, value in model(x, y, phase).items()}
        if phase == "judge":
            shifts = self.recipe.jitter * torch.randn(2, device=x.device)
            real, made = terms.least_squares(images["real"], 1.0, shifts[0]), images["made"]
            return {"loss": 0.5 * (real + terms.least_squares(made, 0.0, shifts[1]))}
        return self._converter_loss(images, x)

    def _converter_loss(self, images: Images, x: Tensor) -> dict[str, Tensor]:
        recipe, there = self.recipe, images["there"]
        known = {
            "nce": lambda: self._nce(images, ""),
            "nce_identity": lambda: self._nce(images, "own_"),
            "adversarial": lambda: terms.least_squares(images["said"], 1.0),
            "gradient": lambda: terms.gradient(x, there, recipe.gradient_blur_px),
            "air": lambda: terms.air(x, there),
        }
        used = [name for name in known if getattr(recipe, name) and (recipe.nce or name != "nce_identity")]
        found = {name: known[name]() for name in used}
        loss = torch.stack([getattr(recipe, name) * value for name, value in found.items()]).sum()
        return {"loss": loss, **found}

    def _nce(self, images: Images, prefix: str) -> Tensor:
        """The contrast of patches, the mean over the encoder's levels."""
        levels = [key.removeprefix(f"{prefix}query_") for key in images if key.startswith(f"{prefix}query_")]
        losses = [
            terms.contrast_of_patches(images[f"{prefix}query_{i}"], images[f"{prefix}key_{i}"], self.recipe.temperature)
            for i in levels
        ]
        return torch.stack(losses).mean()
