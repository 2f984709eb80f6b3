"""What a cycle of two translators learns: every weight and option in one place, and three presets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from manabi.errors import InvalidInputError
from Training.mvct_cycle_base import ConverterRecipe

Preset = Literal["plain", "proposed", "ours"]


def _weight(default: float, text: str) -> Any:
    return field(default=default, metadata={"low": 0.0, "help": f"weight of {text}; 0 does not compute it"})


@dataclass(frozen=True)
class CycleRecipe(ConverterRecipe):
    """Weights and options of the terms; x is the source kind of CT, y the target, G converts and F converts back.

    The terms and options are those of UnpairedImageTranslation, the program of Ozaki et al., Med Phys 2022,
    10.1002/mp.15626; :meth:`preset` gives its published weights. The defaults are ours (preset ``ours``).
    """

    cycle: float = _weight(10.0, "|F(G(x)) - x|")
    cycle_back: float = _weight(10.0, "|G(F(y)) - y|")
    autoencoder: float = _weight(1.0, "|x - its own decoder of its latent image|")
    autoencoder_back: float = _weight(1.0, "the same for y")
    adversarial: float = _weight(3.0, "the judge of G(x) against y")
    adversarial_back: float = _weight(3.0, "the judge of F(y) against x")
    latent_adversarial: float = _weight(0.0, "the judge of x's latent image against y's")
    latent_size: float = _weight(0.0, "the mean square of the latent images")
    domain: float = _weight(0.1, "|F(x) - x| + |G(y) - y|: what is of the kind already stays")
    idempotence: float = _weight(0.0, "|G(G(x)) - G(x)| + |F(F(y)) - F(y)|")
    perceptual: float = _weight(0.0, "the difference of features of x and G(x)")
    perceptual_back: float = _weight(0.0, "the difference of features of y and F(y)")
    gradient: float = _weight(1.0, "the difference of finite differences of x and G(x)")
    gradient_back: float = _weight(1.0, "the same of y and F(y)")
    air: float = _weight(1.0, "|x - G(x)| where exactly one of them is air")
    air_back: float = _weight(1.0, "the same for y")
    total_variation: float = _weight(1e-3, "the total variation of G(x)")
    slice_variation: float = _weight(0.0, "the difference between neighbouring slices of G(x), with context > 1")

    gan: Literal["lsgan", "wgan-gp"] = field(default="lsgan", metadata={"help": "what the judges minimise"})
    gradient_penalty: float = field(default=10.0, metadata={"low": 0.0, "help": "weight in wgan-gp"})
    jitter: float = field(default=0.2, metadata={"low": 0.0, "help": "SD of noise on the judges' targets (lsgan)"})
    judge_weighting: float = field(
        default=0.0,
        metadata={"low": 0.0, "help": "0, or judges weight their patches and this keeps the weights near 1"},
    )
    air_threshold: float = field(default=-0.997, metadata={"low": -1.0, "high": 1.0, "help": "scaled; air up to it"})
    tv_tau: float = field(default=1e-3, metadata={"low": 1e-8, "help": "rounds the corner of the total variation"})
    gradient_blur_px: float = field(
        default=1.0, metadata={"low": 0.0, "high": 8.0, "help": "SD of smoothing before it"}
    )
    perceptual_network: Literal["encoder", "vgg16"] = field(
        default="encoder", metadata={"help": "first features of the encoder in training (ours), or VGG16's conv1_2"}
    )
    vgg_weights: str = field(default="", metadata={"file": True, "help": "torchvision's state of VGG16, for vgg16"})
    pool: int = field(default=50, metadata={"low": 0, "help": "earlier images that the judges see too"})
    input_noise: float = field(default=0.0, metadata={"low": 0.0, "help": "SD of noise on the networks' input, scaled"})
    latent_noise: float = field(default=0.0, metadata={"low": 0.0, "help": "SD of noise on the latent images"})
    judge_rate: float = field(default=0.5, metadata={"low": 0.0, "help": "the judges' learning rate, as a multiple"})

    def __post_init__(self) -> None:
        """Check every field, and those that must fit together."""
        super().__post_init__()
        if (self.perceptual or self.perceptual_back) and self.perceptual_network == "vgg16" and not self.vgg_weights:
            raise InvalidInputError("perceptual_network=vgg16 needs vgg_weights, a file with torchvision's weights.")

    @classmethod
    def preset(cls, name: Preset, **changes: Any) -> Self:
        """The weights of that name, with changes.

        ``plain`` is CycleGAN (cycle and judges alone). ``proposed`` has the weights of the program's example
        for DICOM: perceptual and air term both ways, no total variation (that is in its example for photographs).
        ``ours`` has no perceptual term, but the difference of smoothed gradients both ways, networks that correct
        their input and see its HU level (no normalisation), and judges that count three times.
        """
        if name not in PRESETS:
            raise InvalidInputError(f"preset must be one of {', '.join(PRESETS)}; got {name!r}.")
        return cls.of({**PRESETS[name], **changes})

    def weights(self) -> dict[str, float]:
        """The terms of the generators' loss that count, with their weights."""
        return {name: getattr(self, name) for name in TERMS if getattr(self, name) > 0}

    def translator_arguments(self) -> dict[str, Any]:
        """Of either translator, for :class:`manabi.networks.translator.Translator`."""
        return {**super().translator_arguments(), "latent_noise": self.latent_noise}

    def pair_arguments(self) -> dict[str, Any]:
        """For ``manabi.networks.build("converter_pair", ...)``."""
        return {"forward": self.translator_arguments(), "backward": self.translator_arguments()}

    def judge_arguments(self) -> dict[str, Any]:
        """Of a judge, for :class:`manabi.networks.patch_discriminator.PatchDiscriminator`."""
        return {**super().judge_arguments(), "weighted": self.judge_weighting > 0}


TERMS = (
    *("cycle", "cycle_back", "autoencoder", "autoencoder_back", "adversarial", "adversarial_back"),
    *("latent_adversarial", "latent_size", "domain", "idempotence", "perceptual", "perceptual_back"),
    *("gradient", "gradient_back", "air", "air_back", "total_variation", "slice_variation"),
)
"""The fields that weigh a term of the generators' loss."""

_NONE = {name: 0.0 for name in TERMS}
_PLAIN = {
    **_NONE,
    **{"cycle": 10.0, "cycle_back": 10.0, "adversarial": 1.0, "adversarial_back": 1.0},
    **{"jitter": 0.0, "gradient_blur_px": 0.0, "residual": False, "output": "tanh"},
    **{"norm": "instance", "judge_norm": "instance"},
}
_PROPOSED = {
    **_PLAIN,
    **{"autoencoder": 1.0, "autoencoder_back": 1.0, "domain": 0.1, "perceptual": 1.0, "perceptual_back": 1.0},
    **{"air": 1.0, "air_back": 1.0, "jitter": 0.2},
}
PRESETS: dict[str, dict[str, Any]] = {"plain": _PLAIN, "proposed": _PROPOSED, "ours": {}}
"""Values that differ from the defaults, by the name of the preset."""
