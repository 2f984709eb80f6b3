"""Figures of the SPECT experiment, one function each, from plain arrays. All say that the patients are simulated.

The source's figures are KAKENHI 20K16705, figures 2 (scores), 3 (examples) and 4 (over-correction); the others show
what its text and table 2 say in numbers. Every function replaces a former figure and returns the path.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from manabi.errors import InvalidInputError
from manabi.plotting import colormaps, style
from manabi.plotting.page import Page, chart, line_height, set_font, text_width, wrap
from manabi.plotting.views import AXIAL, Look, letter, plane, show
from Training.agreement import bland_altman
from Training.resampling import Estimate, bootstrap_mean

FOOTER = "Simulated phantoms, not patients."
SOURCE_ORDER = (
    "Original (5 min)", "Gaussian", "Bilateral", "Non-local means", "BM3D",
    "U-Net(L1)", "U-Net(L2)", "U-Net(L3)", "U-Net(L4)", "U-Net(L5)",
    "V-Net", "U-Net++", "R2U-Net", "Attention U-Net", "TransUNET",
)  # fmt: skip
"""Methods from top to bottom as in the source's table 1, with the filters added here after the source's; others follow
in the order given."""
COLUMNS = 8
"""Images in one line of the grid of examples."""
SIDE = 24.0

Interval = tuple[float, float, float] | Estimate


def in_order(methods: Sequence[str]) -> list[str]:
    """Methods in the source's order; unknown ones at the end, as given."""
    known = {name: place for place, name in enumerate(SOURCE_ORDER)}
    return sorted(methods, key=lambda name: known.get(name, len(known)))


# --- images -------------------------------------------------------------------------------------------


def draw_examples(cases: Sequence[tuple[str, Mapping[str, np.ndarray]]], path: Path) -> Path:
    """Patients (rows) by methods (columns) on the middle slice, as readers saw them (the source's figure 3).

    Args:
        cases: per patient a title and, per method, ``(5, 64, 64)`` images from 0 to 1 in RAS order (see
            :func:`manabi.spect.paper.paper_images`). All patients have the same methods; these are drawn in the order
            of the first one.
        path: PNG to write.

    Raises:
        InvalidInputError: without cases, or where the methods of the cases differ.
    """
    methods = list(cases[0][1]) if cases else []
    if not methods or any(set(images) != set(methods) for _, images in cases):
        raise InvalidInputError("The examples need at least one case, and the same methods for every case.")
    across = -(-len(methods) // -(-len(methods) // COLUMNS))
    tile, gap, left = 170.0, 6.0, SIDE + 26
    page = Page(max(int(left + across * (tile + gap) + 76), 700))
    top = _title(page, "Examples on the hottest slice")
    for start in range(0, len(methods), across):
        shown = methods[start : start + across]
        for number, name in enumerate(shown):
            page.text(left + number * (tile + gap) + tile / 2, top + 12, name, align="center", bold=True)
        top += 26
        first = top
        for title, images in cases:
            page.text(SIDE + 8, top + tile / 2, title, align="center", rotation=90)
            for number, name in enumerate(shown):
                _slice(page, left + number * (tile + gap), top, tile, np.asarray(images[name]))
            top += tile + gap
        x = left + len(shown) * (tile + gap) + 6
        page.color_bar(x, first + 6, tile - 12, colormaps.cool(), (0.0, 1.0), "share of maximum")
        top += 8
    text = "Every image is divided by its maximum. The patient's right (R) is on the left. Colours: ImageJ's Cool."
    return _finish(page, top, path, text)


def draw_over_correction(
    pair: Sequence[tuple[str, np.ndarray]], numbers: Mapping[str, Sequence[float]], alert: str, path: Path
) -> Path:
    """An over-corrected case beside its full-time scan (the source's figure 4), and what the alert said.

    Args:
        pair: title and image of each panel; the first is the full-time scan, the last the denoised one, between them
            for example the short scan. ``(rows, columns)`` or ``(slices, rows, columns)`` (the middle one is shown), 0
            to 1 in RAS order, all of one shape.
        numbers: per quantity its value in each panel, for example binding ratios.
        alert: text of the alert that the case raised.
        path: PNG to write.
    """
    if len(pair) < 2 or any(len(values) != len(pair) for values in numbers.values()):
        raise InvalidInputError("The figure needs at least two images, and every number once per image.")
    images = [_middle(np.asarray(image, float)) for _, image in pair]
    tile, gap = 330.0, 12.0
    left = SIDE + max([text_width(name, style.HEADING) + 20 for name in numbers], default=0.0)
    page = Page(int(left + SIDE + (len(pair) + 1) * (tile + gap) + 130))
    top = _title(page, "Over-correction: found by the alert")
    for number, ((title, _), image) in enumerate(zip(pair, images, strict=True)):
        x = left + number * (tile + gap)
        page.text(x + tile / 2, top + 12, title, style.HEADING, bold=True, align="center")
        _slice(page, x, top + 28, tile, image)
    x = left + len(pair) * (tile + gap)
    page.color_bar(x - 2, top + 40, tile - 24, colormaps.cool(), (0.0, 1.0), "share of maximum")
    x += 70
    limit = float(np.abs(images[-1] - images[0]).max()) or 1.0
    page.text(x + tile / 2, top + 12, f"{pair[-1][0]} − {pair[0][0]}", style.HEADING, bold=True, align="center")
    _slice(page, x, top + 28, tile, images[-1] - images[0], Look(colormaps.change(), -limit, limit, style.INK))
    page.color_bar(x + tile + 8, top + 40, tile - 24, colormaps.change(), (-limit, limit), "difference")
    top = _numbers(page, top + tile + 40, numbers, [left + n * (tile + gap) + tile / 2 for n in range(len(pair))])
    return _finish(page, _alert_box(page, top, alert) + 8, path)


def _numbers(page: Page, top: float, numbers: Mapping[str, Sequence[float]], centres: Sequence[float]) -> float:
    """Rows of numbers below their panels, with the quantity's name in front."""
    for name, values in numbers.items():
        for centre, value in zip(centres, values, strict=True):
            page.text(centre, top + 12, f"{value:.2f}".replace("-", "−"), style.HEADING, align="center")
        page.text(SIDE, top + 12, name, style.HEADING)
        top += 24
    return top + 6


def _alert_box(page: Page, top: float, alert: str) -> float:
    width = page.width - 2 * SIDE
    lines = wrap(alert, width - 32)
    height = len(lines) * line_height() + 16
    page.box(SIDE, top, width, height, style.ALERT, style.ALERT_FILL)
    for number, line in enumerate(lines):
        page.text(SIDE + 16, top + 8 + (number + 0.5) * line_height(), line, color=style.ALERT)
    return top + height


def _middle(image: np.ndarray) -> np.ndarray:
    return image[len(image) // 2] if image.ndim == 3 else image


def _slice(page: Page, left: float, top: float, tile: float, image: np.ndarray, look: Look | None = None) -> None:
    """A square axial slice in radiological convention."""
    look = look or Look(colormaps.cool(), 0.0, 1.0)
    axes = page.axes(left, top, tile, tile, style.RULE)
    show(axes, plane(_middle(image)[None], AXIAL, 0), (1.0, 1.0), look)
    letter(axes, AXIAL, look.letters)


# --- scores -------------------------------------------------------------------------------------------


def draw_scores(ssim: Mapping[str, np.ndarray], psnr: Mapping[str, np.ndarray], path: Path) -> Path:
    """SSIM and PSNR of every method: patients, quartiles, and the mean with its interval (the source's figure 2).

    Args:
        ssim: per method one value per patient, ``(n,)``.
        psnr: the same in dB.
        path: PNG to write.
    """
    if set(ssim) != set(psnr) or not ssim:
        raise InvalidInputError("The scores need the same methods for SSIM and PSNR.")
    if not all(np.isfinite(values).all() for table in (ssim, psnr) for values in table.values()):
        raise InvalidInputError("The scores need finite values; leave out what is not, and say so.")
    methods = in_order(list(ssim))
    names = max(text_width(name) for name in methods) + 14
    row, width = 34.0, 500.0
    left = SIDE + names
    page = Page(int(left + 2 * width + 170 + SIDE))
    counts = sorted({len(values) for values in ssim.values()})
    top = _title(page, f"Image quality against the full-time scan, {counts[-1]} simulated patients")
    height = row * len(methods)
    for number, (title, table) in enumerate((("SSIM", ssim), ("PSNR (dB)", psnr))):
        x = left + number * (width + 96)
        page.text(x + width / 2, top + 12, title, style.HEADING, bold=True, align="center")
        axes = chart(page, x, top + 28, width, height)
        _score_rows(axes, [np.asarray(table[name], float) for name in methods])
        for place, name in enumerate(methods):
            y = top + 28 + row * (place + 0.5)
            mean = float(np.mean(table[name]))
            page.text(x + width + 8, y, f"{mean:.3f}" if number == 0 else f"{mean:.2f}", style.BODY)
            if number == 0:
                page.text(x - 10, y, name, align="right")
    text = "Points: patients. Boxes: quartiles. Diamonds and numbers: mean with 95 % interval (patients resampled)."
    return _finish(page, top + height + 64, path, text)


def _score_rows(axes: Axes, rows: Sequence[np.ndarray]) -> None:
    rng = np.random.default_rng(0)
    for place, values in enumerate(rows):
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color=style.BAND, linewidth=0, zorder=0)
        low, middle, high = np.percentile(values, [25, 50, 75])
        axes.barh(place, high - low, 0.62, low, color="#c9d6e4", zorder=1)
        axes.plot([middle] * 2, [place - 0.31, place + 0.31], color=style.MUTED, linewidth=1.5, zorder=2)
        scatter = place + rng.uniform(-0.25, 0.25, len(values))
        axes.plot(values, scatter, ".", color=style.BEFORE, markersize=4, alpha=0.7, zorder=3)
        mean = bootstrap_mean(values, range(len(values))) if len(values) > 1 else None
        if mean is not None:
            axes.plot([mean.low, mean.high], [place] * 2, color=style.AFTER, linewidth=3, zorder=4)
        axes.plot([values.mean()], [place], "D", color=style.AFTER, markersize=6, zorder=5)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.grid(True, axis="x", color=style.RULE, linewidth=0.6, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    set_font(axes, style.BODY)


def draw_kappa(table: Mapping[str, Mapping[str, Interval]], path: Path) -> Path:
    """Agreement of every method's images with the full-time ones, per reader (the source's table 2).

    Args:
        table: per method and reader the quadratic kappa with its interval, ``(value, low, high)``.
        path: PNG to write.
    """
    if not table:
        raise InvalidInputError("There is no kappa to draw.")
    methods = in_order(list(table))
    readers = list(dict.fromkeys(reader for row in table.values() for reader in row))
    names = max(text_width(name) for name in methods) + 14
    row, width = 16.0 * len(readers) + 14, 700.0
    page = Page(int(SIDE * 2 + names + width))
    top = _title(page, "Agreement with the reading of the full-time scan", "Simulated phantoms and readers")
    for number, reader in enumerate(readers):
        color = style.SERIES[number % len(style.SERIES)]
        page.text(SIDE + names + number * 120, top + 10, f"● Reader {reader}", color=color)
    top += 28
    axes = chart(page, SIDE + names, top, width, row * len(methods))
    for place, method in enumerate(methods):
        page.text(SIDE + names - 10, top + row * (place + 0.5), method, align="right")
        if place % 2:
            axes.axhspan(place - 0.5, place + 0.5, color=style.BAND, linewidth=0, zorder=0)
        for number, reader in enumerate(readers):
            if reader in table[method]:
                y = place + (number - (len(readers) - 1) / 2) * 0.8 / len(readers)
                _whisker(axes, y, table[method][reader], style.SERIES[number % len(style.SERIES)])
    axes.set(ylim=(len(methods) - 0.5, -0.5))
    axes.grid(True, axis="x", color=style.RULE, linewidth=0.6, zorder=0)
    axes.set_xlim(min(0.0, axes.get_xlim()[0]), 1.0)
    _label(axes, "Quadratic kappa with 95 % interval")
    return _finish(page, top + row * len(methods) + 56, path, "The readers are simulated too: they are not people.")


def _whisker(axes: Axes, y: float, interval: Interval, color: str) -> None:
    value, low, high = (interval.value, interval.low, interval.high) if isinstance(interval, Estimate) else interval
    if np.isfinite([low, high]).all():
        axes.plot([low, high], [y, y], color=color, linewidth=2)
    axes.plot([value], [y], "o", color=color, markersize=7)


# --- binding ratios and the alert ------------------------------------------------------------------------


def draw_bland_altman(
    measured: np.ndarray,
    reference: np.ndarray,
    groups: Sequence[str],
    path: Path,
    patients: Sequence[object] | None = None,
) -> Path:
    """Binding ratios against those of the full-time scan: difference over mean, bias and limits, a panel per group.

    Args:
        measured: binding ratios, ``(n,)``.
        reference: those of the full-time scan.
        groups: which panel each pair belongs to, for example the method; panels in the order of appearance.
        path: PNG to write.
        patients: each pair's patient, for intervals by bootstrap of patients; without them pairs count as independent.
    """
    found, true, names = np.asarray(measured, float), np.asarray(reference, float), np.asarray(groups)
    if not found.shape == true.shape == names.shape or found.ndim != 1 or not len(found):
        raise InvalidInputError("Bland-Altman needs one measured value, one reference and one group per pair.")
    order = in_order(list(dict.fromkeys(names.tolist())))
    difference, mean = found - true, (found + true) / 2
    reach = 1.08 * max(float(np.abs(difference).max()), 1e-6)
    span = _padded(float(mean.min()), float(mean.max()))
    across, width, height = min(len(order), 3), 430.0, 330.0
    page = Page(int(SIDE + across * (width + 90) + SIDE))
    top = _title(page, "Binding ratios against the full-time scan")
    for number, name in enumerate(order):
        x, y = SIDE + 66 + (number % across) * (width + 86), top + (number // across) * (height + 106)
        page.text(x, y + 12, name, style.HEADING, bold=True)
        axes = chart(page, x, y + 50, width, height, ("bottom", "left"))
        chosen = names == name
        who = None if patients is None else [p for p, take in zip(patients, chosen, strict=True) if take]
        text = _agreement(axes, found[chosen], true[chosen], who)
        axes.set(xlim=span, ylim=(-reach, reach))
        _label(axes, "Mean of both binding ratios", "Difference (measured − full-time)")
        page.text(x, y + 34, text, style.SMALL, style.MUTED)
    top += -(-len(order) // across) * (height + 106)
    return _finish(page, top, path, "Bands: 95 % intervals of bias and limits.")


def _agreement(axes: Axes, found: np.ndarray, true: np.ndarray, patients: Sequence[object] | None) -> str:
    """Points, bias and limits of one panel; returns what they are in words."""
    axes.axhline(0, color=style.INK, linewidth=0.8)
    axes.plot((found + true) / 2, found - true, "o", color=style.BEFORE, markersize=4, alpha=0.6)
    if len(found) < 2:
        return f"n = {len(found)}: too few for limits"
    study = bland_altman(found, true, patients)
    for estimate, color, line in (
        (study.bias, style.AFTER, "-"), (study.lower_limit, style.ALERT, "--"), (study.upper_limit, style.ALERT, "--"),
    ):  # fmt: skip
        axes.axhspan(estimate.low, estimate.high, color=color, alpha=0.13, linewidth=0)
        axes.axhline(estimate.value, color=color, linewidth=1.4, linestyle=line)
    low, high = study.lower_limit.value, study.upper_limit.value
    return f"bias {study.bias.value:+.3f}, limits {low:+.3f} to {high:+.3f}, n = {study.count}".replace("-", "−")


def draw_roc(truth: np.ndarray, score: np.ndarray, auc_text: str, threshold: float, path: Path) -> Path:
    """How well the over-correction alert finds bad results: ROC curve with operating point, and the scores.

    Args:
        truth: whether each result was bad, ``(n,)``.
        score: the alert's score, largest change in noise SD.
        auc_text: area under the curve as it is to be written.
        threshold: score above which the alert is raised.
        path: PNG to write.

    Raises:
        InvalidInputError: unless there are bad results and good ones.
    """
    bad, scores = np.asarray(truth, bool), np.asarray(score, float)
    if bad.shape != scores.shape or not 0 < bad.sum() < len(bad):
        raise InvalidInputError("The ROC curve needs a score per result, and both good and bad results.")
    page = Page(1160)
    top = _title(page, "Over-correction alert: which denoised scans are too far from the truth?")
    axes = chart(page, SIDE + 60, top + 34, 440, 440, ("bottom", "left"))
    false, true = roc_curve(bad, scores)
    sensitivity, specificity = float((scores[bad] > threshold).mean()), float((scores[~bad] <= threshold).mean())
    axes.plot([0, 1], [0, 1], color=style.RULE, linewidth=1)
    axes.plot(false, true, color=style.AFTER, linewidth=2, clip_on=False)
    axes.plot([1 - specificity], [sensitivity], "o", color=style.ALERT, markersize=9, clip_on=False, zorder=5)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    _label(axes, "1 − specificity", "Sensitivity")
    page.text(SIDE + 60, top + 16, f"AUC {auc_text}", style.HEADING, bold=True)
    page.text(SIDE + 230, top + 400, f"● at {threshold:g} noise SD:", color=style.ALERT)
    page.text(SIDE + 230, top + 422, f"sensitivity {sensitivity:.2f}, specificity {specificity:.2f}", color=style.ALERT)
    _strips(page, 640, top, bad, scores, threshold)
    return _finish(page, top + 540, path)


def roc_curve(truth: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False and true positive rates from (0, 0) to (1, 1), one point per distinct score."""
    order = np.argsort(-score, kind="stable")
    hits, values = truth[order], score[order]
    last = np.append(np.flatnonzero(np.diff(values)), len(values) - 1)
    true, false = np.cumsum(hits)[last] / hits.sum(), np.cumsum(~hits)[last] / (~hits).sum()
    return np.concatenate([[0.0], false]), np.concatenate([[0.0], true])


def _strips(page: Page, left: float, top: float, bad: np.ndarray, scores: np.ndarray, threshold: float) -> None:
    """The scores of good and bad results side by side, with the threshold."""
    page.text(left, top + 16, "Score of every result", style.HEADING, bold=True)
    axes = chart(page, left + 40, top + 34, 440, 440, ("bottom", "left"))
    rng = np.random.default_rng(0)
    for place, (name, chosen, color) in enumerate((("good", ~bad, style.AFTER), ("too far off", bad, style.ALERT))):
        values = scores[chosen]
        axes.plot(place + rng.uniform(-0.28, 0.28, len(values)), values, "o", color=color, markersize=4, alpha=0.5)
        page.text(left + 40 + 440 * (place + 0.5) / 2, top + 492, f"{name} (n = {len(values)})", align="center")
    axes.axhline(threshold, color=style.INK, linewidth=1.2, linestyle="--")
    axes.set(xlim=(-0.5, 1.5), ylim=(0, 1.06 * max(float(scores.max()), threshold)))
    axes.set_xticks([])
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    _label(axes, "", "Largest change, in noise SD")


# --- shared -----------------------------------------------------------------------------------------------


def _title(page: Page, text: str, badge: str = "Simulated phantoms") -> float:
    """The figure's title, and below it what the data are; returns where the figure may start."""
    page.text(SIDE, 28, text, style.TITLE, bold=True)
    page.text(SIDE, 54, badge, style.HEADING, style.NOTICE, bold=True)
    return 72.0


def _finish(page: Page, top: float, path: Path, text: str = "") -> Path:
    """The footer, then the file."""
    page.paragraph(SIDE, top, f"{FOOTER} {text}".strip(), page.width - 2 * SIDE, style.SMALL, style.MUTED)
    return page.save(path)


def _label(axes: Axes, x: str, y: str = "") -> None:
    for axis in (axes.xaxis, axes.yaxis):
        if (axis is axes.xaxis and x) or (axis is axes.yaxis and y):
            axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    font = style.font(style.BODY)
    axes.set_xlabel(x, fontproperties=font, color=style.INK)
    axes.set_ylabel(y, fontproperties=font, color=style.INK)
    set_font(axes, style.BODY)


def _padded(low: float, high: float) -> tuple[float, float]:
    pad = 0.05 * (high - low) or 0.1
    return low - pad, high + pad
