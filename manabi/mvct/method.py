"""MVCTConvert as a Manabi method: convert, and say what was changed, how sure that is, and when not to use it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from manabi.context import Context
from manabi.errors import InvalidInputError, ModelNotFoundError
from manabi.loaded import LoadedNetworks
from manabi.method import InputSpec, Method
from manabi.mvct.parameters import MVCTParameters
from manabi.parameters import Parameters
from manabi.result import Result, Table
from manabi.series_rule import SeriesRule
from manabi.volume import Volume

if TYPE_CHECKING:
    from torch import nn

    from manabi.bundle import Bundle
    from manabi.mvct.convert import Settings
    from manabi.mvct.pipeline import Model

CBCT_BUNDLE = "mvct-cbct"
"""Taken for image=cbct where no bundle is named."""
IN_ROOM = (
    r"mvct|megavolt|tomotherapy|tomo ?image|\bctrue\b",
    r"cbct|cone ?beam|\bxvi\b|\bobi\b|on board imager|halcyon|kilovoltage ?cb",
)
"""What scans of a treatment room are called; patterns for the choice from an archive."""
WITHOUT_BUNDLE = ("polynomial", "nlm", "bm3d")
"""Converters that need none."""
IMPORTED_AHEAD = (
    "manabi.mvct.pipeline", "manabi.mvct.safety", "manabi.mvct.outputs", "manabi.inference", "scipy.ndimage",
    "SimpleITK",
)  # fmt: skip
"""What a run imports."""


class MVCTConvert(Method[MVCTParameters]):
    """Megavoltage or cone-beam CT to the quality of kilovoltage CT, for contouring, with its doubts in plain sight."""

    name: ClassVar[str] = "mvct"
    title: ClassVar[str] = "MVCTConvert"
    summary: ClassVar[str] = (
        "megavoltage or cone-beam CT to the quality of kilovoltage CT for contouring, with uncertainty and checks"
    )
    source: ClassVar[str] = (
        "Ozaki S, Kaji S, Nawa K, Imae T, Aoki A, Nakamoto T, Ohta T, Nozawa Y, Yamashita H, Haga A, Nakagawa K. "
        "Training of deep cross-modality conversion models with a small dataset, and their application in megavoltage "
        "CT to kilovoltage CT conversion. Med Phys 2022, 10.1002/mp.15626"
    )
    inputs: ClassVar[tuple[InputSpec, ...]] = (
        InputSpec("ct", "megavoltage or cone-beam CT in Hounsfield units", ("CT",), min_shape=(1, 16, 16)),
        InputSpec(
            "reference", "planning kilovoltage CT of the same patient, registered to it, to compare with", ("CT",),
            optional=True, min_shape=(1, 16, 16),
        ),
    )  # fmt: skip
    parameters_type: ClassVar[type[Parameters]] = MVCTParameters
    phantom: ClassVar[str] = "head_neck"
    default_bundle: ClassVar[str | None] = "mvct-default"
    series_rules: ClassVar[Mapping[str, SeriesRule]] = {
        "ct": SeriesRule(needs=IN_ROOM, derived=True, every=True, least_slices=5),
        "reference": SeriesRule(without=IN_ROOM, least_slices=5, automatic=False),
    }
    alert_prefixes: ClassVar[tuple[str, ...]] = (
        "Out of the training range", "Metal", "Truncated field of view", "Do not use", "HU check",
        "Another kind of image", "Possible distortion", "Tilted slices", "Missing slices",
        "The values do not look like Hounsfield units",
        "The reference",
    )  # fmt: skip

    def __init__(self) -> None:
        self._networks = LoadedNetworks()

    def _run(self, inputs: dict[str, Volume], parameters: MVCTParameters, context: Context) -> Result:
        from manabi.mvct import gate, outputs, pipeline, prepare, safety

        volume = inputs["ct"]
        context.progress(0.01, "Preparing")
        model = self._model(parameters, context)
        tables = outputs.density_tables(model.settings.kind, parameters)
        reference = outputs.on_grid(inputs.get("reference"), volume, context)
        work = prepare.prepare(volume, model.settings.pixel_mm)
        with context.span(0.03, 0.1):
            checked = safety.check_input(work, model, context)
        safety.refuse(gate.judge(checked.evidence), parameters.gate)
        with context.span(0.1, 0.75):
            done = pipeline.convert(work, checked.body, model, parameters, context)
        with context.span(0.75, 1.0):
            return outputs.result(done, checked, model, reference, tables, parameters, context)

    def load(self, context: Context) -> None:
        """Load the bundle's network, and import what a run needs, ahead of it."""
        for name in IMPORTED_AHEAD:
            import_module(name)
        self._network(context.bundle or self.default_bundle or "", Context())

    # --- models -----------------------------------------------------------------------------------------------------

    def _model(self, parameters: MVCTParameters, context: Context) -> Model:
        """What converts: the bundle's network and its settings, or a baseline with what a bundle knows for it."""
        from manabi.mvct.convert import Settings
        from manabi.mvct.pipeline import Model

        if parameters.converter in WITHOUT_BUNDLE and context.bundle is None:
            kind = "mvct" if parameters.image == "auto" else parameters.image
            context.warn(f"converter={parameters.converter} is a baseline for comparison, without a trained model.")
            return Model(Settings(kind=kind), {})
        name = context.bundle or (CBCT_BUNDLE if parameters.image == "cbct" else self.default_bundle) or ""
        network, settings, facts = self._network(name, context)
        _check_kind(parameters.image, settings.kind, name)
        if parameters.converter != "network":
            context.warn(f"converter={parameters.converter} is a baseline for comparison, not the trained model.")
            return Model(settings, facts)
        return Model(settings, facts, network, self._members(parameters, settings, context))

    def _network(self, name: str, context: Context) -> tuple[nn.Module, Settings, Mapping[str, Any]]:
        """A bundle's network, loaded once per process, its settings and facts."""
        from manabi.mvct.convert import Settings

        bundle = self._bundle(name)
        self.check_bundle(bundle)
        network = self._networks.of(bundle, context)
        return network, Settings.of(bundle), bundle.metadata["manabi"].get("mvct", {})

    def _bundle(self, name: str) -> Bundle:
        from manabi.store import BundleStore

        try:
            return BundleStore().get(name, method=self.name)
        except ModelNotFoundError as error:
            raise ModelNotFoundError(
                f"{error} MVCTConvert cannot convert without a trained model; converter=polynomial, nlm or bm3d, which "
                "are baselines for comparison, need none."
            ) from error

    def _members(
        self, parameters: MVCTParameters, settings: Settings, context: Context
    ) -> tuple[tuple[nn.Module, Settings], ...]:
        """The other models of an ensemble; they must look at the same pixels."""
        if parameters.uncertainty != "ensemble":
            return ()
        used, members = context.used_bundle, []
        for name in filter(None, (part.strip() for part in (parameters.members or "").split(","))):
            network, other, _ = self._network(name, context)
            if (other.kind, other.pixel_mm) != (settings.kind, settings.pixel_mm):
                raise InvalidInputError(
                    f"members: {name} was trained for {other.kind} with pixels of {other.pixel_mm} mm, the model it "
                    f"joins for {settings.kind} with {settings.pixel_mm}. Choose models of one kind."
                )
            members.append((network, other))
        context.used_bundle = used
        return tuple(members)

    # --- what a reader sees -----------------------------------------------------------------------------------------

    def compare(self, images: Mapping[str, Volume]) -> dict[str, Table]:
        """HU check, noise, contrast and errors of input, output and reference, in one set of tissues."""
        from manabi.mvct.outputs import comparison_tables

        return comparison_tables(images)

    def draw(self, inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
        """Input, converted, difference, uncertainty and residual in three planes, with the HU check; the histogram."""
        from manabi.mvct.figure import draw_study
        from manabi.plotting.charts import draw_chart

        simulated = [text for text in result.warnings if "simulated" in text]
        charts = [draw_chart(plot, folder / f"{name}.png", simulated) for name, plot in result.plots.items()]
        return [draw_study(inputs, result, folder / "conversion.png"), *charts]


def _check_kind(wanted: str, trained: str, name: str) -> None:
    """Refuse a bundle for the other kind of image."""
    if wanted not in ("auto", trained):
        words = {"mvct": "megavoltage CT", "cbct": "cone-beam CT"}
        raise InvalidInputError(
            f"Bundle {name} was trained for {words[trained]} (image={trained}), not for {words[wanted]}. Choose "
            f"another bundle, or set image={trained} if that is what the series is."
        )
