"""What is known of a result without truth, and the frame that it says to correct next."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from math import exp
from pathlib import Path
from typing import NamedTuple

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.files import replacing
from hs2s_core.propagation.propagator import FrameResult

REACH = 16
"""Frames over which a correction's effect falls to 1/e; also where distance tells half."""


class Sign(NamedTuple):
    """One object in one frame, as far as no truth is needed."""

    frame: int
    """0-based."""
    object: int
    """Object id."""
    given: bool
    """Whether the mask is a prompt."""
    present: bool
    """Whether the object has any pixel."""
    area: int
    """Pixels of the object."""
    confidence: float
    """See :attr:`FrameResult.scores`, in [0, 1]."""
    disagreement: float | None
    """1 - IoU of the masks followed from both sides, in [0, 1]; None where there is one side."""
    distance: int | None
    """Frames to the nearest key frame that it was followed from; None where it is not known."""
    origin: str | None = None
    """Where a given mask comes from, see :data:`hs2s_core.prompts.ORIGINS`."""

    @property
    def doubt(self) -> float:
        """How wrong the mask may be, in [0, 1]: 0 where it is given.

        How unsure the network is of what it drew counts most, then how much both ways disagree,
        then how far the nearest key frame is. An object without a pixel is hardly in doubt: mostly
        it is rightly gone.
        """
        if self.given:
            return 0.0
        unsure = min(1.0, 4 * (1 - self.confidence)) if self.present else 0.1
        far = 0.0 if self.distance is None else self.distance / (self.distance + REACH)
        return (20 * unsure + 5 * (self.disagreement or 0.0) + far) / 26


class Suggestion(NamedTuple):
    """A frame to correct, and why."""

    frame: int
    """0-based."""
    object: int
    """The object whose mask is most in doubt there."""
    gain: float
    """Doubt that a correction there may remove, summed over frames and objects."""


@checked_call
def signs_of(result: FrameResult) -> list[Sign]:
    """One sign per object of ``result.ids``, in that order."""
    areas = result.areas
    return [
        Sign(
            result.index,
            object_id,
            object_id in result.given,
            areas[object_id] > 0,
            areas[object_id],
            result.scores[object_id],
            result.disagreement.get(object_id),
            result.distance.get(object_id),
            result.origins.get(object_id),
        )
        for object_id in result.ids
    ]


@checked_call
def suggest_frames(signs: Iterable[Sign], count: int = 1) -> list[Suggestion]:
    """The frames whose correction promises most, best first; fewer than ``count`` if none is left.

    What a corrected mask mends falls with the distance, by 1/e in :data:`REACH` frames, and ends
    at the object's next key frame. So a frame's gain is the doubt around it, weighed so, summed
    over objects. Every next suggestion takes those before it for mended.

    Args:
        signs: of one video, in any order; see :func:`signs_of` and :func:`read_signs`.
        count: how many are wanted.
    """
    doubts: dict[int, dict[int, float]] = {}
    given: dict[int, set[int]] = {}
    for sign in signs:
        doubts.setdefault(sign.object, {})[sign.frame] = sign.doubt
        if sign.given:
            given.setdefault(sign.object, set()).add(sign.frame)
    found: list[Suggestion] = []
    while len(found) < count:
        gains = {each: _gains(known, given.get(each, set())) for each, known in doubts.items()}
        total: dict[int, float] = {}
        for gain in gains.values():
            for frame, value in gain.items():
                total[frame] = total.get(frame, 0.0) + value
        best = max(total, key=lambda frame: (total[frame], -frame), default=None)
        if best is None or total[best] <= 0:
            break
        worst = max(gains, key=lambda each: gains[each].get(best, 0.0))
        found.append(Suggestion(best, worst, total[best]))
        for each, known in doubts.items():
            if best in known:
                given.setdefault(each, set()).add(best)
            for frame in known:
                known[frame] *= 1 - exp(-abs(frame - best) / REACH)
    return found


def _gains(doubts: Mapping[int, float], given: Collection[int]) -> dict[int, float]:
    """By frame, the doubt around it; none in key frames, and none from beyond them."""
    gains = dict.fromkeys(doubts, 0.0)
    ahead = sorted(doubts)
    for way in (ahead, ahead[::-1]):
        carried, last = 0.0, way[0]
        for frame in way:
            carried = 0.0 if frame in given else carried * exp(-abs(frame - last) / REACH)
            if frame not in given:
                gains[frame] += carried + doubts[frame] / 2  # half on each way
                carried += doubts[frame]
            last = frame
    return gains


@contextmanager
def writing_signs(path: Path) -> Iterator[Callable[[FrameResult], None]]:
    """Write results' signs, as they come, to ``path``, a .csv or .json file: all or nothing.

    CSV has a header, true and false, and nothing where a value is not known; JSON
    is a list of objects.
    """
    json_file = check_report(path) == ".json"
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if not json_file:
            writer.writerow(Sign._fields)
        before = "[\n"

        def add(result: FrameResult) -> None:
            nonlocal before
            for sign in signs_of(result):
                if json_file:
                    file.write(before + json.dumps(sign._asdict()))
                    before = ",\n"
                else:
                    writer.writerow(json.dumps(v) if isinstance(v, bool) else v for v in sign)

        yield add
        if json_file:
            file.write("[]\n" if before == "[\n" else "\n]\n")


def check_report(path: Path) -> str:
    """The suffix of a file that :func:`writing_signs` can write; HS2SError for any other."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".json") or path.is_dir():
        raise HS2SError(f"{path}: cannot write a report there; expected a file in .csv or .json")
    return suffix


def read_signs(path: Path) -> Iterator[Sign]:
    """The signs of a file of :func:`writing_signs`, in its order."""
    with path.open(newline="", encoding="utf-8") as file:
        if check_report(path) == ".json":
            for row in json.load(file):
                yield Sign(**row)
            return
        for line in csv.DictReader(file):
            origin = line.pop("origin") or None
            known = {name: json.loads(value or "null") for name, value in line.items()}
            yield Sign(**known, origin=origin)
