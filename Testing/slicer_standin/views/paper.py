"""Pages: where each view of a layout goes, and the bars, letters and colour scales drawn around it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import slicer
import vtk
from PIL import Image, ImageDraw, ImageFont

BAR, GAP = 22, 3
"""Height of the coloured bar above a view and width of the splitters, pixels."""


@dataclass(frozen=True)
class Box:
    """A view's place on the page, pixels from the top left, its bar included."""

    node_class: str
    tag: str
    left: int
    top: int
    width: int
    height: int

    @property
    def inner(self) -> tuple[int, int]:
        """Width and height below the bar."""
        return max(self.width, 1), max(self.height - BAR, 1)


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """DejaVu Sans as it comes with matplotlib, so that pictures are the same everywhere."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def boxes(xml: str, size: tuple[int, int]) -> list[Box]:
    """The views of a layout description on a page of ``(width, height)``."""
    if not xml:
        return []
    root = ElementTree.fromstring(xml)
    first = root.find(".//layout") if root.tag == "viewports" else root
    return list(_place(first, (0, 0, *size)))


def _place(element: ElementTree.Element, area: tuple[int, int, int, int]) -> Iterator[Box]:
    if element.tag == "view":
        yield Box(element.get("class", ""), element.get("singletontag", "1"), *area)
        return
    items = element.findall("item")
    kind = element.get("type", "horizontal")
    if kind == "tab":
        items = items[:1]
    if kind == "grid":
        rows = 1 + max((int(item.get("row", 0)) for item in items), default=0)
        cols = 1 + max((int(item.get("column", 0)) for item in items), default=0)
        xs, ys = _cuts(area[0], area[2], [1] * cols), _cuts(area[1], area[3], [1] * rows)
        spots = [(int(i.get("column", 0)), int(i.get("row", 0))) for i in items]
        areas = [(xs[c][0], ys[r][0], xs[c][1], ys[r][1]) for c, r in spots]
    else:
        shares = [float(item.get("splitSize", 0)) or 500.0 for item in items]
        if kind == "vertical":
            areas = [(area[0], at, area[2], long) for at, long in _cuts(area[1], area[3], shares)]
        else:
            areas = [(at, area[1], long, area[3]) for at, long in _cuts(area[0], area[2], shares)]
    for item, part in zip(items, areas, strict=True):
        for child in item:
            yield from _place(child, part)


def _cuts(start: int, length: int, shares: list[float]) -> list[tuple[int, int]]:
    free = length - GAP * (len(shares) - 1)
    edges = np.round(np.cumsum([0.0, *shares]) / sum(shares) * free).astype(int)
    return [(int(start + a + GAP * i), int(b - a)) for i, (a, b) in enumerate(zip(edges, edges[1:], strict=False))]


def letters(direction: np.ndarray) -> str:
    """The letters of a direction in RAS, the strongest first; a second one where the view is clearly oblique."""
    order = np.argsort(-np.abs(direction))
    names = ("LR", "PA", "IS")
    shown = [i for n, i in enumerate(order) if n == 0 or (n == 1 and abs(direction[i]) > 0.35)]
    return "".join(names[i][int(direction[i] > 0)] for i in shown)


def paste(page: Image.Image, box: Box, pixels: np.ndarray, node, subtitle: str) -> None:
    """Put a view's picture under its bar, which has the view's colour and label."""
    color = tuple(round(255 * c) for c in node.GetLayoutColor())
    pen = ImageDraw.Draw(page)
    pen.rectangle((box.left, box.top, box.left + box.width - 1, box.top + BAR - 1), fill=color)
    ink = "black" if sum(color) > 380 else "white"
    middle = box.top + BAR // 2
    pen.text((box.left + 8, middle), node.GetLayoutLabel() or "", fill=ink, font=font(12, bold=True), anchor="lm")
    pen.text((box.left + box.width - 8, middle), subtitle, fill=ink, font=font(11), anchor="rm")
    page.paste(Image.fromarray(pixels), (box.left, box.top + BAR))


def offset_text(node: slicer.vtkMRMLSliceNode) -> str:
    """Where the slice is, as the controller bar has it: ``S: 12.0 mm``."""
    normal = np.array([node.GetSliceToRAS().GetElement(row, 2) for row in range(3)])
    offset = node.GetSliceOffset()
    axis = normal if offset >= 0 else -normal
    return f"{letters(axis)}: {abs(offset):.1f} mm"


def annotate(pixels: np.ndarray, logic: slicer.vtkMRMLSliceLogic) -> np.ndarray:
    """Letters of orientation, the images' names and the colour scale of the background, over a slice picture."""
    image = Image.fromarray(pixels)
    pen = ImageDraw.Draw(image)
    width, height = image.size
    matrix = logic.GetSliceNode().GetSliceToRAS()
    right, up = (np.array([matrix.GetElement(row, column) for row in range(3)]) for column in (0, 1))
    _text(pen, (6, height // 2), letters(-right), "lm")
    _text(pen, (width // 2, 6), letters(up), "mt")
    for number, line in enumerate(reversed(_names(logic))):
        _text(pen, (6, height - 6 - 15 * number), line, "lb", size=11)
    background = logic.GetNthLayerVolumeNode(0)
    scale = height > 180 and width > 180 and _scale(image, background)
    _text(pen, (width - (62 if scale else 6), height // 2), letters(right), "rm")
    return np.asarray(image)


def _names(logic: slicer.vtkMRMLSliceLogic) -> list[str]:
    found = [(letter, logic.GetNthLayerVolumeNode(layer)) for letter, layer in (("L", 2), ("F", 1), ("B", 0))]
    opacity = f" ({logic.GetSliceCompositeNode().GetForegroundOpacity():.0%})"
    return [
        f"{letter}: {node.GetName()}" + (opacity if letter == "F" else "") for letter, node in found if node is not None
    ]


def _scale(image: Image.Image, volume: slicer.vtkMRMLVolumeNode | None) -> bool:
    display = None if volume is None else volume.GetDisplayNode()
    table = None if display is None else display.GetColorNode()
    if table is None or not display.IsA("vtkMRMLScalarVolumeDisplayNode") or table.GetLookupTable() is None:
        return False
    low, high = display.GetWindowLevelMin(), display.GetWindowLevelMax()
    lookup = vtk.vtkLookupTable()
    lookup.DeepCopy(table.GetLookupTable())
    colors = [lookup.GetTableValue(i)[:3] for i in range(lookup.GetNumberOfTableValues())]
    long = min(image.height - 60, 240)
    picks = np.linspace(len(colors) - 1, 0, long).round().astype(int)
    strip = np.repeat((np.array(colors)[picks] * 255).round().astype(np.uint8)[:, None], 10, axis=1)
    left, top = image.width - 18, (image.height - long) // 2
    pen = ImageDraw.Draw(image)
    image.paste(Image.fromarray(strip), (left, top))
    pen.rectangle((left - 1, top - 1, left + 10, top + long), outline=(200, 200, 200))
    for part in (0.0, 0.5, 1.0):
        _text(pen, (left - 5, top + round((1 - part) * (long - 1))), _number(low + part * (high - low)), "rm", size=10)
    return True


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) >= 1 or value == 0 else f"{value:.2g}"


def _text(pen: ImageDraw.ImageDraw, at: tuple[int, int], text: str, anchor: str, *, size: int = 13) -> None:
    pen.text(at, text, fill=(240, 240, 210), font=font(size), anchor=anchor, stroke_width=2, stroke_fill=(0, 0, 0))
