"""The four parts of the BrainSeg page; see :mod:`Training.experiments.brain_report`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from Training.brain_tests import FEWEST_CASES
from Training.experiments import brain_learned
from Training.experiments.brain_angio import ALONE, INPUTS
from Training.experiments.brain_bench import LOSSES
from Training.experiments.brain_cases import PLACES
from Training.experiments.brain_claims import interval
from Training.experiments.brain_examples import CONTRAST, LABELS
from Training.experiments.slices_markdown import number, table

Results = Mapping[str, Any]


# --- losses -----------------------------------------------------------------------------------------------------------


def losses(part: Results, pictures: set[str]) -> list[str]:
    """Rankings and tables of every problem."""
    lines = [
        "Twelve losses, on heavy T2. The source's ranking tests every pair of losses with Wilcoxon's test on every "
        "structure and metric without adjustment and counts how many losses are significantly worse; Holm's adjusts "
        "for the pairs, Conover's and Nemenyi's follow Friedman's test. Patients' means over trainings are the unit; "
        "four metrics are ranked (Dice, surface Dice at 1 mm, mean surface distance, 95th percentile of the Hausdorff "
        "distance). The source's constants are not stated in what could be read: `Training/brain_losses.py`.",
        "",
    ]
    for name, problem in part["problems"].items():
        lines += _problem(name, problem)
    return [
        *lines,
        "![Dice by loss](images/brain_losses.png)",
        "",
        "It does not show: how the losses compare on patients' images, in larger networks, or with tuned constants and "
        "learning rates; every loss had the same.",
        "",
    ]


def _problem(name: str, problem: Results) -> list[str]:
    tests = ("published", "holm", "conover", "nemenyi")
    header = (
        "loss", "Dice", "HD95 mm", "SD of Dice, heads", "SD, trainings", "missed %",
        *(f"{test}: rank (worse ones)" for test in tests),
    )  # fmt: skip
    rows = []
    for loss, row in problem["losses"].items():
        cells = [_rank(problem["rankings"][test], loss) for test in tests]
        spread = [number(row["sd_heads"], 3), number(row["sd_seeds"], 3), _share(row["missed"])]
        rows.append((loss, interval(row["dice"]), interval(row["hd95_mm"], 1), *spread, *cells))
    notes = [text for test in tests for text in problem["rankings"][test].get("warnings", [])]
    reasons = {problem["rankings"][test].get("reason", "") for test in tests} - {""}
    return [
        f"### {name[0].upper() + name[1:]}",
        "",
        f"Structures: {', '.join(problem['structures'])}. n = {problem['heads']} test heads (fewer than {FEWEST_CASES} "
        "are not ranked). In brackets: the mean number of losses that are significantly worse, over structures and "
        "metrics; losses with the same number share a rank. Missed: Dice below 0.01. Rows below the twelve are other "
        "readings and are not ranked.",
        "",
        *table(header, rows),
        *(f"- {note}" for note in dict.fromkeys([*notes, *sorted(reasons), *brain_learned.losses(problem)])),
        "",
        *(_by_structure(problem) if len(problem["structures"]) > 1 else []),
    ]


def _by_structure(problem: Results) -> list[str]:
    names = problem["structures"]
    rows = [(loss, *(interval(row["metrics"][s]["dice"]) for s in names)) for loss, row in problem["losses"].items()]
    return ["Dice by structure:", "", *table(("loss", *names), rows)]


def _rank(ranking: Results, loss: str) -> str:
    if loss not in LOSSES or "rank" not in ranking:
        return "–"
    return f"{ranking['rank'][loss]:g} ({ranking['score'][loss]:.1f})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f}"


# --- skips ------------------------------------------------------------------------------------------------------------


def skips(part: Results, pictures: set[str]) -> list[str]:
    """Tables of every share of labelled slices."""
    weights = ", ".join(f"{name} {count:,}" for name, count in part["parameters"].items())
    slices = ", ".join(f"{100 * float(key):g} %: {count}" for key, count in part["slices"].items())
    lines = [
        f"All structures at once on heavy T2, clean labels. Weights: {weights}. Labelled slices over all training heads"
        f": {slices}; every arm saw the same number of crops. Large: cerebrum and cerebellum; small: brainstem, "
        "ventricles and vessels.",
        "",
        *_notes(brain_learned.skips(part)),
    ]
    for key, cell in part["fractions"].items():
        names = list(next(iter(cell["patterns"].values()))["metrics"])
        header = ("pattern", "large", "small", *names, "large HD95 mm", "small HD95 mm")
        rows = [
            (pattern, interval(row["large"]), interval(row["small"]),
             *(interval(row["metrics"][s]["dice"]) for s in names),
             interval(row["large_hd95_mm"], 1), interval(row["small_hd95_mm"], 1))
            for pattern, row in cell["patterns"].items()
        ]  # fmt: skip
        lines += [f"### {100 * float(key):g} % of slices labelled (Dice)", "", *table(header, rows)]
        lines += [f"Differences in points of Dice; {HOLM}:", "", *_tests(cell["tests"])]
    return [
        *lines,
        "![Dice by pattern](images/brain_skips.png)",
        "",
        "It does not show: the follow-up's basal ganglia, which these labels do not have. The patterns differ in their "
        "number of weights, as in the source.",
        "",
    ]


def _notes(notes: Sequence[str]) -> list[str]:
    """Every text as a paragraph that stands out."""
    return [line for note in notes for line in (f"**{note}**", "")]


HOLM = "Wilcoxon's test over heads, p adjusted by Holm within a column of tests"


def _tests(tests: Mapping[str, Sequence[Results]], scale: float = 100, digits: int = 1) -> list[str]:
    """Groups side by side: difference and adjusted p."""
    groups = list(tests)
    header = ("comparison", *(f"{g}{end}" for g in groups for end in ("", ", p")))
    rows = []
    for lines in zip(*tests.values(), strict=True):
        cells = [c for row in lines for c in (interval(row["difference"], digits, scale, True), f"{row['p_holm']:.2g}")]
        rows.append((f"{lines[0]['first']} − {lines[0]['second']}", *cells))
    return table(header, rows)


# --- labels -----------------------------------------------------------------------------------------------------------

METHOD_NOTES = (
    "- `slices`: the source's. A 2-D network learns the kept slices of all training heads and predicts every slice.",
    "- `partial`: a 3-D U-Net learns the same slices with cross-entropy and Dice over labelled voxels, as nnU-Net's "
    "ignore label does. In two dimensions, leaving slices out is the same as ignoring them.",
    "- `sparse3d`: a 3-D U-Net with class weights, unlabelled voxels weighing nothing (Çiçek 2016).",
    "- `shape`: signed distances interpolated between kept slices; no image, so nothing for held-out heads.",
)


def labels(part: Results, pictures: set[str]) -> list[str]:
    """Tables of every kind of fault."""
    settings = part["about"]["experiment"]
    training, test = part["heads"]
    lines = [
        "Slices of the training heads are kept so that no two are neighbours (below one half); their labels have "
        f"faults of their own: edges moved by up to {settings['edge_px']} pixels, slices shifted by up to "
        f"{settings['shift_px']}, {settings['leaks']} leaks per head, or all three (mixed). Rebuilt: Dice of the whole "
        f"rebuilt label of a training head against its clean truth (n = {training}). Held-out: of the same network on "
        f"test heads (n = {test}). Both are means over the five structures. Loss of `slices`: {settings['base_loss']}.",
        "",
        *(note for note in METHOD_NOTES if note.split("`")[1] in part["methods"]),
        "",
        *_about_3d(part),
        *_notes(brain_learned.labels(part)),
    ]
    for noise, cell in part["noises"].items():
        lines += _noise(noise, cell)
    if LABELS in pictures:
        lines += [f"![Labels across slices](images/{LABELS})", ""]
    return [
        *lines,
        "![Dice by method and share](images/brain_labels.png)",
        "",
        "It does not show: faults that readers repeat from slice to slice, which no rebuilding can find; nor nnU-Net "
        "itself, of which only the loss was taken.",
        "",
    ]


def _about_3d(part: Results) -> list[str]:
    """What 3-D networks saw, or that there were none."""
    left_out = [name for name in ("partial", "sparse3d") if name not in part["methods"]]
    lines = [f"Left out here: {' and '.join(left_out)}, 3-D baselines.", ""] if left_out else []
    if len(left_out) == 2:
        return lines
    recipe = part["about"]["recipe"]
    return [
        *lines,
        f"The 3-D networks saw {recipe['items_3d']} crops of {recipe['crop_3d']} per epoch, {recipe['batch_3d']} at a "
        "time.",
        "",
    ]


def _noise(noise: str, cell: Results) -> list[str]:
    header = (
        "labelled",
        "method",
        "rebuilt",
        "held-out",
        "HD95 mm, held-out",
        "cerebrum, held-out",
        "vessels, held-out",
    )
    rows = []
    for key, methods in cell["fractions"].items():
        for method, row in methods.items():
            slices = f"{100 * float(key):g} % ({row['slices'][0]} of {row['slices'][1]})"
            held = row.get("test_of", {})
            whole = (interval(row["rebuilt"]), interval(row.get("test")), interval(row.get("test_hd95_mm"), 1))
            rows.append((slices, method, *whole, *(interval(held.get(name)) for name in ("cerebrum", "vessels"))))
    lines = [
        f"### Faults: {noise}",
        "",
        f"The painted labels themselves, were all slices kept: Dice {interval(cell['given_all'])}.",
        "",
        *table(header, rows),
    ]
    if cell["gains"]:
        tests = {kind: cell["gains"][kind] for kind in ("rebuilt", "test")}
        named = {words: [_share_pair(row) for row in tests[kind]] for kind, words in _KINDS.items()}
        lines += [f"`slices`, fewer slices against all (points of Dice; {HOLM}):", "", *_tests(named)]
    return [*lines, *_rivals(cell["rivals"])]


def _rivals(rivals: Mapping[str, Results]) -> list[str]:
    """The source's method against the others on the same slices."""
    rows = []
    for key, tests in rivals.items():
        held = {row["second"]: row for row in tests.get("test", [])}
        for row in tests.get("rebuilt", []):
            cells = [_difference(row), _difference(held.get(row["second"]))]
            rows.append((f"{100 * float(key):g} %", f"slices − {row['second']}", *(c for pair in cells for c in pair)))
    if not rows:
        return []
    header = ("labelled", "comparison", "rebuilt", "rebuilt, p", "held-out", "held-out, p")
    text = "`slices` against the others on the same slices (points of Dice; p adjusted by Holm within a share):"
    return [text, "", *table(header, rows)]


def _difference(row: Results | None) -> tuple[str, str]:
    """Points of Dice, and adjusted p."""
    return ("–", "–") if row is None else (interval(row["difference"], 1, 100, True), f"{row['p_holm']:.2g}")


_KINDS = {"rebuilt": "rebuilt", "test": "held-out"}


def _share_pair(row: Results) -> dict[str, Any]:
    return {**row, "first": f"{100 * float(row['first']):g} %", "second": "all slices"}


# --- contrast ---------------------------------------------------------------------------------------------------------


def contrast(part: Results, pictures: set[str]) -> list[str]:
    """Vessels by input, and the angiograms themselves."""
    settings = part["about"]["experiment"]
    paired, heads, test = part["heads"]
    epochs = settings["contrast_epochs"] or part["about"]["training"]["epochs"]
    maker, gan = part["about"]["pix2pix"], part["about"]["pix2pix_training"]
    lines = [
        f"Pix2Pix learned heavy T2 to angiography from {paired} heads in {gan['epochs']} epochs of "
        f"{paired * maker['slices_per_case']} crops, batches of {gan['batch_size']}"
        f"{_weighed(maker)}; vessels were learned from {heads} other heads, "
        f"the same for every input, with the loss {settings['vessel_loss']} in {epochs} epochs; n = "
        f"{test} test heads. Found: share of true vessel voxels, by what lies around them: fluid (cistern), brain "
        "(parenchyma), bone and soft tissue (elsewhere). In the phantom, heavy T2 shows a vessel as a void in fluid "
        "and not at all elsewhere: whatever is found there follows from where vessels usually run.",
        "",
        *_notes(brain_learned.contrast(part)),
        *_inputs(part),
        f"Differences in points; {HOLM}:",
        "",
        *_tests({_metric(name): rows for name, rows in part["tests"].items()}),
        "![Vessels found](images/brain_contrast.png)",
        "",
        *_synthesis(part["synthesis"]),
    ]
    if CONTRAST in pictures:
        lines += [f"![Angiograms and vessels](images/{CONTRAST})", ""]
    return [
        *lines,
        "It does not show: slow flow, aneurysms or stenoses; the phantom has none. A synthetic angiogram of a patient "
        "with unusual vessels shows usual ones.",
        "",
    ]


def _weighed(maker: Results) -> str:
    """How the training favours bright vessels, where it does."""
    if maker["bright_weight"] == 1 and maker["bright_share"] == 0:
        return ""
    return (
        f" ({100 * maker['bright_share']:g} % of them at bright voxels, which weigh {maker['bright_weight']:g} times "
        "in the difference; the source weighs all alike)"
    )


def _metric(name: str) -> str:
    return {"dice": "Dice", "cl_dice": "clDice"}.get(name, name.replace("recall_", "found, "))


def _inputs(part: Results) -> list[str]:
    header = ("input", "Dice", "clDice", "HD95 mm", *(f"found: {place}" for place in PLACES))
    rows = []
    for name in INPUTS:
        row = part["inputs"][name]
        metrics = [interval(row["metrics"][m], d) for m, d in (("dice", 3), ("cl_dice", 3), ("hd95_mm", 1))]
        rows.append((name, *metrics, *(interval(row["recall"][place], 2) for place in PLACES)))
    return table(header, rows)


def _synthesis(part: Results) -> list[str]:
    header = (
        "image", "PSNR dB", "SSIM", "overlap with the real one", *(f"bright vessels: {p}" for p in PLACES),
        *(f"area: {p}" for p in PLACES),
    )  # fmt: skip
    rows = []
    for name, row in part["images"].items():
        cells = [interval(row.get("psnr"), 1), interval(row.get("ssim")), interval(row["overlap"], 2)]
        seen = ["–" if name == ALONE else interval(row[f"seen_{place}"], 2) for place in PLACES]
        rows.append((name, *cells, *seen, *(interval(row[f"area_{place}"], 2) for place in PLACES)))
    return [
        f"The angiograms themselves, 0 to 1, without a network that segments. Bright: at least {part['level']:.2f}, "
        "where the real angiograms of the training heads agree best with their vessels; overlap: Dice of what is "
        "bright in both. Area: under the ROC curve of brightness for vessels among voxels of the same place; 0.5 is "
        "chance. Heavy T2 is given as it is for PSNR and SSIM, and inverted for the area.",
        "",
        *table(header, rows),
        "![What brightness tells](images/brain_synthesis.png)",
        "",
    ]
