"""The pair of converters in what was trained, whichever way it was trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from manabi.errors import InvalidInputError
from manabi.networks.converter_pair import ConverterPair
from Training.mvct_cycle import CycleRecipe
from Training.mvct_oracle import OracleRecipe

if TYPE_CHECKING:
    from Training.mvct import Plan

PREFIX = "converter."
"""Of the converter's weights in a pair's state."""


def pair_arguments(plan: Plan) -> dict[str, Any]:
    """For ``manabi.networks.build("converter_pair", ...)``.

    Raises:
        InvalidInputError: for a supervised network that a bundle cannot hold.
    """
    learning = plan.learning
    if isinstance(learning, CycleRecipe):
        return learning.pair_arguments()
    if not isinstance(learning, OracleRecipe):
        return {"forward": learning.translator_arguments(), "backward": None}
    if learning.network != "translator" or learning.spatial_dims != 2:
        raise InvalidInputError(
            "A bundle holds a 2-D translator: give oracle.network=translator and oracle.spatial_dims=2. The others "
            "are for experiments."
        )
    back = learning.network_arguments() if plan.recipe.method == "pairs" else None
    return {"forward": learning.network_arguments(), "backward": back}


def pair_of(model: nn.Module, plan: Plan) -> ConverterPair:
    """The pair in a trained model, in evaluation mode; a supervised translator becomes one without a way back."""
    pair = ConverterPair(**pair_arguments(plan))
    pair.load_state_dict(pair_state(model))
    return pair.eval()


def pair_state(model: nn.Module) -> Mapping[str, Tensor]:
    """The weights of a model's pair by their names in a bundle; writing into them changes the model."""
    if any(name == "pair" for name, _ in model.named_children()):
        return model.get_submodule("pair").state_dict()
    return {f"{PREFIX}{key}": value for key, value in model.state_dict().items()}
