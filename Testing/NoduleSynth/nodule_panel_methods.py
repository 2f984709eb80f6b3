"""NoduleSynth as the panel sees it, without a network; loaded by worker and batch processes by name."""

from __future__ import annotations

import time

import numpy as np

from manabi.errors import InvalidInputError
from manabi.method import InputSpec, Method
from manabi.nodule import operating
from manabi.nodule.parameters import NoduleParameters
from manabi.result import Code, Labelmap, Landmark, Result, Segment, Table
from manabi.volume import Volume

NAMES = {"quick-nodule": "Quick", "slow-nodule": "Slow"}
REGISTERED = ",".join(f"{name}=nodule_panel_methods:{cls}" for name, cls in NAMES.items())
CURVE = operating.Curve.of({"operating_points": [
    {"false_positives": n, "threshold": t, "sensitivity": s, "ci95": [s - 0.1, s + 0.1]}
    for n, t, s in ((0.05, 0.9, 0.2), (0.2, 0.8, 0.4), (1.0, 0.5, 0.6), (4.0, 0.1, 0.8))
]})  # fmt: skip
FOUND = ((0.25, 0.30, 0.95), (0.60, 0.75, 0.85), (0.45, 0.55, 0.55), (0.80, 0.30, 0.15))
"""Down, across (parts of the film) and score of what the stand-in finds in every film."""
SYNTHETIC = "Synthetic film: not for diagnosis."
CAUTION = "synthetic, not for diagnosis"
NOTE = "Bundle nodule-default 1.0.0: trained on simulated data; for research use."
LUNG = Segment(1, "right lung", (0.3, 0.6, 0.9), Code("3341006", "SCT", "Right lung"))
NODULE = Segment(1, "nodule", (0.9, 0.4, 0.2), Code("27925004", "SCT", "Nodule"))


class Quick(Method[NoduleParameters]):
    """Results of the right shape in a moment; what they are follows from film and parameters."""

    name = "quick-nodule"
    title = "NoduleSynth"
    summary = "a quick stand-in"
    source = "no study"
    inputs = (InputSpec("radiograph", "a frontal chest film", ("DX", "CR"), True, (1, 16, 16)),)
    parameters_type = NoduleParameters
    phantom = "radiograph"
    alert_prefixes = ("Synthetic", "Check ")

    def _run(self, inputs, parameters, context):
        context.progress(0.5, "Looking")
        film = inputs.get("radiograph")
        if parameters.task == "detect":
            if film is None:
                raise InvalidInputError("radiograph: expected a film; none was given. Choose one.")
            return self._detect(film, parameters)
        return self._synthesise(self._base(film, parameters, context), parameters, context)

    def _detect(self, film, parameters):
        _, rows, columns = film.shape
        heat, cells = np.zeros((rows, columns), np.float32), []
        down, across = np.mgrid[:rows, :columns]
        for number, (v, u, score) in enumerate(FOUND, 1):
            j, i = v * (rows - 1), u * (columns - 1)
            heat = np.maximum(
                heat, score * np.exp(-0.5 * ((down - j) ** 2 + (across - i) ** 2) / (9.0 + (rows / 40) ** 2))
            )
            place = (film.ijk_to_ras @ [i, j, 0, 1])[:3]
            lung = "right" if u < 0.5 else "left"
            cells.append((number, score, CURVE.false_positives(score), *map(float, place), lung, "upper", "clear lung",
                          10.0 + number))  # fmt: skip
        candidates = Table(operating.MARK_COLUMNS, tuple(cells))
        lungs = np.zeros(film.shape, np.uint8)
        lungs[:, rows // 4 : rows // 2, columns // 4 : columns // 2] = 1
        result = Result(
            volumes={"heat_map": Volume(heat.astype(np.float32)[None], film.ijk_to_ras, "DX", name="heat_map")},
            labelmaps={"lungs": Labelmap(film.like(lungs, source=None), (LUNG,))},
            tables={"candidates": candidates, "operating_points": CURVE.table()},
            measurements={"image_score": FOUND[0][2], "candidates": len(FOUND), "lungs": "both", "quality": "good",
                          "mean": float(film.array.mean())},
            warnings=[NOTE],
        )  # fmt: skip
        return operating.at(result, parameters.false_positives)

    def _base(self, film, parameters, context):
        if parameters.base == "input":
            if film is None:
                raise InvalidInputError("radiograph: expected a film; none was given. Choose one.")
            return film
        rng = np.random.default_rng(context.seed)
        return Volume(rng.uniform(0.2, 0.6, (1, 48, 40)).astype(np.float32), np.diag([-8.0, -8.0, 1.0, 1.0]), "DX")

    def _synthesise(self, film, parameters, context):
        _, rows, columns = film.shape
        rng = np.random.default_rng(context.seed)
        asked = [tuple(map(float, part.split(","))) for part in parameters.place.split(";") if part]
        inverse = np.linalg.inv(film.ijk_to_ras)
        places = [(inverse @ [*point, 1.0])[:2] for point in asked]
        places += [rng.uniform(0.3, 0.7, 2) * (columns, rows) for _ in range(max(parameters.count - len(asked), 0))]
        size = parameters.diameter_mm or float(rng.uniform(5, 35))
        array = np.asarray(film.array, np.float32)
        added, points, cells = np.zeros((rows, columns), np.float32), {}, []
        down, across = np.mgrid[:rows, :columns]
        radius = max(size / 2.0 / film.spacing_mm[0], 1.0)
        ratio = parameters.ratio if parameters.ratio >= 0 else float(rng.uniform(0.3, 1.0))
        for number, (i, j) in enumerate(places, 1):
            added = np.maximum(added, np.hypot(down - j, across - i) <= radius)
            place = tuple(map(float, (film.ijk_to_ras @ [i, j, 0, 1])[:3]))
            points[f"nodule_{number}"] = Landmark(str(number), place)
            cells.append((number, *place, size, "solid", 3, "clear lung", 2.0, ratio))
        change = ratio * 0.1 * np.ptp(array) * added[None]
        made = {"before": array, "after": array + change, "difference": change}
        columns_ = ("number", "r_mm", "a_mm", "s_mm", "diameter_mm", "density", "subtlety", "location",
                    "contrast_to_noise", "ratio")  # fmt: skip
        return Result(
            volumes={key: Volume(one.astype(np.float32), film.ijk_to_ras, "DX", name=key, caution=CAUTION)
                     for key, one in made.items()},
            labelmaps={"mask": Labelmap(film.like(added[None].astype(np.uint8), source=None), (NODULE,))},
            landmarks=points, tables={"nodules": Table(columns_, tuple(cells))},
            measurements={"nodules": len(places), "ratio": ratio}, warnings=[SYNTHETIC],
        )  # fmt: skip

    def draw(self, inputs, result, folder):
        return []

    def export(self, inputs, result, folder, image_format):
        film = inputs.get("radiograph")
        if image_format != "dicom" or "marks" not in result.tables or film is None or film.source is None:
            return {}
        folder.mkdir(parents=True)
        said = ";".join(str(row[0]) for row in result.tables["marks"].rows)
        report = folder / "chest-cad-sr.dcm"
        report.write_text(f"{film.source.instance_uids[0]}|{said}", encoding="utf-8")
        return {"cad_sr": [report]}


class Slow(Quick):
    """Takes its time."""

    name = "slow-nodule"

    def _run(self, inputs, parameters, context):
        for step in range(200):
            context.progress(step / 200, f"Step {step}")
            context.check_cancelled()
            time.sleep(0.05)
        return super()._run(inputs, parameters, context)
