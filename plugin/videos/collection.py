"""The videos of a collection: which there are, and what they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.clips as foc
import fiftyone.core.media as fom
import fiftyone.core.stages as fos
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Item

INFO_KEY = "vos"
"""Where a dataset's ``info`` has what a load noted of its source."""


# View stages that choose, order or describe samples but leave their labels as they are. Hidden
# fields are seen at the fields themselves.
_SAMPLE_STAGES = (
    fos.Exclude,
    fos.ExcludeBy,
    fos.ExcludeFields,
    fos.ExcludeGroups,
    fos.Exists,
    fos.Limit,
    fos.Match,
    fos.MatchTags,
    fos.Select,
    fos.SelectBy,
    fos.SelectFields,
    fos.SelectGroupSlices,
    fos.SelectGroups,
    fos.Shuffle,
    fos.Skip,
    fos.SortBy,
    fos.Take,
    getattr(fos, "ExcludeGroupSlices", fos.SelectGroupSlices),  # newer than FiftyOne 1.14
)
_GROUPING = (fos.GroupBy, fos.Flatten, fos.Concat)
"""Behind these, FiftyOne finds no frames and can load no sample, or has samples twice."""


_CHANGING = (
    fos.MapLabels,
    fos.SetField,
    getattr(fos, "MapValues", fos.MapLabels),  # newer than FiftyOne 1.14
)
"""Behind these, what is shown is not what is stored."""


@checked_call
def videos_of(samples: SampleCollection) -> SampleCollection:
    """The video samples of a collection: of every slice of a group, of every dynamic group.

    Raises HS2SError, saying what to do, if it has none to offer.
    """
    samples = _ungrouped(samples)
    _refuse_other_values(samples)
    if samples._is_generated:
        kind = "clips" if isinstance(samples, foc.ClipsView) else "frames"
        raise HS2SError(
            f"this is a view of {kind}; masks are read and written through whole videos. Clear the "
            "view, or remove the stage that made it, and choose the videos; a view of the same "
            f"{kind}, made again afterwards, has the new masks."
        )
    if samples.media_type is None or (samples.media_type == fom.VIDEO and not samples):
        filtered = isinstance(samples, fo.DatasetView) and len(samples._dataset)
        raise HS2SError(
            "no video: the view's filters leave nothing. Change or clear them."
            if filtered
            else "no video: the dataset has no samples yet. Add videos to it first."
        )
    if samples.media_type != fom.VIDEO:
        raise HS2SError(
            f"no video: the samples are of type {samples.media_type!r}, expected 'video'. Of "
            "images that are the frames of videos, make videos by load_groups(dataset.group_by("
            "FIELD, order_by=FIELD)) of hs2s_fiftyone; write_to_images brings masks back to them. "
            "For folders of frames, load them with the operator 'Load a VOS dataset'."
        )
    return samples


def shows_all_labels(view: fo.DatasetView) -> bool:
    """Whether a view leaves the labels of its samples as they are."""
    return all(isinstance(stage, _SAMPLE_STAGES) for stage in view._stages)


def label_filters(samples: SampleCollection) -> fo.DatasetView | None:
    """A view of all videos with the stages of this one that choose labels, if it has any."""
    stages = _filters(getattr(samples, "_stages", []))
    if not stages:
        return None
    view = all_videos(samples).view()
    for stage in stages:
        view = view.add_stage(stage)
    return view


def _ungrouped(samples: SampleCollection) -> SampleCollection:
    """The same samples in their order, each once, with what filters their labels, but no groups.

    Of a group these are the videos in all of its slices.
    """
    stages: list[fos.ViewStage] = getattr(samples, "_stages", [])
    grouped = samples.media_type == fom.GROUP
    if samples._is_generated or not (grouped or any(isinstance(s, _GROUPING) for s in stages)):
        return samples
    flat = samples.flatten() if samples._is_dynamic_groups else samples
    kinds = samples._dataset.group_media_types or {}
    if flat.media_type != fom.VIDEO and fom.VIDEO not in kinds.values():
        return flat
    sliced = any(isinstance(stage, fos.SelectGroupSlices) for stage in stages)
    if flat.media_type == fom.GROUP and not sliced:
        flat = flat.select_group_slices(media_type=fom.VIDEO)
    view = select_videos(samples, list(dict.fromkeys(flat.values("id"))), ordered=True)
    for place, stage in enumerate(stages):
        if isinstance(stage, fos.Concat):
            _refuse_other_filters(stages[:place], stage.samples._stages)
    # Filters of a group's labels are for one slice only, until they are applied anew.
    for stage in _filters(stages):
        view = view.add_stage(stage)
    return view


def _filters(stages: Iterable[fos.ViewStage]) -> list[fos.ViewStage]:
    """The stages that choose labels, not samples."""
    return [stage for stage in stages if not isinstance(stage, (*_SAMPLE_STAGES, *_GROUPING))]


def _refuse_other_values(samples: SampleCollection) -> None:
    """Raise HS2SError for a view whose labels are shown otherwise than they are stored."""
    for stage in getattr(samples, "_stages", []):
        if isinstance(stage, _CHANGING) and stage.field.startswith("frames."):
            raise HS2SError(
                f"this view shows other values in {stage.field!r} than are stored; masks are read "
                "from and written to what is stored. Remove the stage "
                f"{type(stage).__name__!r}, or store what it shows: "
                f"view.save('frames.{stage.field.split('.')[1]}')."
            )


def _refuse_other_filters(stages: Iterable[fos.ViewStage], joined: Iterable[fos.ViewStage]) -> None:
    """Raise HS2SError for views joined as one of which each shows other labels."""
    shown = [[stage._kwargs() for stage in _filters(each)] for each in (stages, joined)]
    if shown[0] != shown[1]:
        raise HS2SError(
            "views are joined here that do not show the same labels; expected the same filters of "
            "labels in each. Filter the joined view, or take one view after the other."
        )


def is_images_in_groups(samples: SampleCollection) -> bool:
    """Whether these are dynamic groups of images."""
    return samples._is_dynamic_groups and samples.flatten().media_type == fom.IMAGE


def select_videos(
    samples: SampleCollection, ids: str | Sequence[str], *, ordered: bool = False
) -> SampleCollection:
    """These samples of the whole dataset, whichever slices of their groups they are in.

    ``dataset.select`` alone finds none but those of the active slice. ``ordered`` keeps the order
    of the ids.
    """
    return all_videos(samples).select(ids, ordered=ordered)


def all_videos(samples: SampleCollection) -> SampleCollection:
    """Those of the whole dataset, in all slices of its groups."""
    dataset = samples._dataset
    if dataset.media_type == fom.GROUP:
        return dataset.select_group_slices(media_type=fom.VIDEO)
    return dataset


def video_names(samples: SampleCollection) -> dict[str, str]:
    """A unique name for each video, by sample id: its ``video_id``, else its file's stem."""
    ids, paths = samples.values(["id", "filepath"])
    stems = [Path(path.replace("\\", "/")).stem for path in paths]
    if isinstance(samples._dataset.get_field("video_id"), fo.StringField):
        # Of the dataset, because a view may hide the field.
        known = select_videos(samples, ids, ordered=True).values("video_id")
        stems = [video or stem for video, stem in zip(known, stems, strict=True)]
    counts = Counter(stems)
    return {
        sample_id: stem if counts[stem] == 1 else f"{stem} ({sample_id})"
        for sample_id, stem in zip(ids, stems, strict=True)
    }


def items_of(samples: SampleCollection) -> list[Item]:
    """Every video, as a job takes it."""
    return [Item(*entry) for entry in video_names(samples).items()]


def source_info(samples: SampleCollection) -> dict[str, Any]:
    """What a load noted of where the dataset is from; empty if it was not loaded here."""
    return samples._dataset.info.get(INFO_KEY) or {}
