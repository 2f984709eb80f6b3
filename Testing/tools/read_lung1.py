"""LUNG1 as a cohort: pyradiomics features of 145 patients joined with the clinical table of 422.

The features are a spreadsheet of somebody else's extraction (pyradiomics 2.2.0; original, five LoG and eight wavelet
images), so that what is checked here is the modelling, not our features. Reading spreadsheets needs ``openpyxl``
(``pip install openpyxl``), which nothing else in the project does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas

    from manabi.radiomics.cohort import ClinicalColumn, Cohort

FEATURES = "extracted_features_full.xlsx"
CLINICAL = "extended_clinical_df.xlsx"
PUBLISHED = "NSCLC Radiomics Lung1.clinical-version3-Oct 2019.csv"
STAGES = ("I", "II", "IIIa", "IIIb")
PRIMARY = "GTV-1_mask"
VOLUME = "original_shape_MeshVolume"
PREFIXES = ("original_", "log-sigma-", "wavelet-")


@dataclass(frozen=True, eq=False)
class Lung1:
    """The cohort and what was left out on the way.

    Attributes:
        cohort: one row per patient: the primary tumour.
        rows: of the feature table.
        patients: of the feature table.
        dropped: rows that are no first primary tumour of a patient.
        clinical_patients: of the clinical table.
        extraction: version of pyradiomics that made the features.
    """

    cohort: Cohort
    rows: int
    patients: int
    dropped: int
    clinical_patients: int
    extraction: str


def read_lung1(folder: Path) -> Lung1:
    """Read, keep each patient's primary tumour once, and join the outcome by patient.

    Args:
        folder: with the two spreadsheets and the CSV.

    Raises:
        SystemExit: ``openpyxl`` is not installed, or the spreadsheet's clinical data contradict the published CSV.
    """
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise SystemExit("The tables of LUNG1 are spreadsheets: pip install openpyxl.") from None
    import pandas

    table = pandas.read_excel(folder / FEATURES)
    clinical = pandas.read_excel(folder / CLINICAL)
    check_same(clinical, pandas.read_csv(folder / PUBLISHED))
    first = primaries(table)
    joined = first.merge(clinical, left_on="patient", right_on="PatientID", how="inner", validate="one_to_one")
    version = ", ".join(sorted(set(table["diagnostics_Versions_PyRadiomics"].astype(str))))
    return Lung1(cohort_of(joined), len(table), table["Patient"].str[:9].nunique(), len(table) - len(first),
                 len(clinical), version)  # fmt: skip


def primaries(table: pandas.DataFrame) -> pandas.DataFrame:
    """The rows of the primary tumour, one per patient.

    Two patients were extracted twice, from two copies of the same CT and outline; the copy whose name sorts first is
    taken, so that the choice depends on nothing else.
    """
    found = table.assign(patient=table["Patient"].str[:9])
    found = found[found["ROI"] == PRIMARY].sort_values(["patient", "Patient"])
    return found.drop_duplicates("patient").reset_index(drop=True)


def check_same(spread: pandas.DataFrame, published: pandas.DataFrame) -> None:
    """Refuse a spreadsheet whose survival is not the published one."""
    columns = ["PatientID", "Survival.time", "deadstatus.event"]
    first, second = (t[columns].sort_values("PatientID").reset_index(drop=True) for t in (spread, published))
    if not first.equals(second.astype(first.dtypes)):
        raise SystemExit(f"{CLINICAL} and {PUBLISHED} do not agree in patients or survival: get both anew.")


def cohort_of(joined: pandas.DataFrame) -> Cohort:
    """Features, volume, clinical data and survival of the joined table."""
    from manabi.radiomics.cohort import Cohort

    names = tuple(str(c) for c in joined.columns if str(c).startswith(PREFIXES))
    return Cohort(
        patients=tuple(joined["patient"]),
        feature_names=names,
        features=joined[list(names)].to_numpy(float),
        clinical=clinical_columns(joined),
        volume_ml=joined[VOLUME].to_numpy(float) / 1000,
        time_days=joined["Survival.time"].to_numpy(float),
        event=joined["deadstatus.event"].to_numpy(bool),
    )


def clinical_columns(joined: pandas.DataFrame) -> tuple[ClinicalColumn, ...]:
    """Age, T, N, overall stage, histology and sex; codes beyond the TNM staging (T 5, N 4) count as unknown."""
    from manabi.radiomics.cohort import ClinicalColumn

    def texts(name: str) -> list[Any]:
        """A column, None where it is empty."""
        return [None if value is None or value != value else value for value in joined[name].tolist()]

    def stages(name: str, highest: int, lowest: int) -> ClinicalColumn:
        """A number of the TNM staging."""
        levels = [str(k) for k in range(lowest, highest + 1)]
        known = [None if v is None or int(v) > highest else str(int(v)) for v in texts(name)]
        return ClinicalColumn.of(name, known, "ordinal", levels)

    return (
        ClinicalColumn("age", "numeric", joined["age"].to_numpy(float)),
        stages("clinical.T.Stage", 4, 1),
        stages("Clinical.N.Stage", 3, 0),
        ClinicalColumn.of("Overall.Stage", texts("Overall.Stage"), "ordinal", STAGES),
        ClinicalColumn.of("Histology", [None if v is None else str(v).lower() for v in texts("Histology")]),
        ClinicalColumn.of("gender", texts("gender")),
    )


def missing_of(cohort: Cohort) -> dict[str, int]:
    """Patients without each clinical variable."""
    return {column.name: int(np.isnan(column.values).sum()) for column in cohort.clinical}
