"""Training on the labels of a FiftyOne view: videos that ``hs2s_core`` draws clips from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import fiftyone as fo
import numpy as np
import numpy.typing as npt
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import InvalidDataset, InvalidMask
from hs2s_core.jobs import Progress, Steps, Watch
from hs2s_core.media.frames import FrameSource
from hs2s_core.media.masks import BoolMask
from hs2s_core.prompts import Prompt

from .jobs import drive
from .labels.conversion import LabelField, read_documents
from .labels.frame_fields import bare, mask_field_error
from .labels.identities import Identities
from .labels.prompts import visible_frames, visible_labels
from .media import Clip, check_upright, open_clip
from .videos.collection import items_of, videos_of

if TYPE_CHECKING:
    from hs2s_core.training.finetune import TuneSettings, Tuning

__all__ = ["ViewVideo", "finetune", "labelled_videos"]

STEPS = 300
"""Training steps of :func:`finetune`, a second each on a CPU's core."""


@checked_call
def finetune(
    samples: SampleCollection,
    label_field: str,
    name: str,
    *,
    start: str | Path = "hs2s-lite",
    steps: int = STEPS,
    learning_rate: float = 1e-4,
    device: str = "auto",
    overwrite: bool = False,
    progress: bool | Watch | None = None,
) -> Tuning:
    """Train on the masks of a view, also of a handful of corrected videos; minutes on a CPU.

    What comes out is stored as ``~/.hs2s/weights/<name>.safetensors`` and is a model from then on:
    in the form of "Propagate masks", as ``model=`` and ``--weights``.
    A part of the labels is not trained on but scored, before and after; what is not better there,
    or worse on the bundled clip, is not stored (:mod:`hs2s_core.training.finetune`).

    Args:
        samples: a dataset or view of videos.
        label_field: frame field with the masks, which are right wherever a frame has labels; see
            :func:`labelled_videos`.
        name: of the model.
        start: the weights to go on from: a name or a file.
        steps: training steps.
        learning_rate: of AdamW, at its highest.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        overwrite: whether to replace a model of this name.
        progress: see :func:`hs2s_fiftyone.propagate`; by default, a notebook shows the learning
            curve as it grows.

    Raises:
        HS2SError: settings or labels that cannot work; before anything is trained.
    """
    from hs2s_core.training.curve import LiveCurve, in_notebook
    from hs2s_core.training.finetune import TuneSettings

    if progress is None and fo.config.show_progress_bars and in_notebook():
        progress = LiveCurve(steps).watch

    settings = TuneSettings(name, str(start), steps, learning_rate, overwrite=overwrite)
    return drive(finetune_steps(samples, label_field, settings, device=device), progress)


def finetune_steps(
    samples: SampleCollection, label_field: str, settings: TuneSettings, *, device: str = "auto"
) -> Steps[Tuning]:
    """Like :func:`finetune`, step by step."""
    from hs2s_core.devices import pick_device
    from hs2s_core.training.finetune import tune_steps

    yield Progress(0.0, "Reading the labels")
    videos = labelled_videos(samples, label_field)
    return (yield from tune_steps(videos, settings, pick_device(device)))


class ViewVideo:
    """One video of a view as :class:`hs2s_core.data.clips.LabelledVideo`.

    Masks are kept packed, so that worker processes need no database, and a video
    takes kilobytes; frames are read from their files when they are drawn.
    """

    def __init__(self, name: str, frames: FrameSource, masks: dict[int, list[Prompt]]) -> None:
        self.name = name
        self.frames = frames
        """All of them, also those without labels."""
        self._masks = masks
        self.indices: Sequence[int] = sorted(masks)
        """0-based frame of each labelled one."""

    def __len__(self) -> int:
        return len(self.indices)

    def frame(self, index: int) -> npt.NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB of a labelled frame."""
        return self.frames.at(self.indices[index])

    def id_map(self, index: int) -> npt.NDArray[np.uint16]:
        """(H, W) uint16 ids of a labelled frame; where masks overlap, the higher id wins."""
        id_map = np.zeros(self.frames.size, np.uint16)
        for each in self._masks[self.indices[index]]:
            id_map[each.mask] = each.object_id
        return id_map


@checked_call
def labelled_videos(samples: SampleCollection, label_field: str) -> Iterator[ViewVideo]:
    """Videos of ``samples`` with the masks of frame field ``label_field``, to be trained on.

    Labels and frames that a view hides are left out. A frame without labels in the field counts as
    not annotated, one with an empty ``Detections`` as annotated and empty, one in which a label is
    a mere box as not annotated. Which labels show the same object is told by their ``index``, else
    their ``instance``; labels with neither are left out.

    Raises:
        HS2SError: the samples are no videos.
        InvalidDataset: the field is not a frame-level field of labels with masks.
        InvalidMask: a mask that does not fit its frame, or was drawn on a video on its side.
    """
    samples, name = videos_of(samples), bare(label_field)
    wrong = mask_field_error(samples, name)
    if wrong is not None:
        raise InvalidDataset(wrong)
    for sample_id, video in items_of(samples):
        clip = open_clip(samples._dataset[sample_id])
        try:
            check_upright(samples, sample_id, name)
            masks = _masks(samples, sample_id, clip, name)
        except InvalidMask as error:
            raise InvalidMask(f"{video}: {error}") from error
        if len(masks) >= 2:
            yield ViewVideo(video, clip.frames, masks)


def _masks(
    samples: SampleCollection, sample_id: str, clip: Clip, name: str
) -> dict[int, list[Prompt]]:
    """Masks by 0-based frame, objects ascending, for frames whose labels all have one."""
    known = LabelField.of(samples, name)
    visible, frames = visible_labels(samples, sample_id, name), visible_frames(samples, sample_id)
    identities = Identities(known.marks(samples, sample_id))
    masks: dict[int, list[Prompt]] = {}
    for document in read_documents(samples, sample_id, [name], annotated=name):
        number = document["frame_number"]
        if frames is not None and number not in frames:
            continue
        found: dict[int, BoolMask] = {}
        parts = known.parts(document, clip.video_size, f"frame {number}", visible)
        parts = [part for part in parts if not part.mark.is_nameless]
        if any(part.mask is None for part in parts):
            continue
        for part in parts:
            assert part.mask is not None
            object_id = identities.add(part.mark)
            found[object_id] = part.mask | found.get(object_id, np.False_)
        sized = ((key, clip.to_frame(found[key])) for key in sorted(found))
        masks[number - 1] = [Prompt(number - 1, *each) for each in sized if each[1].any()]
    return masks
