"""NoduleSynth as a Manabi method: search a film for nodules, or make a film with nodules whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from manabi.context import Context
from manabi.errors import InvalidInputError, ModelNotFoundError
from manabi.io.radiograph import MIRRORED, NO_SPACING
from manabi.loaded import LoadedNetworks
from manabi.method import InputSpec, Method
from manabi.nodule.parameters import NoduleParameters
from manabi.parameters import Parameters
from manabi.result import Cell, Result, Table
from manabi.series_rule import SeriesRule
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import nn

    from manabi.nodule.detect import DetectorSettings

SAYS_SPACING = ("Spacing unknown", "Lengths are measured with a film")
"""How the warnings begin that say what lengths were measured with."""
MODALITIES = ("DX", "CR", "RG", "OT")
IMPORTED_AHEAD = (
    "manabi.nodule.detect",
    "manabi.nodule.outputs",
    "manabi.inference",
    "scipy.ndimage",
    "matplotlib.path",
)
"""What a run imports."""


class NoduleSynth(Method[NoduleParameters]):
    """Nodules on chest films: marks with scores at a chosen rate of false alarms, and simulated films to train on."""

    name: ClassVar[str] = "nodule"
    title: ClassVar[str] = "NoduleSynth"
    summary: ClassVar[str] = (
        "nodules on chest radiographs, by a detector that saw none but simulated ones; films with nodules at will"
    )
    source: ClassVar[str] = (
        "Hanaoka S, Nomura Y, Hayashi N, et al. Synthesis of chest radiographs with pulmonary nodules by a flow-based "
        "generative model for training a detector. Int J Comput Assist Radiol Surg 2024;19(10):1991-2000, "
        "10.1007/s11548-024-03227-7"
    )
    inputs: ClassVar[tuple[InputSpec, ...]] = (
        InputSpec(
            "radiograph", "a frontal chest radiograph", MODALITIES,
            optional=True, min_shape=(1, 64, 64),
        ),
    )  # fmt: skip
    parameters_type: ClassVar[type[Parameters]] = NoduleParameters
    phantom: ClassVar[str] = "radiograph"
    default_bundle: ClassVar[str | None] = "nodule-default"
    series_rules: ClassVar[Mapping[str, SeriesRule]] = {
        "radiograph": SeriesRule(modalities=("DX", "CR", "RG"), regions=("chest",), frontal=True, every=True)
    }
    alert_prefixes: ClassVar[tuple[str, ...]] = (
        "Synthetic", "Not a frontal", "Check ", "Spacing unknown", "Polarity", "Unlike the training", "A child",
        MIRRORED,
    )  # fmt: skip

    def __init__(self) -> None:
        self._networks = LoadedNetworks()

    def _run(self, inputs: dict[str, Volume], parameters: NoduleParameters, context: Context) -> Result:
        if parameters.task == "synthesise":
            from manabi.nodule.synthesise import synthesise

            return synthesise(inputs.get("radiograph"), parameters, context)
        if "radiograph" not in inputs:
            raise InvalidInputError(
                "task=detect takes a film; missing: radiograph. Choose one, or set task=synthesise and base=phantom."
            )
        from manabi.nodule import outputs
        from manabi.nodule.detect import search

        network, settings = self._network(context)
        found = search(inputs["radiograph"], network, settings, parameters, context)
        return outputs.result(found, settings, parameters, context)

    def told(self, warnings: list[str]) -> list[str]:
        """What is synthetic first; of an unknown spacing what this method makes of it, not what reading it said."""
        own = any(text.startswith(SAYS_SPACING) for text in warnings)
        kept = [text for text in warnings if not (own and text == NO_SPACING)]
        return sorted(kept, key=lambda text: not text.startswith("Synthetic"))

    def load(self, context: Context) -> None:
        """Load the bundle's network, and import what a run needs, ahead of it."""
        for name in IMPORTED_AHEAD:
            import_module(name)
        self._network(context, warn=False)

    def _network(self, context: Context, warn: bool = True) -> tuple[nn.Module, DetectorSettings]:
        """The bundle's network, loaded once per process, and its settings."""
        from manabi.nodule.detect import DetectorSettings
        from manabi.store import BundleStore

        name = context.bundle or self.default_bundle or ""
        try:
            bundle = BundleStore().get(name, method=self.name)
        except ModelNotFoundError as error:
            raise ModelNotFoundError(
                f"{error} A film cannot be searched without a trained detector; task=synthesise needs none."
            ) from error
        self.check_bundle(bundle)
        settings = DetectorSettings.of(bundle.facts)
        return self._networks.of(bundle, context, warn), settings

    # --- what a reader sees -----------------------------------------------------------------------------------------

    def compare_truth(self, truth: Mapping[str, Cell], result: Result) -> dict[str, Table]:
        """The phantom's nodules beside the marks that lie on them."""
        from manabi.nodule.report import truth_table

        return {"nodules_found": truth_table(truth, result)} if "marks" in result.tables else {}

    def draw(self, inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
        """The film with its marks and heat map; or the films before and after, with mask and difference."""
        from manabi.nodule.figure import draw_search, draw_synthesis

        if "heat_map" in result.volumes:
            return [draw_search(inputs["radiograph"], result, folder / "marks.png")]
        return [draw_synthesis(result, folder / "synthetic.png")]

    def export(
        self, inputs: Mapping[str, Volume], result: Result, folder: Path, image_format: str
    ) -> Mapping[str, list[Path]]:
        """The marks as a DICOM Chest CAD report beside the film, where it is DICOM; further pairs as files."""
        from manabi.nodule.export import export_cad, export_pairs

        if "pairs" in result.tables:
            return export_pairs(result, folder)
        if image_format != "dicom" or "candidates" not in result.tables:
            return {}
        return export_cad(inputs["radiograph"], result, folder)

    def gather(self, results: Mapping[str, Any], folder: Path) -> list[Path]:
        """All marks of a batch in one table; nothing where no film was searched."""
        from manabi.nodule.report import gather_marks

        return gather_marks(results, folder)
