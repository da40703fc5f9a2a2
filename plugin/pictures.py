"""A video of a dataset at one look: a few frames with the masks of a field, for notebooks."""

from __future__ import annotations

from typing import NamedTuple

import fiftyone as fo
from fiftyone.core.sample import SampleView

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.media.masks import IdMap
from hs2s_core.media.strip import Picture, evenly, overlay_strip

from .labels.conversion import LabelField, paint, read_documents
from .labels.frame_fields import bare, mask_field_error
from .labels.identities import Identities
from .media import open_clip

__all__ = ["show_field"]


class _Frame(NamedTuple):
    index: int  # type: ignore[assignment]  # of a tuple's method
    id_map: IdMap


@checked_call
def show_field(
    sample: fo.Sample | SampleView, field: str, *, count: int = 6, height: int = 160
) -> Picture:
    """``count`` evenly spaced frames of a video, the masks of frame field ``field`` over them.

    Labels with neither ``index`` nor ``instance`` are not shown. ``height`` is that of each frame,
    in pixels.

    Raises:
        HS2SError: no sample, no such field of masks, or a ``count`` or ``height`` below 1.
        InvalidMedia: a video that cannot be read.
    """
    name, dataset = bare(field), sample.dataset
    if error := mask_field_error(dataset, name):
        raise HS2SError(error)
    clip, known = open_clip(sample), LabelField.of(dataset, name)
    identities = Identities(known.marks(dataset, sample.id))
    rows, columns = clip.frames.size
    indices = evenly(clip.frames.count(), count)
    found = {
        document["frame_number"]: document
        for document in read_documents(dataset, sample.id, [name])
        if document["frame_number"] - 1 in indices
    }
    shown = []
    for index in indices:
        parts = known.parts(found.get(index + 1, {}), clip.video_size, f"frame {index + 1}")
        owned = [(identities.add(part.mark), part) for part in parts if not part.mark.is_nameless]
        id_map, _ = paint(owned, clip.video_size)
        shown.append(_Frame(index, id_map[:rows, :columns]))
    return overlay_strip(clip.frames, shown, count=count, height=height)
