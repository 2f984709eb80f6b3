"""SPECTDenoise as a Manabi method: denoise, measure, grade, and say when not to believe it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from manabi.context import Context
from manabi.errors import InvalidInputError
from manabi.loaded import LoadedNetworks
from manabi.method import InputSpec, Method
from manabi.parameters import Parameters
from manabi.result import Cell, Result, Table
from manabi.series_rule import SeriesRule
from manabi.spect.template import REGIONS
from manabi.volume import Volume

if TYPE_CHECKING:
    from manabi.bundle import Bundle
    from manabi.spect.denoise import Denoised
    from manabi.spect.report import Study

PAPER_BUNDLE = "spect-paper-unet4"
IMPORTED_AHEAD = ("manabi.spect.denoise", "manabi.spect.report", "scipy.ndimage", "scipy.optimize", "SimpleITK")
"""What a run imports; together they take a second."""
IOFLUPANE = (r"dat ?scan|ioflupane|fp ?cit|\bdat\b|ダット|ドパミン", r"striat|dopamin|123 ?i\b|\bi ?123")
"""What scans of the dopamine transporter are called; patterns for the choice from an archive."""
OTHER_SPECT = (
    r"perfus|hmpao|\becd\b|\bimp\b|mibg|xenon|tl ?201|tektro|\bmu ?map|ac ?map|transmission|scatter|血流",
)
"""What other scans of the head, and parts of a scan that are none, are called."""
FULL_TIME = (r"\b(?:2[05]|30) ?min", r"full ?time")
NOISE_MARGIN = 1.25
"""Input noise outside the training range by this factor is flagged (our choice)."""


@dataclass(frozen=True)
class SPECTParameters(Parameters):
    """Parameters of SPECTDenoise."""

    pipeline: Literal["ours", "paper"] = field(
        default="ours", metadata={"help": "ours: every slice, 2.5-D; paper: the source's five normalised slices"}
    )
    denoiser: Literal["network", "gaussian", "bilateral", "nlm", "bm3d"] = field(
        default="network", metadata={"help": "the bundle's network, or a classical filter for comparison"}
    )
    consistency_mm: float | None = field(
        default=None,
        metadata={"help": "scale (FWHM) above which the input's counts are kept; the bundle's by default", "low": 0.0},
    )
    quantify: bool = field(default=True, metadata={"help": "measure binding ratios before and after"})
    reference: Literal["occipital", "whole_brain"] = field(
        default="occipital", metadata={"help": "reference region of the binding ratio"}
    )
    age_years: float | None = field(
        default=None, metadata={"help": "age of the patient, for age-adjusted grades", "low": 0.0, "high": 120.0}
    )
    norms: str | None = field(
        default=None, metadata={"help": "JSON file with the site's own normal values", "file": True}
    )
    alert_z: float = field(
        default=2.5, metadata={"help": "over-correction alert above so many standard errors", "low": 0.5, "high": 20.0}
    )


class SPECTDenoise(Method[SPECTParameters]):
    """5-minute dopamine-transporter SPECT to the quality of 25 minutes, with binding ratios before and after."""

    name: ClassVar[str] = "spect"
    title: ClassVar[str] = "SPECTDenoise"
    summary: ClassVar[str] = (
        "5-minute dopamine-transporter SPECT to 25-minute quality, with binding ratios before and after"
    )
    source: ClassVar[str] = (
        "Ishiwata Y. Deep-learning image quality improvement and time reduction of brain nuclear medicine. "
        "KAKENHI 20K16705, 2024; Jpn J Radiol 2025, 10.1007/s11604-025-01933-z"
    )
    inputs: ClassVar[tuple[InputSpec, ...]] = (
        InputSpec("spect", "reconstructed 123I-ioflupane SPECT of the head", ("NM", "PT"), min_shape=(5, 24, 24)),
        InputSpec(
            "full_time", "full-time (25-minute) SPECT of the same patient and session, to compare with", ("NM", "PT"),
            optional=True, min_shape=(5, 24, 24),
        ),
    )  # fmt: skip
    parameters_type: ClassVar[type[Parameters]] = SPECTParameters
    phantom: ClassVar[str] = "striatum"
    default_bundle: ClassVar[str | None] = "spect-default"
    series_rules: ClassVar[Mapping[str, SeriesRule]] = {
        "spect": SeriesRule(
            modalities=("NM",), regions=("head",), image_types=("RECON",), derived=True,
            without=(*OTHER_SPECT, *FULL_TIME), prefers=(r"\b5 ?min", *IOFLUPANE),
            least_slices=16, least_extent_mm=80.0, most_spacing_mm=8.0,
        ),
        "full_time": SeriesRule(
            modalities=("NM",), regions=("head",), image_types=("RECON",), derived=True, needs=FULL_TIME,
            without=OTHER_SPECT, prefers=IOFLUPANE, least_slices=16, automatic=False,
        ),
    }  # fmt: skip
    alert_prefixes: ClassVar[tuple[str, ...]] = (
        "Over-correction alert", "Out of the training range", "No striatal uptake",
    )  # fmt: skip

    def __init__(self) -> None:
        self._networks = LoadedNetworks()

    def _run(self, inputs: dict[str, Volume], parameters: SPECTParameters, context: Context) -> Result:
        volume = inputs["spect"]
        if np.asarray(volume.array).min() < 0:
            context.warn("Negative counts were set to zero before denoising; the input file is unchanged.")
            volume = volume.like(np.maximum(volume.array, 0))
        if parameters.pipeline == "paper":
            return self._run_paper(volume, inputs.get("full_time"), parameters, context)
        context.progress(0.02, "Preparing")
        if parameters.quantify:
            self._check_norms(parameters)
        full = self._full_time(inputs, volume, context)
        with context.span(0.05, 0.75):
            done = self._denoise(volume, parameters, context)
        result = Result(volumes={"denoised": done.volume})
        result.volumes["difference"] = _difference(done.volume, inputs["spect"])
        if done.uncertainty is not None:
            result.volumes["uncertainty"] = done.uncertainty
        result.measurements["relative_noise_removed"] = round(done.relative_noise, 4)
        result.measurements["counts_after_over_before"] = _count_ratio(volume, done.volume)
        study = None
        if parameters.quantify:
            with context.span(0.78, 1.0 if full is None else 0.92):
                study = self._quantify(volume, done.volume, parameters, context, result)
        if full is not None:
            context.progress(0.92, "Comparing with the full-time scan")
            with _or_left_out(context):
                self._compare_full(volume, full, study, parameters, context, result)
        return result

    def load(self, context: Context) -> None:
        """Load the bundle's network, and import what a run needs, ahead of it."""
        from manabi.store import BundleStore

        for name in IMPORTED_AHEAD:
            import_module(name)
        bundle = BundleStore().get(context.bundle or self.default_bundle or "", method=self.name)
        self._network(context, bundle.name, str(bundle.facts.get("spect", {}).get("pipeline", "ours")))

    # --- denoising ----------------------------------------------------------------------------------

    def _denoise(self, volume: Volume, parameters: SPECTParameters, context: Context) -> Denoised:
        from manabi.spect import denoise

        if parameters.denoiser != "network":
            return denoise.denoise_with_filter(volume, parameters.denoiser, context)
        bundle, network = self._network(context, self.default_bundle, "ours")
        facts = bundle.facts.get("spect", {})
        settings = denoise.Settings.of(facts, parameters.consistency_mm)
        done = denoise.denoise_with_network(volume, network, settings, context)
        _flag_noise(done.relative_noise, facts.get("training_noise_range"), context)
        return done

    def _network(self, context: Context, default: str | None, pipeline: str) -> tuple[Bundle, Any]:
        """The bundle to use and its network, loaded once per process."""
        from manabi.store import BundleStore

        bundle = BundleStore().get(context.bundle or default or "", method=self.name)
        self.check_bundle(bundle)
        made_for = bundle.facts.get("spect", {}).get("pipeline", "ours")
        if made_for != pipeline:
            raise InvalidInputError(
                f"Bundle {bundle.name} was trained for pipeline={made_for}, not {pipeline}. "
                f"Set pipeline={made_for}, or choose another bundle."
            )
        return bundle, self._networks.of(bundle, context)

    # --- the source's own pipeline ----------------------------------------------------------------

    def _run_paper(
        self, volume: Volume, full: Volume | None, parameters: SPECTParameters, context: Context
    ) -> Result:  # fmt: skip
        """Five 64×64 slices, as in the source; the result covers only these."""
        from manabi.spect import comparison, paper

        straight = paper.straighten(volume)
        middle = paper.hottest_slice(paper.to_8bit(np.asarray(straight.array, float)))
        images = paper.paper_images(straight, middle)
        target = None if full is None else paper.straighten(comparison.on_grid(full, volume, context))
        out = np.clip(self._denoise_slices(images.images, parameters.denoiser, context), 0.0, 1.0)
        counts = images.to_counts(out)
        box = images.box.like(counts, name="denoised", warnings=straight.warnings)
        grid = volume.reoriented_like(volume.grid)
        back = box.reoriented_like(grid.grid)
        context.warn(
            "pipeline=paper: only the five slices around the hottest one were denoised (64×64 pixels, 8-bit grey "
            "levels), as in the source; binding ratios need the whole volume and were not computed."
        )
        before = images.box.like(images.to_counts(images.images), name="input_8bit").reoriented_like(grid.grid)
        result = Result(
            volumes={"denoised": back, "input_8bit": before, "difference": _difference(back, before)},
            measurements={"counts_after_over_before": _count_ratio(before, back)},
            warnings=list(straight.warnings),
        )
        if target is not None:
            with _or_left_out(context):
                full_slices = paper.paper_images(target, middle).images
                five = {"input": images.images, "denoised": out, "full_time": full_slices}
                result.tables["comparison"] = comparison.slice_table(five)
        return result

    def _denoise_slices(self, images: np.ndarray, denoiser: str, context: Context) -> np.ndarray:
        """Images ``(5, 64, 64)`` from 0 to 1, denoised one by one."""
        if denoiser == "network":
            from manabi.inference import predict_stack

            _, network = self._network(context, PAPER_BUNDLE, "paper")
            return predict_stack(network, images[:, None], context=context)[:, 0]
        from manabi.filters import FILTERS

        return np.stack([FILTERS[denoiser]().apply(image) for image in images])

    # --- numbers a reader reads --------------------------------------------------------------------

    @staticmethod
    def _check_norms(parameters: SPECTParameters) -> None:
        """Refuse norms that cannot be read before any work is done."""
        from manabi.spect.grade import load_norms

        load_norms(parameters.norms)

    def _quantify(
        self, before: Volume, after: Volume, parameters: SPECTParameters, context: Context, result: Result
    ) -> Study | None:
        from manabi.spect import report

        try:
            study = report.study(before, after, parameters.reference, parameters.norms, parameters.age_years, context)
        except InvalidInputError as error:
            context.warn(f"Binding ratios were not computed: {error}")
            return None
        if study.explained < report.NO_STRIATUM:
            context.warn(
                "No striatal uptake pattern was recognised. If this is not a dopamine-transporter scan, disregard the "
                "binding ratios and grades."
            )
        result.labelmaps["regions"] = study.labelmap
        result.tables.update(study.tables())
        result.measurements.update(study.measurements())
        result.warnings.extend(study.alerts(parameters.alert_z))
        result.warnings.append(f"Grades use normal values from: {study.norms.source}.")
        ratios = {"before": study.before.sbr, "after": study.after.sbr}
        result.plots["binding_ratios"] = report.chart(ratios, study.norms, parameters.age_years)
        return study

    # --- against the full-time scan ------------------------------------------------------------------

    @staticmethod
    def _full_time(inputs: Mapping[str, Volume], volume: Volume, context: Context) -> Volume | None:
        """The full-time scan on the input's grid, or None; refused before any work where it does not fit."""
        if "full_time" not in inputs:
            return None
        from manabi.spect.comparison import on_grid

        return on_grid(inputs["full_time"], volume, context)

    @staticmethod
    def _compare_full(
        volume: Volume, full: Volume, study: Study | None, parameters: SPECTParameters, context: Context,
        result: Result,
    ) -> None:  # fmt: skip
        """Fill in the table ``comparison``, and the full-time scan's bars in the chart."""
        from manabi.spect import comparison, report

        images = {"input": volume, "denoised": result.volumes["denoised"], "full_time": full}
        found = None if study is None else study.found
        if found is not None:
            comparison.check_moved(full, found, context)
        table = comparison.comparison(images, found, parameters.reference, context)
        result.tables["comparison"] = table
        if study is not None and found is not None:
            last = dict(zip(table.columns, table.rows[-1], strict=True))
            known = dict(zip(REGIONS, (float(last[key] or 0.0) for key in comparison.RATIOS), strict=True))
            ratios = {"before": study.before.sbr, "after": study.after.sbr, "full time": known}
            result.plots["binding_ratios"] = report.chart(ratios, study.norms, parameters.age_years)

    def compare(self, images: Mapping[str, Volume]) -> dict[str, Table]:
        """Binding ratios of input, output and reference, and their likeness to the reference."""
        from manabi.spect.comparison import demo_tables

        return demo_tables(images)

    def draw(self, inputs: Mapping[str, Volume], result: Result, folder: Path) -> list[Path]:
        """The before / after / difference figure with regions and binding ratios, and the chart of the ratios."""
        from manabi.plotting.charts import draw_chart
        from manabi.spect.figure import draw_study

        simulated = [text for text in result.warnings if "simulated" in text]
        charts = [draw_chart(plot, folder / f"{name}.png", simulated) for name, plot in result.plots.items()]
        return [draw_study(inputs["spect"], result, folder / "before_after.png"), *charts]


@contextmanager
def _or_left_out(context: Context) -> Iterator[None]:
    """What fails here costs the comparison, not the denoised image that is done already."""
    try:
        yield
    except (ValueError, ArithmeticError) as error:
        context.warn(f"The comparison with the full-time scan was left out: {error}")


def _difference(after: Volume, before: Volume) -> Volume:
    """After minus before, in their own units; negative where denoising took counts away."""
    values = np.asarray(after.array, np.float32) - np.asarray(before.array, np.float32)
    return after.like(values, name="difference")


def _count_ratio(before: Volume, after: Volume) -> Cell:
    total = float(np.asarray(before.array, float).sum())
    return round(float(np.asarray(after.array, float).sum()) / total, 6) if total > 0 else None


def _flag_noise(noise: float, trained: list[float] | None, context: Context) -> None:
    """Warn when the input is noisier or smoother than anything the bundle was trained on."""
    if not trained:
        return
    low, high = trained
    if noise > high * NOISE_MARGIN or noise < low / NOISE_MARGIN:
        word = "noisier" if noise > high else "smoother"
        context.warn(
            f"Out of the training range: this scan is {word} than those the bundle was trained on (noise removed "
            f"{noise:.3f} of the head's mean, trained on {low:.3f} to {high:.3f}). Read the result with care."
        )
