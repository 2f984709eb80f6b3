"""The networks of a cycle behind one ``forward``: two translators, their judges, and the images judged earlier."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from manabi.bundle import MALFORMED
from manabi.errors import CorruptModelError, InvalidInputError
from manabi.networks.converter_pair import ConverterPair
from manabi.networks.patch_discriminator import PatchDiscriminator
from manabi.networks.translator import Encoded, Skips, Translator
from Training import mvct_losses as terms
from Training.mvct_cycle_recipe import CycleRecipe

Images = dict[str, Tensor]


class CycleNetworks(nn.Module):
    """Translators, judges and pools. Only what a weight above 0 asks for exists and is computed.

    Attributes:
        pair: converter and returner, what is kept after training.
        judges: of ``y`` (is G(x) like y?), ``x`` and ``z`` (the latent images).
        pools: earlier G(x) under ``y`` and F(y) under ``x``, in the state, so that a resumed run sees the same.
    """

    def __init__(self, recipe: CycleRecipe) -> None:
        super().__init__()
        self.recipe, weights = recipe, recipe.weights()
        self.pair = ConverterPair(**recipe.pair_arguments())
        latent = self.pair.converter.filters[-1]
        wanted = {"y": "adversarial", "x": "adversarial_back", "z": "latent_adversarial"}
        self.judges = nn.ModuleDict(
            {
                name: PatchDiscriminator(latent if name == "z" else recipe.context, **recipe.judge_arguments())
                for name, weight in wanted.items()
                if weight in weights
            }
        )
        shape = (recipe.context, recipe.crop, recipe.crop)
        self.pools = nn.ModuleDict({name: ImagePool(recipe.pool, shape) for name in self.judges if name != "z"})
        self.vgg = VggStart(Path(recipe.vgg_weights)) if self._sees_with("vgg16") else None
        self._made: Images = {}

    def _sees_with(self, network: str) -> bool:
        weights = self.recipe.weights()
        return self.recipe.perceptual_network == network and ("perceptual" in weights or "perceptual_back" in weights)

    def forward(self, x: Tensor, y: Tensor, phase: str) -> Images:
        """What the loss of a phase compares.

        Args:
            x: crops of the source domain ``(n, context, rows, columns)``, scaled.
            y: of the target domain, the same shape.
            phase: ``generator`` or ``judge``. The judges see what the generators made just before.

        Returns:
            For the generators: ``there`` G(x), ``back`` F(y), ``x_again`` F(G(x)), ``x_auto`` (autoencoder), ``x_kept``
            F(x), ``there_twice`` G(G(x)) and the same for y; ``latent_*``; ``said_*`` verdicts; ``seen_*`` features.
            For the judges: verdicts ``real_*`` and ``made_*`` (``*`` is y, x or z), and ``slope_*``.
        """
        return self._generate(x, y) if phase == "generator" else self._judge(x, y)

    # --- the generators ----------------------------------------------------------------------------------------

    def _generate(self, x: Tensor, y: Tensor) -> Images:
        """All images that a term needs, each network called as rarely as possible."""
        images, encoded = self._first_pass(x, y)
        images |= self._second_pass(x, y, images)
        self._made = {"y": images["there"].detach(), "x": images["back"].detach()}
        if "z" in self.judges:
            self._made |= {"zx": images["latent_x"].detach(), "zy": images["latent_y"].detach()}
        images |= self._verdicts(images)
        return images | self._features(x, y, images, encoded)

    def _first_pass(self, x: Tensor, y: Tensor) -> tuple[Images, tuple[Encoded, Encoded]]:
        """Both latent images, decoded into the other domain and, for the autoencoder, into their own."""
        there, back, weights = self.pair.converter, self._back, self.recipe.weights()
        of_x, of_y = there.encode(self._noisy(x)), back.encode(self._noisy(y))
        images = {"latent_x": of_x[0], "latent_y": of_y[0]}
        own_y, own_x = "autoencoder_back" in weights, "autoencoder" in weights
        images |= dict(zip(("there", "y_auto"), _decoded(there, [of_x, *([of_y] if own_y else [])]), strict=False))
        images |= dict(zip(("back", "x_auto"), _decoded(back, [of_y, *([of_x] if own_x else [])]), strict=False))
        return images, (of_x, of_y)

    def _second_pass(self, x: Tensor, y: Tensor, images: Images) -> Images:
        """Everything that is translated once more, in one call per translator."""
        weights = self.recipe.weights()
        through_there = {"y_again": images["back"], "y_kept": y, "there_twice": images["there"]}
        through_back = {"x_again": images["there"], "x_kept": x, "back_twice": images["back"]}
        names = {"y_again": "cycle_back", "x_again": "cycle", "y_kept": "domain", "x_kept": "domain"}
        names |= {"there_twice": "idempotence", "back_twice": "idempotence"}
        found: Images = {}
        for translator, inputs in ((self.pair.converter, through_there), (self._back, through_back)):
            needed = {name: image for name, image in inputs.items() if names[name] in weights}
            if needed:
                answers = translator(torch.cat(list(needed.values()))).chunk(len(needed))
                found |= dict(zip(needed, answers, strict=True))
        return found

    def _verdicts(self, images: Images) -> Images:
        """What the judges say of the made images; no gradient for the judges."""
        shown = {"y": ("there",), "x": ("back",), "z": ("latent_x", "latent_y")}
        return {
            f"said_{name}": frozen_call(judge, images[name])
            for key, judge in self.judges.items()
            for name in shown[key]
        }

    def _features(self, x: Tensor, y: Tensor, images: Images, encoded: tuple[Encoded, Encoded]) -> Images:
        """Features of an image and of its translation, for the perceptual terms."""
        found: Images = {}
        asked = {"perceptual": ("x", x, "there", self.pair.converter), "perceptual_back": ("y", y, "back", self._back)}
        for (weight, (name, image, made, translator)), code in zip(asked.items(), encoded, strict=True):
            if weight not in self.recipe.weights():
                continue
            look = self.vgg if self.vgg is not None else translator.first
            known = self.vgg is None and not self.recipe.input_noise
            found[f"seen_{name}"] = code[1].levels[0].detach() if known else frozen_call(look, image).detach()
            found[f"seen_{made}"] = frozen_call(look, images[made])
        return found

    def _noisy(self, image: Tensor) -> Tensor:
        noise = self.recipe.input_noise
        return image + noise * torch.randn_like(image) if self.training and noise else image

    @property
    def _back(self) -> Translator:
        if self.pair.returner is None:
            raise InvalidInputError("A cycle needs a way back.")
        return self.pair.returner

    # --- the judges --------------------------------------------------------------------------------------------

    def _judge(self, x: Tensor, y: Tensor) -> Images:
        """Verdicts on real images and on made ones, some of them from earlier steps."""
        made = self._made or self._without_gradient(x, y)
        self._made = {}
        found: Images = {}
        for name, judge in self.judges.items():
            if name == "z":
                real, false = made["zy"], made["zx"]
            else:
                real, false = (y if name == "y" else x), self.pools[name](made[name])
            found[f"real_{name}"], found[f"made_{name}"] = judge(torch.cat([real, false])).chunk(2)
            if self.recipe.gan == "wgan-gp":
                share = torch.rand(len(real), *(1,) * (real.ndim - 1), device=real.device)
                found[f"slope_{name}"] = terms.slopes_between(judge, real, false, share)
        return found

    @torch.no_grad()
    def _without_gradient(self, x: Tensor, y: Tensor) -> Images:
        images, _ = self._first_pass(x, y)
        return {"y": images["there"], "x": images["back"], "zx": images["latent_x"], "zy": images["latent_y"]}


def frozen_call(module: nn.Module, x: Tensor) -> Tensor:
    """``module(x)`` with a gradient for ``x`` and none for the module's weights, which saves computing them."""
    return functional_call(module, {name: p.detach() for name, p in module.named_parameters()}, (x,))


def _decoded(translator: Translator, codes: list[Encoded]) -> list[Tensor]:
    """Several encoded batches through one decoder in one call."""
    if len(codes) == 1:
        return [translator.decode(*codes[0])]
    skips = [code[1] for code in codes]
    levels: tuple[Tensor, ...] = ()
    if translator.skip != "none":
        levels = tuple(torch.cat(same) for same in zip(*(s.levels for s in skips), strict=True))
    images = None if skips[0].images is None else torch.cat([s.images for s in skips if s.images is not None])
    latent = torch.cat([code[0] for code in codes])
    return list(translator.decode(latent, Skips(levels, skips[0].size, images)).chunk(len(codes)))


class ImagePool(nn.Module):
    """Some made images of earlier steps: half of the time a judge is shown one of them instead of a new one.

    Shrivastava et al., CVPR 2017, 10.1109/CVPR.2017.241, as CycleGAN uses it. The images are buffers, and the draws are
    from torch's generator of the processor: a resumed run draws the same.

    Args:
        size: images kept; 0 shows the new ones.
        shape: of one image.
    """

    images: Tensor
    filled: Tensor

    def __init__(self, size: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("images", torch.zeros(size, *shape))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    @torch.no_grad()
    def forward(self, made: Tensor) -> Tensor:
        """``(n, *shape)`` in, as many out."""
        size = len(self.images)
        if not size:
            return made
        draws = torch.rand(len(made), 2).tolist()
        filled, shown = int(self.filled), []
        for image, (swap, place) in zip(made, draws, strict=True):
            at = int(place * size) if filled == size else filled
            shown.append(self.images[at].to(made.dtype, copy=True) if filled == size and swap < 0.5 else image)
            if filled < size or swap < 0.5:
                self.images[at] = image
            filled = min(filled + 1, size)
        self.filled.fill_(filled)
        return torch.stack(shown)


class VggStart(nn.Module):
    """VGG16 up to its second convolution (conv1_2, the source's layer for the perceptual term).

    Simonyan and Zisserman, ICLR 2015. Every slice is shown as a grey image, scaled -1 … 1 as it is, as in the source.

    Args:
        path: torchvision's state of VGG16 (keys ``features.0.weight``, ``features.2.weight`` and the biases).

    Raises:
        CorruptModelError: when the file holds something else.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
            for key in ("features.0.weight", "features.0.bias", "features.2.weight", "features.2.bias"):
                self.register_buffer(key.replace(".", "_"), state[key].float(), persistent=False)
        except (*MALFORMED, OSError, UnpicklingError) as error:
            raise CorruptModelError(
                f"{path.name} is not torchvision's state of VGG16 ({type(error).__name__}: {error})."
            ) from error

    def forward(self, image: Tensor) -> Tensor:
        """``(n, slices, rows, columns)`` to features ``(n · slices, 64, rows, columns)``."""
        grey = image.flatten(0, 1)[:, None].expand(-1, 3, -1, -1)
        first, second = (
            (self.get_buffer(f"features_{n}_weight"), self.get_buffer(f"features_{n}_bias")) for n in (0, 2)
        )
        return F.relu(F.conv2d(F.relu(F.conv2d(grey, *first, padding=1)), *second, padding=1))
