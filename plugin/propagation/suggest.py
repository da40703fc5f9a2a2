"""Which frame to correct next, by what runs stored with their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import fiftyone as fo
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError

from ..labels.conversion import NO_CLASS, LabelField, read_documents
from ..labels.frame_fields import CORRECTED, bare
from ..labels.prompts import visible_frames, visible_labels
from ..media import frame_count
from ..player import time_shown
from ..videos.collection import select_videos, video_names, videos_of
from .corrections import ATTRIBUTES
from .runner import DEFAULT_OUTPUT

if TYPE_CHECKING:
    from hs2s_core.propagation.signs import Sign


class ToCorrect(NamedTuple):
    """A frame to correct, and why."""

    sample_id: str
    video: str
    frame_number: int
    """Counted from 1."""
    label: str | None
    """Class of the object whose mask is most in doubt there."""
    index: int  # type: ignore[assignment]  # of a tuple's method
    """Its index."""
    gain: float
    """Doubt that a correction there may remove, see :func:`hs2s_core.suggest_frames`."""
    seconds: float | None
    """Where the App's player shows it; None where the frame rate is not known."""

    def __str__(self) -> str:
        place = f"{self.video}: frame {self.frame_number}"
        if self.seconds is not None:
            place += f" ({time_shown(self.seconds)})"
        known = self.label not in (None, NO_CLASS)
        what = f"the {self.label} (object {self.index})" if known else f"object {self.index}"
        return f"{place}, where {what} is most in doubt"


@checked_call
def suggest_frames(
    samples: SampleCollection, output_field: str = DEFAULT_OUTPUT, count: int = 1
) -> list[ToCorrect]:
    """The frames whose correction promises most, best first, by confidence, disagreement, distance.

    Args:
        samples: a dataset or view of videos; labels and frames that a view hides do not count.
        output_field: frame field that :func:`propagate` filled.
        count: how many are wanted, of all videos together.

    Raises:
        HS2SError: no such field, or none that a run filled.
    """
    from hs2s_core.propagation import signs as core

    samples, field = videos_of(samples), bare(output_field)
    if not samples._dataset.has_frame_field(field):
        raise HS2SError(f"there is no frame field {field!r}; run propagate() first")
    if samples._dataset.get_field(f"frames.{field}.detections.{CORRECTED}") is None:
        raise HS2SError(
            f"the frame field {field!r} holds nothing that propagate() made, whose confidence is "
            "what a suggestion goes by; expected the field that it filled"
        )
    found = []
    for sample_id, name in video_names(samples).items():
        known = read_signs(samples, sample_id, field)
        rate = select_videos(samples, sample_id).values("metadata.frame_rate")[0]
        for frame, index, gain in core.suggest_frames(known.signs, count):
            seconds = frame / rate if rate else None
            label = known.labels[index]
            found.append(ToCorrect(sample_id, name, frame + 1, label, index, gain, seconds))
    return sorted(found, key=lambda each: -each.gain)[:count]


@dataclass(frozen=True)
class VideoSigns:
    """What runs stored with the labels of one video, without truth."""

    length: int
    """Frames."""
    signs: list[Sign]
    """Of every object in every frame, in order; objects go by their index."""
    labels: dict[int, str | None]
    """Class of each object."""
    corrected: set[tuple[int, int]]
    """Frames (0-based) and objects that a person put right."""


def read_signs(samples: SampleCollection, sample_id: str, field: str) -> VideoSigns:
    """Read what is known of every object in every frame of a video, as far as ``samples`` show."""
    from hs2s_core.propagation.signs import Sign

    labels = LabelField(field, fo.Detections)
    names = ("_id", "index", "label", "confidence", *ATTRIBUTES)
    visible = visible_labels(samples, sample_id, field)
    visible_numbers = visible_frames(samples, sample_id)
    shown = [f"{labels.items}.{name}" for name in names]
    known: dict[int, str | None] = {}
    signs, corrected, frames = [], set(), {}
    for document in read_documents(samples, sample_id, shown, annotated=field):
        rows = [raw for raw in labels.labels(document) if raw.get("index") is not None]
        frames[document["frame_number"] - 1] = {raw["index"]: raw for raw in rows}
        for raw in rows:
            if visible is None or raw["_id"] in visible:
                known.setdefault(raw["index"], raw.get("label"))
    length = frame_count(samples, sample_id) or max(frames, default=-1) + 1
    for frame in range(length):
        if visible_numbers is not None and frame + 1 not in visible_numbers:
            continue
        for index in known:
            values = frames.get(frame, {}).get(index, {})
            if values and visible is not None and values["_id"] not in visible:
                continue
            if values.get(CORRECTED):
                corrected.add((frame, index))
            sign = Sign(
                frame,
                index,
                given=bool(values.get(CORRECTED)) or values.get("distance") == 0,
                present=bool(values),
                area=0,
                confidence=values.get("confidence") or 0.0,
                disagreement=values.get("disagreement"),
                distance=values.get("distance"),
            )
            signs.append(sign)
    return VideoSigns(length, signs, known, corrected)
