"""What the strip of one video draws, from stored signs and scores; knows no App and no Plotly.

What a plot gets is bounded: of more than ``MAX_POINTS`` frames, each line keeps the worst of every
few.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from hs2s_core.evaluation.rows import Rows

if TYPE_CHECKING:
    from ..propagation.suggest import VideoSigns

MAX_POINTS = 1000
"""Of a line."""
MAX_LINES = 12
"""Objects of a plot: those with the worst frames."""
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Line:
    """One object over the frames."""

    name: str
    frames: npt.NDArray[np.int64]
    """(N,), 0-based."""
    values: Values
    """(N,) in [0, 1]; NaN where there is none."""


@dataclass(frozen=True)
class Strip:
    """One video over its frames; frames are 0-based."""

    length: int
    """Frames."""
    scores: tuple[Line, ...]
    """J&F where the video was evaluated, else confidence."""
    evaluated: bool
    disagreement: tuple[Line, ...]
    """1 - IoU of both ways; no lines where objects were followed one way only."""
    given: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Frames with masks that were given, and of which objects."""
    corrected: Mapping[int, Sequence[str]] = field(default_factory=dict)
    """Likewise those that a person put right."""
    suggested: int | None = None
    """The frame to correct next; None where nothing is in doubt."""
    left_out: int = 0
    """Objects beyond ``MAX_LINES``."""

    @property
    def low(self) -> int:
        """Where the axis of scores begins, in per cent: confidences lie close to 100."""
        known = [value for line in self.scores for value in line.values if value == value]
        return 0 if self.evaluated or not known else max(0, int(10 * min(known) - 0.5) * 10)


def make_strip(signs: VideoSigns, rows: Rows | None = None) -> Strip:
    """Put together what is known of a video.

    Args:
        signs: what runs stored with its labels.
        rows: those of its evaluation (of this video only), None where there is none.
    """
    # PyTorch comes with it, which the plugin does without until masks are made.
    from hs2s_core.propagation.signs import suggest_frames

    names = {index: object_name(label, index) for index, label in signs.labels.items()}
    by_object = {index: [s for s in signs.signs if s.object == index] for index in names}
    disagreement = []
    sure = []
    for index, own in by_object.items():
        frames = np.array([sign.frame for sign in own], np.int64)
        confidence = [sign.confidence if sign.present else np.nan for sign in own]
        apart = [np.nan if sign.disagreement is None else sign.disagreement for sign in own]
        sure.append(_line(names[index], frames, confidence, np.nanargmin))
        if not np.isnan(apart).all():
            disagreement.append(_line(names[index], frames, apart, np.nanargmax))
    scores = sure if rows is None else _score_lines(rows)
    given: dict[int, list[str]] = {}
    corrected: dict[int, list[str]] = {}
    for sign in signs.signs:
        if sign.given:
            by_hand = (sign.frame, sign.object) in signs.corrected
            into = corrected if by_hand else given
            into.setdefault(sign.frame, []).append(names[sign.object])
    suggestions = suggest_frames(signs.signs)
    worst = sorted(scores, key=lambda line: np.nanmin(line.values, initial=1.0))[:MAX_LINES]
    apart_most = sorted(disagreement, key=lambda line: -np.nanmax(line.values))[:MAX_LINES]
    return Strip(
        length=signs.length,
        scores=tuple(line for line in scores if line in worst),
        evaluated=rows is not None,
        disagreement=tuple(line for line in disagreement if line in apart_most),
        given=given,
        corrected=corrected,
        suggested=suggestions[0].frame if suggestions else None,
        left_out=len(scores) - len(worst),
    )


def object_name(label: str | None, index: int) -> str:
    """What to call an object."""
    return f"{label or 'object'} {index}"


def _score_lines(rows: Rows) -> list[Line]:
    scores = (rows.j + rows.f) / 2
    lines = []
    for place, ((_, object_id), info) in enumerate(zip(rows.objects, rows.infos, strict=True)):
        own = rows.owner == place
        frames = rows.records["frame"][own].astype(np.int64)
        name = object_name(info.category, object_id)
        lines.append(_line(name, frames, scores[own], np.nanargmin))
    return lines


def _line(
    name: str,
    frames: npt.NDArray[np.int64],
    values: npt.ArrayLike,
    worst: Callable[[Values], np.intp],
) -> Line:
    """A line of at most ``MAX_POINTS``; ``worst`` finds the place of what to keep of several."""
    known = np.asarray(values, np.float64)
    each = -(-len(known) // MAX_POINTS)
    if each > 1:
        starts = range(0, len(known), each)
        parts = [(start, known[start : start + each]) for start in starts]
        kept = [s + (0 if np.isnan(part).all() else int(worst(part))) for s, part in parts]
        frames, known = frames[kept], known[kept]
    return Line(name, frames, known)
