"""How a run trains: the settings that every recipe shares, and reading them from JSON and the command line."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeVar

from manabi.errors import InvalidInputError
from manabi.parameters import Parameters

CONFIGS = Path(__file__).parent / "configs"
"""Configurations that ship with the package; ``--config NAME`` finds them here."""

WEIGHTLESS = ("device", "devices", "num_workers", "checkpoint_every", "checkpoint_steps")
"""Settings that say where and how often, not what is learned; they may change when a run is resumed."""

ADDED = {"beta1": 0.9}
"""Settings that runs of earlier versions do not have, with the value that those versions used."""

DEVICE = re.compile(r"auto|cpu|mps|cuda(:\d+)?")

P = TypeVar("P", bound=Parameters)


@dataclass(frozen=True)
class TrainConfig(Parameters):
    """Settings of the engine; the first defaults are those of the SPECT source.

    The paper trains 200 epochs with batches of 8 and Adam, at 1e-3 and from epoch 150 on at 1e-5 (``seeds/004``);
    ``drop_at`` is that epoch as a fraction, so that shorter runs keep the shape of the schedule (our choice).
    Everything else is our choice.
    """

    epochs: int = field(default=200, metadata={"low": 1, "help": "passes over the training cases"})
    batch_size: int = field(default=8, metadata={"low": 1, "help": "cases per optimiser step, over all devices"})
    optimizer: Literal["adam", "adamw", "adamax", "sgd"] = "adam"
    beta1: float = field(default=0.9, metadata={"low": 0.0, "high": 0.999, "help": "momentum of any optimizer"})
    lr: float = field(default=1e-3, metadata={"low": 0.0, "help": "learning rate after the warm-up"})
    schedule: Literal["step", "cosine", "constant"] = "step"
    final_lr: float = field(default=1e-5, metadata={"low": 0.0, "help": "rate after the drop, or at the cosine's end"})
    drop_at: float = field(default=0.75, metadata={"low": 0.0, "high": 1.0, "help": "share of epochs before it"})
    warmup_epochs: float = field(default=0.0, metadata={"low": 0.0, "help": "epochs of linear increase from zero"})
    weight_decay: float = field(default=0.0, metadata={"low": 0.0})
    clip_norm: float | None = field(default=None, metadata={"low": 0.0, "help": "largest norm of the gradient"})
    ema_decay: float | None = field(default=None, metadata={"low": 0.0, "high": 1.0, "help": "average of the weights"})
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda, cuda:N or mps"})
    devices: int = field(default=1, metadata={"low": 0, "help": "processes, one device each; 0 takes every GPU"})
    deterministic: bool = field(default=True, metadata={"help": "only algorithms that repeat bit for bit"})
    seed: int = field(default=0, metadata={"low": 0})
    val_every: int = field(default=1, metadata={"low": 1, "help": "epochs between validations"})
    checkpoint_every: int = field(default=1, metadata={"low": 1, "help": "epochs between checkpoints"})
    checkpoint_steps: int | None = field(default=None, metadata={"low": 1, "help": "also every so many steps"})
    num_workers: int = field(default=0, metadata={"low": 0, "help": "processes that prepare batches"})

    def __post_init__(self) -> None:
        """Check every field, and those that must fit together."""
        super().__post_init__()
        if not DEVICE.fullmatch(self.device):
            raise InvalidInputError(f"device must be auto, cpu, cuda, cuda:N or mps; got {self.device!r}.")
        if self.device not in ("auto", "cpu", "cuda") and self.devices != 1:
            raise InvalidInputError(f"device {self.device!r} is one device; devices must be 1, got {self.devices}.")
        if self.precision == "16-mixed" and not self.device.startswith(("cuda", "auto")):
            raise InvalidInputError(f"precision 16-mixed needs a CUDA device, not {self.device}; use bf16-mixed.")

    def what_is_learned(self) -> dict[str, Any]:
        """The settings that shape the weights, without those of :data:`WEIGHTLESS`.

        One that came later (:data:`ADDED`) is left out at its default, so that older runs can go on.
        """
        values = {name: value for name, value in self.to_dict().items() if name not in WEIGHTLESS}
        return {name: value for name, value in values.items() if ADDED.get(name) != value}


def learning_rate(config: TrainConfig, epoch: float) -> float:
    """The learning rate after ``epoch`` epochs (fractions allowed); a pure function, so nothing has to be stored.

    ``step``: ``lr`` until ``drop_at * epochs``, then ``final_lr``. ``cosine``: from ``lr`` to ``final_lr`` over the
    epochs after the warm-up (Loshchilov and Hutter, SGDR, ICLR 2017, eq. 5, without restarts).
    """
    if epoch < config.warmup_epochs:
        return config.lr * epoch / config.warmup_epochs
    if config.schedule == "step":
        return config.lr if epoch < config.drop_at * config.epochs else config.final_lr
    if config.schedule == "cosine":
        length = max(config.epochs - config.warmup_epochs, 1e-9)
        share = min((epoch - config.warmup_epochs) / length, 1.0)
        return config.final_lr + (config.lr - config.final_lr) * 0.5 * (1 + math.cos(math.pi * share))
    return config.lr


def find_config(name_or_path: str | Path) -> Path:
    """The JSON file of that path, or of that name among the shipped ones; raises InvalidInputError otherwise."""
    path = Path(name_or_path)
    shipped = CONFIGS / f"{name_or_path}.json"
    if path.is_file():
        return path
    if shipped.is_file():
        return shipped
    known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.json")))
    raise InvalidInputError(f"No configuration {str(name_or_path)!r}: expected a JSON file or one of {known}.")


def read_sections(
    path: str | Path | None, overrides: Sequence[str], types: Mapping[str, type[Parameters]]
) -> dict[str, Any]:
    """Read a configuration of named sections, for example ``{"training": {...}, "recipe": {...}}``.

    Args:
        path: JSON file or shipped name; None for the defaults.
        overrides: ``key=value`` or ``section.key=value``; a bare key goes to the one section that has it.
        types: the sections and their parameter classes. A section the file leaves out has its defaults.

    Returns:
        One instance per section, by name.

    Raises:
        InvalidInputError: for bad JSON, unknown sections or keys, ambiguous keys, or values out of range.
    """
    values: dict[str, dict[str, Any]] = {name: {} for name in types}
    for section, content in (_read_json(find_config(path)) if path else {}).items():
        if section not in types or not isinstance(content, dict):
            raise InvalidInputError(f"Unknown section {section!r} in {path}. Expected {', '.join(types)}.")
        values[section].update(content)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals:
            raise InvalidInputError(f"Expected key=value; got {text!r}.")
        section, name = _place(key.strip(), types)
        values[section][name] = value.strip()
    return {section: kind.of(values[section]) for section, kind in types.items()}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"The configuration {path} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise InvalidInputError(f"The configuration {path} must be an object of sections.")
    return content


def _place(key: str, types: Mapping[str, type[Parameters]]) -> tuple[str, str]:
    """Section and field that a command-line key means."""
    section, dot, name = key.partition(".")
    if dot:
        if section not in types:
            raise InvalidInputError(f"Unknown section {section!r} in {key!r}. Expected {', '.join(types)}.")
        return section, name
    owners = [s for s, kind in types.items() if key in {f.name for f in fields(kind)}]
    if len(owners) != 1:
        known = ", ".join(f"{s}.{f.name}" for s, kind in types.items() for f in fields(kind))
        problem = f"{key!r} is in several sections" if owners else f"Unknown setting {key!r}"
        raise InvalidInputError(f"{problem}. Known: {known}.")
    return owners[0], key
