"""What a user can choose in RadiomicsSurvival; imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from manabi.errors import InvalidInputError
from manabi.parameters import Parameters

if TYPE_CHECKING:
    from manabi.radiomics.settings import ExtractionSettings

Preset = Literal[
    "default", "pyradiomics", "paper-744", "ibsi-digital", "ibsi-a", "ibsi-b", "ibsi-c", "ibsi-d", "ibsi-e"
]
CHANGES = "changes"
"""Name of the table that the task ``delta`` makes."""
FITTED = ("elastic_net", "lasso", "ridge", "forest", "boosting")


@dataclass(frozen=True)
class RadiomicsParameters(Parameters):
    """Parameters of RadiomicsSurvival."""

    task: Literal["predict", "features", "fit", "delta"] = field(
        default="predict",
        metadata={
            "help": "features and risk against a cohort; features alone; fit a model to a cohort's tables; or changes "
            "of features between a patient's images, from their table"
        },
    )
    segments: str = field(
        default="all", metadata={"help": "which segments: all, or some of their names or labels with commas"}
    )
    segment_names: str = field(
        default="", metadata={"help": "names of the labels, as 1=Primary tumour;2=Lymph node; empty takes the file's"}
    )
    labels_file: str = field(
        default="", metadata={"help": "file that names the labels: .seg.nrrd, or .labels.json of Manabi", "file": True}
    )
    preset: Preset = field(default="default", metadata={"help": "settings of the extraction (not of predict)"})
    engine: Literal["manabi", "pyradiomics"] = field(
        default="manabi", metadata={"help": "who computes: manabi, or pyradiomics where it is installed"}
    )
    bin_width: float | None = field(
        default=None, metadata={"help": "width of a grey level; none keeps the preset's", "low": 1e-6}
    )
    bin_count: int | None = field(
        default=None,
        metadata={"help": "number of grey levels instead; none keeps the preset's", "low": 2, "high": 4096},
    )
    resample_mm: float | None = field(
        default=None,
        metadata={"help": "isotropic voxels of this size; none keeps the preset's", "low": 0.1, "high": 20.0},
    )
    wavelets: bool = field(default=False, metadata={"help": "also features of the eight wavelet bands"})
    clinical: str = field(
        default="", metadata={"help": "the patient's clinical values for predict, as age_years=70,stage=IB"}
    )
    centre: str = field(default="", metadata={"help": "centre of the image, where the model knows centres"})
    features_csv: str = field(
        default="", metadata={"help": "fit: table of features, a row per tumour; delta: a row per scan", "file": True}
    )
    outcomes_csv: str = field(default="", metadata={"help": "fit: table of outcomes, a row per patient", "file": True})
    patient_column: str = field(default="case", metadata={"help": "fit: column of the patient, in both tables"})
    tumour_column: str = field(default="", metadata={"help": "fit: column that tells a patient's tumours apart"})
    time_column: str = field(default="time_days", metadata={"help": "fit: column of the follow-up time"})
    time_unit: Literal["days", "weeks", "months", "years"] = field(
        default="days", metadata={"help": "fit: unit of the follow-up time"}
    )
    event_column: str = field(default="event", metadata={"help": "fit: column that is 1 where the event was seen"})
    label_column: str = field(
        default="", metadata={"help": "fit: column of a grade or label instead of time and event"}
    )
    label_levels: str = field(default="", metadata={"help": "fit: values of the label in order, as III,IV"})
    volume_column: str = field(
        default="volume_ml", metadata={"help": "fit: column of the volume in mL; empty for none"}
    )
    centre_column: str = field(default="", metadata={"help": "fit: column of the centre; features are then harmonised"})
    clinical_columns: str = field(
        default="", metadata={"help": "fit: clinical columns, as age_years=numeric;sex=categorical;stage=IA<IB<IIA"}
    )
    model: Literal["elastic_net", "lasso", "ridge", "forest", "boosting"] = field(
        default="elastic_net", metadata={"help": "fit: kind of model of the radiomics blocks"}
    )
    block: Literal["combined", "radiomics", "clinical", "volume"] = field(
        default="combined", metadata={"help": "fit: which of the compared models becomes the bundle"}
    )
    week_column: str = field(
        default="week", metadata={"help": "delta: column of the week; without it names as p001_week3 say it"}
    )
    delta_set: str = field(
        default="slope", metadata={"help": "delta: which changes, as slope or abs-w3-w1; all for all sets"}
    )
    first_scan: bool = field(default=True, metadata={"help": "delta: keep the first scan's features beside changes"})
    scheme: Literal["folds", "loo"] = field(
        default="folds", metadata={"help": "fit: repeated folds, or leave one patient out (few patients)"}
    )
    folds: int = field(default=5, metadata={"help": "fit: outer folds of the validation", "low": 2, "high": 50})
    repeats: int = field(default=10, metadata={"help": "fit: how often the folds are drawn", "low": 1, "high": 200})
    permutations: int = field(
        default=0,
        metadata={"help": "fit: permuted outcomes for the null; each costs a repeat", "low": 0, "high": 10000},
    )
    bundle_name: str = field(default="radiomics-site", metadata={"help": "fit: name of the bundle"})
    bundle_folder: str = field(
        default="", metadata={"help": "fit: new folder for the fitted bundle; empty for none", "file": True}
    )

    def __post_init__(self) -> None:
        """Check what must fit together."""
        super().__post_init__()
        if self.bin_width is not None and self.bin_count is not None:
            raise InvalidInputError("Choose either bin_width or bin_count, not both.")
        if self.task == "fit" and not (self.features_csv and self.outcomes_csv):
            raise InvalidInputError("task=fit takes two tables: choose features_csv and outcomes_csv.")
        if self.task == "delta" and not self.features_csv:
            raise InvalidInputError("task=delta takes the table of features of all scans: choose features_csv.")
        assignments(self.clinical, "clinical")
        assignments(self.segment_names, "segment_names")

    def extraction(self) -> ExtractionSettings:
        """Settings of the extraction: the preset with what was changed.

        Raises:
            InvalidInputError: a change that the preset's conventions do not have.
        """
        from manabi.radiomics.presets import preset

        chosen = preset(self.preset)
        changes: dict[str, Any] = {}
        if self.bin_width is not None:
            changes |= {"bin_width": self.bin_width, "bin_count": None}
        if self.bin_count is not None:
            changes |= {"bin_count": self.bin_count, "bin_width": None}
        if self.resample_mm is not None:
            changes["resample_mm"] = self.resample_mm
        if self.engine != "manabi":
            changes["engine"] = self.engine
        if self.wavelets and not chosen.filters:
            from manabi.radiomics.filters.spec import FilterSpec

            changes["filters"] = (FilterSpec("wavelet"),)
        return replace(chosen, **changes) if changes else chosen

    def clinical_values(self) -> Mapping[str, str]:
        """The patient's clinical values by name."""
        return assignments(self.clinical, "clinical")


def assignments(text: str, name: str) -> dict[str, str]:
    """``key=value`` pairs with commas or semicolons between them; where there is a semicolon, only it parts.

    Raises:
        InvalidInputError: where a part has no ``=``, or a key comes twice.
    """
    mark = ";" if ";" in text else ","
    found: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in text.split(mark))):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key or key in found:
            raise InvalidInputError(f"{name}: expected key=value pairs, each key once; got {part!r}. Check the text.")
        found[key] = value
    return found
