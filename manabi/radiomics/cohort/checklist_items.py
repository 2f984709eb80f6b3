"""What a reader of a radiomics prediction study must be told, in our own words, and which facts of a run answer it.

The items follow TRIPOD+AI (G. Collins et al., "TRIPOD+AI statement", 2024, 10.1136/bmj-2023-078378), METRICS (B. Kocak
et al., "METhodological RadiomICs Score", 2024, 10.1186/s13244-023-01572-w) and CLEAR (B. Kocak et al., "CheckList for
EvaluAtion of Radiomics research", 2023, 10.1186/s13244-023-01415-8); ``source`` names where each comes from, CLEAR
without numbers. It is an aid for filling those in, not one of them, and no score is made of it.
"""

from __future__ import annotations

from dataclasses import dataclass

DATA, IMAGE, FEATURES = "Patients and outcome", "Images and segmentation", "Features"
MODEL, RESULTS, OPEN = "Model and validation", "Results", "Openness and use"


@dataclass(frozen=True)
class Item:
    """One question.

    Attributes:
        key: short name; a fact of this name answers the item directly.
        section: heading.
        source: guideline and item number.
        question: what is asked.
        facts: names of the facts that answer it; all of them for a full answer.
        judge: name of a rule in :mod:`checklist` where having the facts is not enough; "" for none.
    """

    key: str
    section: str
    source: str
    question: str
    facts: tuple[str, ...] = ()
    judge: str = ""

    @property
    def for_authors(self) -> bool:
        """Whether only the authors can answer it."""
        return not self.facts


ITEMS = (
    Item(
        "setting",
        DATA,
        "TRIPOD+AI 5a, 6a; METRICS 4",
        "Where do the patients come from, and when and by whom were they treated?",
    ),
    Item(
        "eligibility",
        DATA,
        "TRIPOD+AI 6b; METRICS 2",
        "Who was included, who was not, and are they those the model is meant for?",
    ),
    Item("treatment", DATA, "TRIPOD+AI 6c", "Which treatment did they get, and may it change what is predicted?"),
    Item(
        "numbers",
        DATA,
        "TRIPOD+AI 20a, 21; CLEAR",
        "How many patients, tumours and events are there?",
        ("patients", "rows", "events"),
    ),
    Item(
        "outcome_definition",
        DATA,
        "TRIPOD+AI 8a; METRICS 3",
        "What is the outcome, when does its time begin, and who judged it without knowing the predictors?",
    ),
    Item("follow_up", DATA, "TRIPOD+AI 5b, 8a", "How long were patients followed?", ("outcome", "median_follow_up")),
    Item(
        "sample_size",
        DATA,
        "TRIPOD+AI 10; METRICS 16",
        "Are there events enough for the number of predictors tried?",
        ("events", "candidates"),
        "events_per_candidate",
    ),
    Item(
        "missing",
        DATA,
        "TRIPOD+AI 11; CLEAR",
        "What was missing, and how was it met?",
        ("missing_values", "missing_handling"),
    ),
    Item(
        "class_balance",
        DATA,
        "TRIPOD+AI 13",
        "How common is the event, and was the balance altered?",
        ("event_share", "balance_altered"),
    ),
    Item("interval", IMAGE, "METRICS 7", "How long before treatment or outcome was the image taken?"),
    Item("protocol", IMAGE, "METRICS 5, 6; CLEAR", "With which scanners and protocols were images acquired?"),
    Item("modality", IMAGE, "CLEAR", "Which modality are the features of?", ("modality",)),
    Item("segmentation", IMAGE, "METRICS 8 to 10; CLEAR", "Who or what segmented, and how well do two of them agree?"),
    Item(
        "preprocessing",
        IMAGE,
        "METRICS 11; CLEAR",
        "How were voxels resampled, grey values limited and grouped into bins?",
        ("resampling", "discretisation"),
    ),
    Item(
        "software",
        FEATURES,
        "METRICS 12; CLEAR",
        "With which software, version and standard were features computed?",
        ("software", "standard"),
    ),
    Item(
        "settings",
        FEATURES,
        "METRICS 13; CLEAR",
        "Are all settings of the extraction stated?",
        ("extraction_settings",),
    ),
    Item(
        "feature_count",
        FEATURES,
        "TRIPOD+AI 9a; CLEAR",
        "Which and how many features were candidates?",
        ("candidates", "feature_families", "filters"),
    ),
    Item(
        "robust",
        FEATURES,
        "METRICS 14; CLEAR",
        "Were features left out that do not hold when the segmentation or image varies?",
        ("stability_filter",),
    ),
    Item("redundant", FEATURES, "METRICS 15; CLEAR", "Were redundant features left out?", ("redundancy_filter",)),
    Item(
        "harmonisation",
        FEATURES,
        "TRIPOD+AI 7, 12d; METRICS 19",
        "How were differences between centres or scanners met?",
        ("centres", "harmonisation"),
        "harmonised",
    ),
    Item(
        "volume",
        FEATURES,
        "METRICS 19, 24",
        "Was the effect held against tumour volume, and what is left of it?",
        ("volume_correlation", "volume_adjusted"),
    ),
    Item(
        "model",
        MODEL,
        "TRIPOD+AI 12c; CLEAR",
        "Which model was used, and how were its settings chosen?",
        ("model", "tuning"),
    ),
    Item(
        "partition",
        MODEL,
        "TRIPOD+AI 12a; METRICS 18",
        "Were patients parted before anything was learnt, all rows of a patient together?",
        ("validation", "split_by_patient", "leak_free"),
        "leak_free",
    ),
    Item(
        "inside", MODEL, "TRIPOD+AI 12b, 12c", "Which steps were learnt inside each training part?", ("steps_inside",)
    ),
    Item("repeats", MODEL, "TRIPOD+AI 12c; METRICS 26", "How often was the validation repeated?", ("folds", "repeats")),
    Item(
        "external",
        MODEL,
        "METRICS 27; TRIPOD+AI 16",
        "Was the model tested on patients of another centre or time?",
        ("external_validation",),
    ),
    Item(
        "simple_model",
        MODEL,
        "METRICS 24, 25; CLEAR",
        "Is it compared with clinical data, with volume, and with a simple model?",
        ("blocks",),
        "simple_blocks",
    ),
    Item("seed", MODEL, "CLEAR", "Can the run be repeated number for number?", ("seed", "version")),
    Item(
        "discrimination",
        RESULTS,
        "TRIPOD+AI 12e, 23a; METRICS 20",
        "Which scores of discrimination are given?",
        ("discrimination",),
    ),
    Item(
        "uncertainty",
        RESULTS,
        "TRIPOD+AI 23a; METRICS 21",
        "Do all scores have intervals, and how were these made?",
        ("intervals",),
    ),
    Item(
        "calibration",
        RESULTS,
        "TRIPOD+AI 12e, 23a; METRICS 22",
        "Was it looked at whether predicted risks come true?",
        ("calibration",),
    ),
    Item(
        "benefit",
        RESULTS,
        "TRIPOD+AI 12e; CLEAR",
        "What is acting on the model worth (decision curve)?",
        ("decision_curve",),
    ),
    Item("chance", RESULTS, "CLEAR", "What does the same procedure give on permuted outcomes?", ("permutation_null",)),
    Item("multiple", RESULTS, "CLEAR", "Were p-values adjusted for their number?", ("multiple_testing",), "adjusted"),
    Item(
        "cut", RESULTS, "TRIPOD+AI 15; CLEAR", "Where does a cut into groups come from?", ("threshold",), "training_cut"
    ),
    Item(
        "fairness",
        RESULTS,
        "TRIPOD+AI 3c, 14, 23b",
        "Does the model do equally well in groups of sex, age and origin?",
        ("subgroups",),
    ),
    Item(
        "specification",
        OPEN,
        "TRIPOD+AI 22; METRICS 30",
        "Is the model given so that others can apply it?",
        ("model_file",),
    ),
    Item("code", OPEN, "TRIPOD+AI 18f; METRICS 29", "Is the analysis code open?", ("code",)),
    Item("data_sharing", OPEN, "TRIPOD+AI 18e; METRICS 28", "Can others have images, segmentations or features?"),
    Item("ethics", OPEN, "TRIPOD+AI 17", "Which ethics committee approved, and did patients consent?"),
    Item("protocol_registered", OPEN, "TRIPOD+AI 18c, 18d", "Were protocol and analysis plan registered beforehand?"),
    Item("funding", OPEN, "TRIPOD+AI 18a, 18b", "Who paid, and who has which interests?"),
    Item("involvement", OPEN, "TRIPOD+AI 19", "Were patients or the public involved?"),
    Item("limits", OPEN, "TRIPOD+AI 25, 26", "What do the results mean, and what are their limits?"),
    Item(
        "use",
        OPEN,
        "TRIPOD+AI 3a, 3b, 27",
        "Who would use the model, at which point of care, and what is still to be shown?",
    ),
    Item("guideline", OPEN, "METRICS 1", "Which guideline was followed from the design on?"),
)

FACTS = {
    "patients": "number of patients",
    "rows": "number of tumours (rows)",
    "events": "number of events, or of rows with the label",
    "outcome": "name of the outcome and unit of time",
    "median_follow_up": "median follow-up (reverse Kaplan-Meier), with its unit",
    "candidates": "number of candidate features before selection",
    "missing_values": "how many values were missing",
    "missing_handling": "how they were met",
    "event_share": "share of rows with the event or label",
    "balance_altered": "how, or that it was not",
    "modality": "CT, MR, PET, ...",
    "resampling": "voxel size and interpolation",
    "discretisation": "bin width or number of bins",
    "software": "name and version",
    "standard": "IBSI mode or conventions followed",
    "extraction_settings": "all settings, as text or mapping",
    "feature_families": "families of features",
    "filters": "image filters",
    "stability_filter": "which, with its limit; False where there was none",
    "redundancy_filter": "which, with its limit; False where there was none",
    "centres": "number of centres or scanners",
    "harmonisation": "which; False where there was none",
    "volume_correlation": "correlation with volume",
    "volume_adjusted": "effect beside volume",
    "model": "kind of model",
    "tuning": "how its settings were chosen",
    "validation": "scheme",
    "split_by_patient": "True where rows of a patient stay together",
    "leak_free": "True where every step that learns is fitted on training patients only",
    "steps_inside": "steps fitted inside each training part",
    "folds": "number of outer folds",
    "repeats": "number of repeats",
    "external_validation": "cohort and its scores; False where there was none",
    "blocks": "models compared, by name",
    "seed": "of everything random",
    "version": "of this software",
    "discrimination": "scores of discrimination",
    "intervals": "how intervals were made",
    "calibration": "scores of calibration; False where there were none",
    "decision_curve": "True or a summary; False where there was none",
    "permutation_null": "number of permutations and p; False where there were none",
    "multiple_testing": "adjustment, and what was not adjusted; False where there was none",
    "threshold": "where the cut comes from (training, test, none)",
    "subgroups": "scores by group; False where there were none",
    "model_file": "where the fitted model is",
    "code": "where the code is",
}
"""What each fact of a run is. The key of an item is a fact, too: an author's own answer."""
