"""The sections of the MVCTConvert page, one per part, from ``results.json``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from Training.experiments.brain_claims import interval
from Training.experiments.mvct_names import METRICS, digits, title
from Training.experiments.mvct_quality import ERRORS, PUBLISHED
from Training.experiments.slices_markdown import table
from Training.mvct_evaluate_doubt import MEANINGS as DOUBT

Results = Mapping[str, Any]
GROUPS = (
    ("Errors against the true kVCT", ("mae_hu", "psnr_db", "ssim", "ms_ssim")),
    ("Contours by fixed HU limits, against those on the true kVCT", ("dice_fat", "dice_soft", "dice_bone",
                                                                     "border_mm_soft", "border_mm_bone")),
    ("Contrast to noise, and tissues", ("cnr_muscle_fat", "cnr_bone_fat", "cnr_bone_muscle", "hu_fat", "hu_muscle",
                                        "hu_bone")),
    ("Distortion, resolution and noise", ("dig_a", "dig_b", "mtf50", "mtf10", "noise_hu", "noise_frequency")),
)  # fmt: skip


def amount(part: Results) -> list[str]:
    """DIG, CNR and MAE against the number of slices."""
    used = ", ".join(f"{n} ({count})" for n, count in part["used"].items())
    lines = [
        f"Source slices (of so many patients): {used}; kVCT of {part['targets']} other patients, the same for all. "
        f"{part['patients']} test patients, {part['seeds']} trainings of every arm, each with as many steps; an "
        f"arm took {part['arm_s']:.0f} s to train on average. DIG-a is the mean over the body of the magnitude of "
        "the difference in gradient between input and output, DIG-b the same in flat regions. The least "
        "DIG is that of an output equal to the input, and the true kVCT has one too, for it has other noise, sharpness "
        "and contrast: DIG is to be read with CNR and MAE.",
        "",
    ]
    for metric in ("dig_a", "dig_b", "cnr_muscle_fat", "mae_hu"):
        rows = [
            [title(method), *(interval(found[str(n)][metric], digits(metric)) for n in part["amounts"])]
            for method, found in part["rows"].items()
        ]
        first = interval(part["input"][metric], digits(metric))
        true = f"; true kVCT {interval(part['truth'][metric], digits(metric))}" if metric in part["truth"] else ""
        lines += [f"**{METRICS[metric]}** (input {first}{true})", ""]
        lines += table(["converter", *(f"{n} slices" for n in part["amounts"])], rows)
    for method, paired in part["paired"].items():
        rows = [
            [METRICS[m], *(interval(paired[str(n)][m], digits(m), sign=True) for n in part["amounts"])]
            for m in ("dig_a", "dig_b", "cnr_muscle_fat", "mae_hu")
        ]
        lines += [f"**Plain CycleGAN less {title(method)}**, same test patients, trainings averaged", ""]
        lines += table(["metric", *(f"{n} slices" for n in part["amounts"])], rows)
    return [*lines, "![Distortion against slices](images/mvct_amount.png)", ""]


def quality(part: Results, kind: str = "mvct") -> list[str]:
    """Every converter by every metric."""
    lines: list[str] = [f"{part['patients']} test patients.", ""]
    for words, metrics in GROUPS:
        rows = [[title(name), *(interval(row[m], digits(m)) for m in metrics)] for name, row in part["rows"].items()]
        if any(m in part["truth"] for m in metrics):
            true = [interval(part["truth"].get(m), digits(m)) for m in metrics]
            rows.append([title("kvct"), *true])
        lines += [f"**{words}**", "", *table(["converter", *(METRICS[m] for m in metrics)], rows)]
    rows = [
        [title(name), *(interval(found[m], digits(m), sign=True) for m in ERRORS)]
        for name, found in part["gain"].items()
    ]
    lines += ["**Less the input**, patient by patient", "", *table(["converter", *(METRICS[m] for m in ERRORS)], rows)]
    if kind == "mvct":
        lines += _published(part)
    lines += _trust(part.get("uncertainty") or {})
    prefix = "mvct_cbct" if kind == "cbct" else "mvct"
    return [
        *lines, _trained(part), "", f"![Noise and resolution](images/{prefix}_curves.png)", "",
        f"![One test patient](images/{prefix}_examples.png)", "",
    ]  # fmt: skip


def cbct(part: Results) -> list[str]:
    """The same for cone-beam CT."""
    return quality(part, "cbct")


def _published(part: Results) -> list[str]:
    rows = []
    for metric, (before, after, true) in PUBLISHED.items():
        main = part["rows"][part["main"]][metric]
        here = [interval(value, 1) for value in (part["rows"]["input"][metric], main, part["truth"][metric])]
        rows.append([
            METRICS[metric], f"{before} → {after}" + (f" ({true})" if true else ""),
            f"{here[0]} → {here[1]} ({here[2]})",
            f"{interval(part['share_of_truth'][part['main']][metric], 0, 100)} %",
        ])  # fmt: skip
    header = ["CNR", "published, input → converted (kVCT)", "here, the same", "here, share of the kVCT's"]
    return [
        f"**Contrast to noise beside the published values** of Vinas et al. (Med Phys 2021, 10.1002/mp.14616, 120 "
        f"patients of another scanner, regions drawn by hand); here {title(part['main'])}", "", *table(header, rows),
    ]  # fmt: skip


def _trust(found: Results) -> list[str]:
    """How often the error lies within the stated uncertainty."""
    if not found:
        return []
    rows = [[DOUBT[name], interval(value, 1 if "hu" in name else 3)] for name, value in found["rows"].items()]
    return [
        f"**Uncertainty of {title(found['converter'])}**, over mirrored copies, with the factor that the model holds",
        "", *table(["number", "found"], rows),
    ]  # fmt: skip


def _trained(part: Results) -> str:
    told = [
        f"{title(name)}: {record['weights']:,} weights, {record['steps']:,} steps, {record['duration_s']:.0f} s"
        for name, record in part["networks"].items() if record
    ]  # fmt: skip
    return "Trained once each: " + "; ".join(told) + "." if told else "No network was trained for this part."


def hallucination(part: Results) -> list[str]:
    """Lesions recovered, lost and invented."""
    lines = [
        f"Balls were put into the kVCT of {part['patients']} test patients at places of soft tissue, scanned with and "
        "without by the same simulated scanner with the same noise, and converted. Recovered is the contrast after "
        f"conversion over the true one (1 is right); a lesion counts as lost below {part['lost_below']:g}. Invented "
        f"is a contrast of {part['invented_from_hu']:g} HU or more, beyond the kVCT's own, at a place without lesion. "
        "The input's row says what the megavoltage scan itself shows: contrast it lost cannot come back, and noise "
        "that looks like a lesion there is not the converter's.",
        "",
    ]
    names = list(part["recovered"])
    for size in part["sizes"]:
        rows = [
            [title(name), *(_lesion(part["recovered"][name][f"{size:g}|{hu:g}"]) for hu in part["contrasts"])]
            for name in names
        ]
        lines += [f"**Diameter {size:g} mm**: share recovered, lost of all", ""]
        lines += table(["converter", *(f"{hu:+g} HU" for hu in part["contrasts"])], rows)
    header = ["converter", *(f"{size:g} mm" for size in part["sizes"]), "change far from lesions, HU"]
    rows = [
        [title(name), *(_drawn(part["invented"][name][f"{s:g}"]) for s in part["sizes"]),
         interval(part["elsewhere_hu"][name], 2)]
        for name in names
    ]  # fmt: skip
    return [
        *lines, "**Invented**: places of all, mean size of the contrast", "", *table(header, rows),
        "![Lesions recovered](images/mvct_lesions.png)", "",
    ]  # fmt: skip


def _lesion(cell: Results) -> str:
    return f"{interval(cell['recovered'], 2)}; {cell['lost']}/{cell['lesions']}" if cell["lesions"] else "–"


def _drawn(cell: Results) -> str:
    if not cell["places"]:
        return "–"
    return f"{cell['invented']}/{cell['places']}; {cell['mean_hu']:.1f} HU"


def gate(part: Results) -> list[str]:
    """ROC of the gate."""
    auc, caught, false = part["auc"], part["caught"], part["false_alarms"]
    rows = [
        [words, interval(auc[stage], 3), interval(caught[stage], 0, 100), interval(false[stage], 0, 100)]
        for stage, words in (("before", "input alone"), ("after", "with the conversion"))
    ]
    lines = [
        f"{part['patients']} good inputs (test patients) and {auc['before'][3]} corrupted or foreign ones; the model "
        f"is {title(part['network'])}. A flag counts as an alarm, and so does a refusal; good inputs with dental metal "
        "or a cut body are flagged too, as they should be. The checks were designed with such faults in mind: others "
        "may be found less often.",
        "", *table(["stage", "area under the ROC curve", "caught, %", "false alarms, %"], rows),
    ]  # fmt: skip
    why = [case["after"]["why"] for case in part["cases"] if case["name"] == "good" and case["after"]["why"]]
    reasons = ", ".join(f"{reason} ({why.count(reason)})" for reason in dict.fromkeys(why)) or "nothing"
    lines += [f"First reason for which good inputs were flagged or refused: {reasons}.", ""]
    rows = []
    for name, found in part["inputs"].items():
        area = part["auc_by_input"].get(name, {})
        levels = " / ".join(str(found["after"][level]) for level in ("ok", "flag", "refuse"))
        cells = [interval(area[stage], 2) if stage in area else "–" for stage in ("before", "after")]
        rows.append([name.replace("_", " "), *cells, levels])
    header = ["input", "area, input alone", "area, with the conversion", "passed / flagged / refused"]
    return [*lines, *table(header, rows), "![ROC of the gate](images/mvct_gate.png)", ""]


def dose(part: Results) -> list[str]:
    """No-harm tables."""
    names = list(part["rows"])
    rows = [
        [q, interval(part["reference"][q], 2), *(interval(part["rows"][name].get(q), 2, sign=True) for name in names)]
        for q in part["reference"]
    ]
    lines = [
        f"{part['beams']} beams on a ball of {part['target_mm']:g} mm radius in the middle of {part['patients']} test "
        f"patients, {part['slices']} slices; a simple dose for comparison, not for planning. Differences from the true "
        "kVCT with the kV table; doses in percent of the prescribed dose, depth in mm, gamma as what is lacking to "
        "100 %. Megavoltage HU are electron density already: the input with its own table is what a conversion must "
        "not be worse than. The tables and the simulated scanners rest on the same tissues (ICRU-44), so that the true "
        "kVCT's density is nearly exact here; that of real scanners is not.",
        "", *table(["number", "true kVCT", *(title(name) for name in names)], rows),
    ]  # fmt: skip
    tissues = list(next(iter(part["density"].values())))
    rows = [
        [title(name), *(interval(found[t]["percent"], 2, sign=True) for t in tissues)]
        for name, found in part["density"].items()
    ]
    header = ["image and table", *tissues]
    return [
        *lines,
        "**Relative electron density**, difference from the true kVCT's in percent of water's",
        "",
        *table(header, rows),
    ]
