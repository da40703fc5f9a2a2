"""Boxes and points, by which an object can be pointed at instead of drawn."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hs2s_core.checked.calls import check_types
from hs2s_core.errors import HS2SError
from hs2s_core.files import read_json

__all__ = ["Hint", "parse_hint", "read_hints"]

Point = tuple[float, float]
"""(x, y) in pixels from the frame's upper left corner; pixel 0 reaches from 0 to 1."""
Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1): its left, upper, right and lower edge."""

_NUMBER = r"\d+(?:\.\d+)?"
_BOX = re.compile(rf"{_NUMBER}(?:,{_NUMBER}){{3}}")
_POINT = re.compile(rf"[+-]{_NUMBER},{_NUMBER}")
_KEYS = {"object", "box", "inside", "outside"}


@dataclass(frozen=True)
class Hint:
    """Where an object is: a box around it, points on it, points beside it."""

    box: Box | None = None
    inside: tuple[Point, ...] = ()
    outside: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no box, or no points."""
        check_types(type(self), vars(self))

    @property
    def origin(self) -> str:
        """What a mask that is made of it is called, see :class:`hs2s_core.prompts.Prompt`."""
        return "points" if self.box is None else "box"

    def check(self, size: tuple[int, int], name: str, *, mends: bool = False) -> None:
        """Refuse what does not fit a frame of ``size`` (H, W).

        Raises:
            HS2SError: a box or point outside of the frame, a box without area; no box and no point
                inside; where it ``mends`` a mask, a box or no point.
        """
        height, width = size
        frame = f"the frame is {width}x{height} pixels, x to the right and y down from 0"
        for x, y in (*self.inside, *self.outside):
            if not (0 <= x < width and 0 <= y < height):
                raise HS2SError(f"{name}: the point {x:g},{y:g} is outside; {frame}")
        if mends:
            if self.box is not None or not (self.inside or self.outside):
                raise HS2SError(f"{name}: expected points that mend it, inside or outside, no box")
            return
        if self.box is None and not self.inside:
            raise HS2SError(f"{name}: expected a box, or at least one point inside the object")
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
                raise HS2SError(
                    f"{name}: the box {x0:g},{y0:g},{x1:g},{y1:g} is outside or has no area; "
                    f"expected left, upper, right and lower edge, and {frame}"
                )


def is_hint(word: str) -> bool:
    """Whether ``word`` says where an object is, rather than naming a file."""
    return bool(re.fullmatch(r"[\d.,:+-]+", word)) and "," in word


def parse_hint(word: str) -> tuple[int, Hint]:
    """Object id and hint of ``[OBJECT:]PART[:PART...]``.

    A part is a box ``x0,y0,x1,y1``, a point inside ``+x,y`` or one outside ``-x,y``.

    Raises:
        HS2SError: anything else.
    """
    first, *rest = word.split(":")
    object_id, parts = (int(first), rest) if first.isdecimal() else (1, [first, *rest])
    boxes = [part for part in parts if _BOX.fullmatch(part)]
    points = [part for part in parts if _POINT.fullmatch(part)]
    if not parts or len(boxes) + len(points) < len(parts) or len(boxes) > 1:
        raise HS2SError(
            f"{word!r}; expected [OBJECT:] and a box x0,y0,x1,y1 or points +x,y inside and -x,y "
            "outside, joined by colons, such as 2:10,20,110,220:+50,60"
        )
    inside, outside = (
        tuple(_floats(part[1:].split(","), 2) for part in points if part[0] == sign)
        for sign in "+-"
    )
    return object_id, Hint(_floats(boxes[0].split(","), 4) if boxes else None, inside, outside)


def read_hints(path: Path) -> Iterator[tuple[int, Hint]]:
    """Object ids and hints of a JSON file, a list of objects of one frame.

    Each has ``object`` (its id), and ``box`` [x0, y0, x1, y1] or ``inside`` and ``outside``, lists
    of [x, y].

    Raises:
        HS2SError: another content, naming the file.
    """
    expected = (
        'expected a list of {"object": 1, "box": [x0, y0, x1, y1], "inside": [[x, y]], "outside": '
        "[[x, y]]}, of which box or inside is enough"
    )
    entries = read_json(path, expected, HS2SError)
    for entry in entries if isinstance(entries, list) else [entries]:
        try:
            if entry.keys() - _KEYS:
                raise ValueError(f"unknown keys {sorted(entry.keys() - _KEYS)}")
            box, object_id = entry.get("box"), str(entry["object"])
            if not object_id.isdecimal():
                raise ValueError(f"object {object_id} is no whole number")
            yield (
                int(object_id),
                Hint(
                    None if box is None else _floats(box, 4),
                    *(
                        tuple(_floats(point, 2) for point in entry.get(side, ()))
                        for side in ("inside", "outside")
                    ),
                ),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise HS2SError(f"{path}: {error!r} in {json.dumps(entry)[:80]}; {expected}") from error


def _floats(values: Sequence[Any], count: int) -> Any:
    if len(values) != count:
        raise ValueError(f"{len(values)} numbers instead of {count}")
    return tuple(map(float, values))
