"""PelvicSeg as a Manabi method: prostate, seminal vesicles, bladder and rectum on CT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.loaded import LoadedNetworks
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.result import Cell, Labelmap, Result, Table
from manabi.series_rule import SeriesRule
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.pelvis.settings import Settings

IMPORTED_AHEAD = (
    "manabi.pelvis.segment", "manabi.pelvis.settings", "manabi.structures.found", "manabi.structures.report",
    "manabi.inference", "scipy.ndimage", "SimpleITK",
)  # fmt: skip
"""What a run imports."""


@dataclass(frozen=True)
class PelvisParameters(Parameters):
    """Parameters of PelvicSeg."""

    structures: str = field(default="all", metadata={"help": "which to find: all, or some names with commas"})
    min_confidence: float = field(
        default=0.6, metadata={"help": "less confident organs are flagged for checking", "low": 0.0, "high": 1.0}
    )


class PelvicSeg(Method[PelvisParameters]):
    """Prostate, seminal vesicles, bladder and rectum of a CT; other structures with a bundle of its own."""

    name: ClassVar[str] = "pelvis"
    title: ClassVar[str] = "PelvicSeg"
    summary: ClassVar[str] = "prostate, seminal vesicles, bladder and rectum on CT, with volumes and confidence"
    source: ClassVar[str] = (
        "Nakagawa K, in the University of Tokyo Hospital's studies on artificial intelligence in radiotherapy "
        "(seeds/002, its last part): 20 planning CTs, one slice, four slices, or blocks of 128 voxels"
    )
    inputs: ClassVar[tuple[InputSpec, ...]] = (
        InputSpec("ct", "CT of the pelvis", ("CT",), min_shape=(8, 32, 32)),
    )  # fmt: skip
    parameters_type: ClassVar[type[Parameters]] = PelvisParameters
    phantom: ClassVar[str] = "pelvis"
    default_bundle: ClassVar[str | None] = "pelvis-default"
    series_rules: ClassVar[Mapping[str, SeriesRule]] = {
        "ct": SeriesRule(regions=("pelvis", "abdomen"), least_slices=20, least_extent_mm=80.0, most_spacing_mm=6.0,
                         best_spacing_mm=(1.0, 3.0)),
    }  # fmt: skip
    alert_prefixes: ClassVar[tuple[str, ...]] = ("Check the ", "The field of view")

    def __init__(self) -> None:
        self._networks = LoadedNetworks()

    def _run(self, inputs: dict[str, Volume], parameters: PelvisParameters, context: Context) -> Result:
        from manabi.pelvis.segment import segmented
        from manabi.structures import report

        network, settings = self._network(context)
        known = settings.structures
        wanted = known.chosen(parameters.structures)
        with context.span(0.03, 0.95):
            done = segmented(inputs["ct"], network, settings, wanted, context)
        for text in done.warnings:
            context.warn(text)
        context.progress(0.95, "Measuring")
        rows = report.measure(done.labels, done.confidence, known, wanted)
        alerts = report.flags(rows, known, parameters.min_confidence)
        return Result(
            volumes={"confidence": done.confidence},
            labelmaps={"organs": Labelmap(done.labels, known.segments(wanted))},
            tables={"volumes": report.volumes_table(rows)},
            plots={"volumes": report.volumes_plot(rows)},
            measurements=report.measurements(rows, alerts),
            warnings=[*alerts, *done.notes],
        )

    def load(self, context: Context) -> None:
        """Load the bundle's network, and import what a run needs, ahead of it."""
        for name in IMPORTED_AHEAD:
            import_module(name)
        self._network(context, warn=False)

    def _network(self, context: Context, warn: bool = True) -> tuple[Any, Settings]:
        """The bundle's network, loaded once per process, and how it is used."""
        from manabi.pelvis.settings import Settings
        from manabi.store import BundleStore

        bundle = BundleStore().get(context.bundle or self.default_bundle or "", method=self.name)
        self.check_bundle(bundle)
        settings = Settings.of(bundle.facts)
        network = self._networks.of(bundle, context, warn)
        expected = len(settings.structures.names) + 1
        if network.out_channels != expected:
            raise InvalidInputError(
                f"Bundle {bundle.name}: its network has {network.out_channels} classes, its structures make {expected} "
                "with the background. Train or install it again."
            )
        return network, settings

    def compare_truth(self, truth: Mapping[str, Cell], result: Result) -> dict[str, Table]:
        """Each organ's volume beside its true one, in mL."""
        rows = []
        for row in result.tables["volumes"].rows if "volumes" in result.tables else ():
            known = truth.get(f"volume_{row[0]}_ml", truth.get(f"{row[0]}_ml"))
            if isinstance(known, (int, float)):
                rows.append((str(row[0]), row[2], round(float(known), 2)))
        return {"volumes": Table(("structure", "volume_ml", "true_volume_ml"), tuple(rows))} if rows else {}
