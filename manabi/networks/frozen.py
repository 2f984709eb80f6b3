"""A fitted model of plain numbers as a network, so that a bundle of it is checked and kept like every other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from manabi.errors import InvalidInputError

if TYPE_CHECKING:
    import numpy as np

    from manabi.radiomics.cohort.frozen import FittedModel

DTYPES = {"float64": torch.float64, "int64": torch.int64, "bool": torch.bool}
DOT = "/"
"""Stands for the dot in the names of arrays: torch gives the dot a meaning of its own."""


class FrozenModel(nn.Module):
    """The arrays of a :class:`manabi.radiomics.cohort.FittedModel` as buffers; nothing in it is learned.

    Args:
        arrays: shape and type of each array by its name, as :func:`described` gives them.
        structure: JSON text that says how they belong together.

    Raises:
        InvalidInputError: for a type of number that is not known.
    """

    def __init__(self, arrays: Mapping[str, Any], structure: str) -> None:
        super().__init__()
        self.structure = structure
        for name, (kind, *shape) in arrays.items():
            if kind not in DTYPES:
                raise InvalidInputError(f"Unknown type of numbers {kind!r}. Known: {', '.join(DTYPES)}.")
            self.register_buffer(name, torch.zeros([int(n) for n in shape], dtype=DTYPES[kind]))

    def fitted(self) -> FittedModel:
        """The model that the arrays make; raises CorruptModelError where they do not fit together."""
        return fitted_of(dict(self.named_buffers()), self.structure)

    def forward(self, x: Tensor) -> Tensor:
        """``(n,)`` risk of prepared columns ``(n, columns)``, higher is worse."""
        return torch.from_numpy(self.fitted().predictor.risk(x.detach().cpu().double().numpy()))


def described(state: Mapping[str, np.ndarray | str]) -> tuple[dict[str, Any], dict[str, Tensor], str]:
    """What :class:`FrozenModel` takes, its tensors and the structure, from ``FittedModel.to_state``."""
    import numpy as np

    arrays: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}
    for name, value in state.items():
        if isinstance(value, str):
            continue
        kind = {"b": "bool", "f": "float64"}.get(value.dtype.kind, "int64")
        key = name.replace(".", DOT)
        arrays[key] = [kind, *value.shape]
        tensors[key] = torch.from_numpy(np.ascontiguousarray(value, dtype=kind).reshape(value.shape).copy())
    return arrays, tensors, str(state["structure"])


def fitted_of(tensors: Mapping[str, Tensor], structure: str) -> FittedModel:
    """The fitted model of a bundle's tensors; raises CorruptModelError where they do not fit together."""
    from manabi.radiomics.cohort.frozen import FittedModel

    arrays = {name.replace(DOT, "."): tensor.numpy() for name, tensor in tensors.items()}
    return FittedModel.from_state({**arrays, "structure": structure})
