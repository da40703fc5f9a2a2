"""Training on the labels of a FiftyOne view: videos that ``hs2s_core`` draws clips from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import numpy as np
import numpy.typing as npt
from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import InvalidDataset, InvalidMask, check_choice
from hs2s_core.jobs import Item, Plan, Problem, Progress, Steps, Watch
from hs2s_core.media.frames import FrameSource
from hs2s_core.media.masks import BoolMask
from hs2s_core.prompts import Prompt
from hs2s_core.wording import counted

from .jobs import drive
from .labels.conversion import LabelField, read_documents
from .labels.frame_fields import bare, given_labels, is_output, mask_field_error
from .labels.identities import Identities
from .labels.prompts import visible_frames, visible_labels
from .media import Clip, check_upright, open_clip
from .videos.collection import items_of, videos_of

if TYPE_CHECKING:
    from hs2s_core.training.finetune import TuneSettings, Tuning

__all__ = ["ViewVideo", "finetune", "labelled_videos"]

STEPS = 300
"""Training steps of :func:`finetune`, a second each on a CPU's core."""


FRAMES = {
    "auto": "Of a result of 'Propagate masks' those with given or corrected masks, else all",
    "all": "All that have labels",
    "given": "Only those in which a mask was given, drawn or corrected",
}
"""Which labelled frames are learned from: word -> description."""
_GLANCE = 1000
"""Frames that :func:`glance` looks at."""


@checked_call
def finetune(
    samples: SampleCollection,
    label_field: str,
    name: str,
    *,
    start: str | Path = "hs2s-lite",
    steps: int = STEPS,
    learning_rate: float = 1e-4,
    frames: str = "auto",
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
        label_field: frame field with the masks; see :func:`labelled_videos`.
        name: of the model.
        start: the weights to go on from: a name or a file.
        steps: training steps.
        learning_rate: of AdamW, at its highest.
        frames: which labelled frames count; in these, all masks must be right. ``all``, or only
            those in which one was ``given``: drawn, corrected, or given to a run. ``auto`` is that
            for a field that :func:`hs2s_fiftyone.propagate` filled, else all.
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
    run = finetune_steps(samples, label_field, settings, frames=frames, device=device)
    return drive(run, progress)


def finetune_steps(
    samples: SampleCollection,
    label_field: str,
    settings: TuneSettings,
    *,
    frames: str = "auto",
    device: str = "auto",
) -> Steps[Tuning]:
    """Like :func:`finetune`, step by step."""
    from hs2s_core.devices import free_threads, pick_device
    from hs2s_core.training.finetune import tune_steps

    yield Progress(0.0, "Reading the labels")
    check_choice("frames", frames, FRAMES)
    given = only_given(samples, label_field, frames)
    videos = labelled_videos(samples, label_field, given=given)
    with free_threads():
        return (yield from tune_steps(videos, settings, pick_device(device)))


def only_given(samples: SampleCollection, label_field: str, frames: str) -> bool:
    """Whether a choice of :data:`FRAMES` means only those with masks that were given."""
    return frames == "given" or (frames == "auto" and is_output(samples, bare(label_field)))


def glance(samples: SampleCollection, label_field: str, *, given: bool = False) -> tuple[Plan, int]:
    """Which videos would be trained on, as far as a bounded number of frames tells.

    Also how many labelled frames these have, without the unchecked. ``given`` is that of
    :func:`labelled_videos`, which looks closer.
    """
    from hs2s_core.training.held_out import fewest_labels

    name, left = bare(label_field), _GLANCE
    items, plan, frames = items_of(samples), Plan(), samples._dataset._frame_collection
    counts: dict[Item, int] = {}
    for item in items:
        # An index tells it; also one without frames takes time.
        left -= 10 + frames.count_documents({"_sample_id": ObjectId(item.key)}, limit=left + 1)
        if left < 0:
            break
        counts[item] = frames.count_documents(_labelled(samples, item.key, name, given))
    fewest = fewest_labels(counts.values())
    for item, number in counts.items():
        if number >= fewest:
            plan.todo.append(item)
        else:
            what = "with a given or corrected mask" if given else "with masks"
            reason = (
                f"{counted(number, 'frame')} {what} in {name!r}, each with an `index` or an "
                f"`instance`; expected {fewest} or more"
            )
            plan.problems.append(Problem(*item, reason))
    plan.todo += items[len(counts) :]
    plan.unchecked = len(items) - len(counts)
    return plan, sum(number for number in counts.values() if number >= fewest)


def _labelled(samples: SampleCollection, sample_id: str, name: str, given: bool) -> dict[str, Any]:
    """Query of the frames of a video with masks, or with given ones."""
    field = LabelField.of(samples, name)
    wanted: list[dict[str, Any]] = [{name: {"$ne": None}}]
    if given:
        wanted.append(given_labels(f"{field.items}"))
    if field.kind is fo.Detections:
        # Of a drawn mask, FiftyOne writes boxes into later frames.
        bare_box, nameless = {"mask": None, "mask_path": None}, {"index": None, "instance": None}
        unusable = {"$elemMatch": {"$or": [bare_box, nameless]}}
        wanted.append({f"{field.items}": {"$not": unusable}})
    query: dict[str, Any] = {"_sample_id": ObjectId(sample_id), "$and": wanted}
    visible, frames = visible_labels(samples, sample_id, name), visible_frames(samples, sample_id)
    if visible is not None:
        query[f"{field.items or name}._id"] = {"$in": list(visible)}
    if frames is not None:
        query["frame_number"] = {"$in": list(frames)}
    return query


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
def labelled_videos(
    samples: SampleCollection, label_field: str, *, given: bool = False
) -> Iterator[ViewVideo]:
    """Videos of ``samples`` with the masks of frame field ``label_field``, to be trained on.

    Labels and frames that a view hides are left out. A frame without labels in the field counts as
    not annotated, one with an empty ``Detections`` as annotated and empty. Which labels show the
    same object is told by their ``index``, else their ``instance``. A frame in which a label has
    neither, or is a mere box, counts as not annotated: it would teach that nothing is there. With
    ``given``, only frames count in which a mask was drawn, corrected, or given to a run, with all
    of their masks.

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
            masks = _masks(samples, sample_id, clip, name, given)
        except InvalidMask as error:
            raise InvalidMask(f"{video}: {error}") from error
        if len(masks) >= 2:
            yield ViewVideo(video, clip.frames, masks)


def _masks(
    samples: SampleCollection, sample_id: str, clip: Clip, name: str, given: bool
) -> dict[int, list[Prompt]]:
    """Masks by 0-based frame, objects ascending, for frames whose labels all say what they show."""
    known = LabelField.of(samples, name)
    visible, frames = visible_labels(samples, sample_id, name), visible_frames(samples, sample_id)
    identities = Identities(known.marks(samples, sample_id))
    masks: dict[int, list[Prompt]] = {}
    only = given_labels(f"{known.items}") if given else None
    for document in read_documents(samples, sample_id, [name], annotated=name, only=only):
        number = document["frame_number"]
        if frames is not None and number not in frames:
            continue
        found: dict[int, BoolMask] = {}
        parts = known.parts(document, clip.video_size, f"frame {number}", visible)
        if any(part.mask is None or part.mark.is_nameless for part in parts):
            continue
        for part in parts:
            assert part.mask is not None
            object_id = identities.add(part.mark)
            found[object_id] = part.mask | found.get(object_id, np.False_)
        sized = ((key, clip.to_frame(found[key])) for key in sorted(found))
        masks[number - 1] = [Prompt(number - 1, *each) for each in sized if each[1].any()]
    return masks
