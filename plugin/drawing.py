"""Makes a dataset ready for masks that a person draws in the App's Annotate tab.

The App offers only frame fields that have an active label schema with classes; nothing in it can
add such a field to videos. And it draws only on videos whose number of frames is in their metadata.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from functools import partial
from itertools import chain
from pathlib import Path

import fiftyone as fo
import fiftyone.constants as foc
from fiftyone.core.collections import SampleCollection

from hs2s_core.checked.calls import checked_call
from hs2s_core.errors import HS2SError
from hs2s_core.media.frames import open_frames

from .labels.conversion import NO_CLASS, LabelField
from .labels.frame_fields import add_detections, bare, kind_error, mask_fields
from .videos.collection import videos_of

__all__ = ["DRAWN", "drawing_problem", "prepare_drawing"]

DRAWN = "drawn"
"""The frame field for drawn masks, where none is named.

What is drawn anew goes to the first field in the alphabet that is shown (FiftyOne 1.22). So this
name stands before that of the output field.
"""


@checked_call
def prepare_drawing(
    samples: SampleCollection, field: str = DRAWN, classes: str | Iterable[str] | None = None
) -> list[str]:
    """Let the App draw masks in a frame field of a video dataset; returns its classes.

    The field is added where there is none, and its label schema activated; metadata of videos that
    lack them are computed. No label is touched, and all but the classes that a schema of this field
    has already is kept.

    Args:
        samples: a dataset of videos, or a view of one.
        field: frame field of ``Detections``, with or without ``frames.``.
        classes: that can be chosen for an object, beside those that labels of the field have, also
            as one text with commas; by default those that the field offers already, that labels of
            the dataset have and that its other fields offer, else "object".

    Raises:
        HS2SError: no videos, a field of another kind, or a FiftyOne whose App cannot draw on them.
    """
    videos = videos_of(samples)
    dataset = videos._dataset
    name = bare(field)
    problem = drawing_problem(dataset, name)
    if problem is not None:
        raise HS2SError(problem)
    path = f"frames.{name}"
    found = dataset.label_schemas.get(path)
    offered = _to_offer(dataset, name, classes)
    add_detections(dataset, name)
    schema = found or dataset.generate_label_schemas(fields=path, scan_samples=False)
    schema = {**schema, "classes": offered, "component": "dropdown"}
    # Both save the dataset, which every run of a propagation would wait for.
    if schema != found:
        dataset.update_label_schema(path, schema)
    if path not in dataset.active_label_schemas:
        dataset.activate_label_schemas(path)
    unknown = without_metadata(videos)
    if unknown:
        unknown.compute_metadata(overwrite=True, skip_failures=True, progress=False)
    return offered


def _to_offer(dataset: fo.Dataset, name: str, classes: str | Iterable[str] | None) -> list[str]:
    """The classes that :func:`prepare_drawing` lets choose in the frame field ``name``."""
    if classes is None:
        others = map(partial(offered_classes, dataset), offered_fields(dataset))
        before = offered_classes(dataset, name)
        known = [*before, *known_classes(dataset), *chain.from_iterable(others)]
    else:
        listed = classes.split(",") if isinstance(classes, str) else classes
        known = [*(each.strip() for each in listed), *known_classes(dataset, fields=[name])]
    return list(dict.fromkeys(filter(None, known))) or [NO_CLASS]


def without_metadata(samples: SampleCollection) -> SampleCollection:
    """The videos whose number of frames FiftyOne does not know."""
    return samples.match({"metadata.total_frame_count": None})


def turned_videos(samples: SampleCollection, at_most: int) -> list[str]:
    """Those of the first videos whose files hold the frames on their side, by file name.

    The Annotate tab shows them so, and what is drawn there does not lie on the objects (FiftyOne
    1.22). Files that cannot be read are left out.
    """
    found = []
    for path in samples.limit(at_most).values("filepath"):
        try:
            if open_frames(path).turned:
                found.append(Path(path).name)
        except HS2SError:  # said where they are propagated
            continue
    return found


def drawing_problem(samples: SampleCollection, field: str) -> str | None:
    """Why nothing can be drawn in the frame field ``field``; None if it can."""
    if draws_on_videos():
        return kind_error(samples, field)
    return (
        f"the App of this FiftyOne ({foc.VERSION}) cannot draw masks on videos, for which it needs "
        "label schemas of frame fields; expected a newer one. Update it (pip install -U fiftyone), "
        "or draw with another tool (dataset.annotate, Polylines or PNG files will do as well)"
    )


def draws_on_videos() -> bool:
    """Whether this FiftyOne's App draws on videos: its label schemas take frame fields."""
    if not hasattr(fo.Dataset, "activate_label_schemas"):
        return False
    # Between the first label schemas and those of videos, nothing else tells the two apart.
    from fiftyone.core.annotation.utils import list_valid_annotation_fields

    return "include_frames" in inspect.signature(list_valid_annotation_fields).parameters


def offered_fields(samples: SampleCollection) -> list[str]:
    """The frame fields that the App's Annotate tab offers."""
    paths = getattr(samples._dataset, "active_label_schemas", None) or []
    return [bare(path) for path in paths if path != bare(path)]


def offered_classes(samples: SampleCollection, field: str) -> list[str]:
    """The classes that can be drawn in a frame field."""
    schemas = getattr(samples._dataset, "label_schemas", {})  # older FiftyOnes have none
    return list((schemas.get(f"frames.{field}") or {}).get("classes") or [])


def known_classes(
    samples: SampleCollection, at_most: int | None = None, fields: Collection[str] | None = None
) -> list[str]:
    """The classes that frame labels of a dataset have, in alphabetical order.

    ``at_most`` bounds how many frames are looked at, as a form must answer quickly; ``fields`` are
    the frame fields to look at, None for all that can hold masks.
    """
    found: set[str] = set()
    some = [] if at_most is None else [{"$limit": at_most}]
    for name in mask_fields(samples):
        if fields is not None and name not in fields:
            continue
        known = LabelField.of(samples, name)
        named = list(known.targets.names.values())
        if known.items is not None:
            shown = [{"$project": {"label": f"${known.items}.label"}}, {"$unwind": "$label"}]
            stages = [*some, *shown, {"$group": {"_id": "$label"}}]
            named = [each["_id"] for each in samples._dataset._frame_collection.aggregate(stages)]
        found.update(label for label in named if label)
    return sorted(found)
