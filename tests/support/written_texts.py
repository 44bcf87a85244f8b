"""Where texts lie in a picture that was written, and whether any is cut or lies on another."""

from __future__ import annotations

import itertools
import math
import re
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

Corners = NDArray[np.float64]
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
_SVG, _HREF = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}href"


class Written(NamedTuple):
    """A line of text: what it says, where it starts, and the four corners of its letters."""

    said: str
    start: tuple[float, float]
    corners: Corners


def texts_of_svg(path: Path) -> tuple[list[Written], tuple[float, float]]:
    """Return every line of text of an SVG whose letters are paths, and the picture's size."""
    builder = ElementTree.TreeBuilder(insert_comments=True)
    root = ElementTree.fromstring(path.read_text(), ElementTree.XMLParser(target=builder))
    glyphs = {
        str(each.get("id")): _extent(str(each.get("d")), _matrix(str(each.get("transform"))))
        for defs in root.iter(f"{_SVG}defs") for each in defs.iter(f"{_SVG}path") if each.get("id")
    }  # fmt: skip
    found: list[Written] = []
    for group in root.iter(f"{_SVG}g"):
        if str(group.get("id")).startswith("text_"):
            said = ""
            for child in group:
                if child.tag is ElementTree.Comment:
                    said = str(child.text).strip()
                elif uses := list(child.iter(f"{_SVG}use")):
                    found.append(_line(said, str(child.get("transform")), uses, glyphs))
    width, height = map(float, str(root.get("viewBox")).split()[2:])
    return found, (width, height)


def _extent(drawn: str, scale: NDArray[np.float64]) -> Corners | None:
    """Return the ends of a letter's box, as it is placed: two points in homogeneous coordinates."""
    numbers = np.array(_NUMBER.findall(drawn), float)
    if numbers.size < 4:
        return None  # a blank
    x, y = numbers[0::2], numbers[1::2]
    return np.array([[x.min(), y.min(), 1.0], [x.max(), y.max(), 1.0]]) @ scale.T


def _matrix(transform: str) -> NDArray[np.float64]:
    """Return the matrix of a chain of translations, rotations and scalings."""
    found = np.eye(3)
    for name, inside in re.findall(r"(\w+)\(([^)]*)\)", transform):
        numbers = [float(each) for each in _NUMBER.findall(inside)]
        step = np.eye(3)
        if name == "translate":
            step[:2, 2] = [numbers[0], numbers[1] if len(numbers) > 1 else 0.0]
        elif name == "scale":
            step[0, 0], step[1, 1] = numbers[0], numbers[-1]
        elif name == "rotate":
            turn = math.radians(numbers[0])
            step[:2, :2] = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
        found = found @ step
    return found


def _line(said: str, transform: str, uses: list[Any], glyphs: dict[str, Any]) -> Written:
    boxes = []
    for use in uses:
        extent = glyphs.get(str(use.get(_HREF)).removeprefix("#"))
        if extent is not None:
            own = _matrix(str(use.get("transform") or ""))
            boxes.append((extent @ own.T)[:, :2])
    points = np.concatenate(boxes)
    (x0, y0), (x1, y1) = points.min(axis=0), points.max(axis=0)
    outer = _matrix(transform)
    corners = np.array([[x0, y0, 1], [x1, y0, 1], [x1, y1, 1], [x0, y1, 1]]) @ outer.T
    return Written(said, (float(outer[0, 2]), float(outer[1, 2])), corners[:, :2])


def starts_in_pdf(content: bytes) -> list[tuple[float, float]]:
    """Return where each piece of text starts in a PDF that was written without compression."""
    text = content.decode("latin-1")
    moved = re.findall(r"([-\d.]+) ([-\d.]+) Td", text)
    turned = re.findall(r"(?:[-\d.]+\s+){4}([-\d.]+)\s+([-\d.]+)\s+(?:Tm|cm\s+BT)", text)
    return [(float(x), float(y)) for x, y in [*moved, *turned]]


def faults(texts: list[Written], size: tuple[float, float], slack: float = 1.0) -> list[str]:
    """Return what is cut by the edge of the picture, and what lies on something else, in points."""
    found = [
        f"cut: {each.said!r}" for each in texts
        if (each.corners < -slack).any() or (each.corners > np.array(size) + slack).any()
    ]  # fmt: skip
    for one, two in itertools.combinations(texts, 2):
        if _overlap(one.corners, two.corners) > slack:
            found.append(f"{one.said!r} lies on {two.said!r}")
    return found


def _overlap(one: Corners, two: Corners) -> float:
    """Return how far two rectangles reach into each other, along the axis where it is least."""
    least = math.inf
    for corners in (one, two):
        for edge in (corners[1] - corners[0], corners[3] - corners[0]):
            length = float(np.hypot(*edge))
            if length > 0.0:
                along = edge / length
                a, b = one @ along, two @ along
                least = min(least, float(min(a.max(), b.max()) - max(a.min(), b.min())))
    return least
