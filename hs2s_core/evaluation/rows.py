"""The rows of the evaluation table, kept as columns: one object in one annotated frame each.

Everything that is scored, drawn or stored of an evaluation is made of these columns. A row takes
about 45 bytes; J and F are not stored, because they follow exactly from the counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, overload

import numpy as np
import numpy.typing as npt

from hs2s_core.data.meta import ObjectInfo
from hs2s_core.evaluation.metrics import FrameCounts

COUNTS = FrameCounts._fields
RECORD = np.dtype(
    [
        ("video", "<i4"),  # place in Rows.videos
        ("object", "<i4"),
        ("frame", "<i4"),
        ("since_prompt", "<i4"),
        ("counted", "?"),
        *((name, "<i4") for name in COUNTS),
    ]
)
_NAMES = list(RECORD.names or ())

Records = npt.NDArray[np.void]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

ObjectKey = tuple[str, int]
"""Video and object id."""


class Row(NamedTuple):
    """J, F and the counts they came from; every number this package prints derives from rows."""

    video: str
    object: int
    """Object id; 1 where the protocol merges objects."""
    category: str | None
    seen: bool | None
    """Whether the category was seen in training; None where unknown."""
    frame: int
    """0-based frame of the video (position among annotated frames, unless the caller says more)."""
    frame_name: str
    """Stem of the annotated frame's file; empty where there is no file."""
    since_prompt: int
    """Annotated frames since the object's prompt; 0 at the prompt, negative before it."""
    counted: bool
    """Whether the protocol counts this row."""
    j: float
    f: float
    area_truth: int
    area_prediction: int
    intersection: int
    boundary_truth: int
    boundary_prediction: int
    matched_truth: int
    matched_prediction: int
    in_truth: bool
    in_prediction: bool


class RowsVideo(NamedTuple):
    """What the rows of one video share."""

    name: str
    objects: Mapping[int, ObjectInfo]
    """Category and seen flag by object id."""
    frame_names: Mapping[int, str]
    """Stem of the annotated frame's file by frame; frames without a file are left out."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of any number of videos (R), as columns; iterating gives each as a :class:`Row`.

    Those of one object stand together and in time order.
    """

    records: Records = field(default_factory=lambda: np.zeros(0, RECORD))
    """(R,) with the fields of ``RECORD``, and maybe others behind them."""
    videos: tuple[RowsVideo, ...] = ()

    @classmethod
    def join(cls, parts: Sequence[Rows]) -> Rows:
        """Put rows one after the other; their videos stay apart, whatever their names."""
        if len(parts) == 1:
            return parts[0]
        records = np.concatenate([part.records for part in parts]) if parts else cls().records
        sizes = [len(part.videos) for part in parts]
        starts = np.cumsum([0, *sizes[:-1]])
        records["video"] += np.repeat(starts, [len(part) for part in parts]).astype(np.int32)
        return cls(records, tuple(video for part in parts for video in part.videos))

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[Row]:
        for values in self.records[_NAMES].tolist():
            place, object_id, frame, since_prompt, counted, *numbers = values
            video, counts = self.videos[place], FrameCounts(*numbers)
            info = video.objects.get(object_id, _UNKNOWN)
            yield Row(
                video=video.name,
                object=object_id,
                category=info.category,
                seen=info.seen,
                frame=frame,
                frame_name=video.frame_names.get(frame, ""),
                since_prompt=since_prompt,
                counted=counted,
                j=counts.j,
                f=counts.f,
                in_truth=counts.area_truth > 0,
                in_prediction=counts.area_prediction > 0,
                **counts._asdict(),
            )

    @overload
    def __getitem__(self, chosen: int) -> Row: ...

    @overload
    def __getitem__(self, chosen: slice | Bools) -> Rows: ...

    def __getitem__(self, chosen: int | slice | Bools) -> Row | Rows:
        """One row, or those of a slice or of a mask (R,)."""
        if isinstance(chosen, int):
            return next(iter(self[chosen : chosen + 1 or None]))
        return Rows(self.records[chosen], self.videos)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rows) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    # ------------------------------------------------------------ columns (R,)

    @cached_property
    def j(self) -> Floats:
        """Region similarity, to the last bit that of ``FrameCounts``."""
        records = self.records
        union = records["area_prediction"] + records["area_truth"] - records["intersection"]
        j: Floats = np.ones(len(self))
        np.divide(records["intersection"], union, out=j, where=union > 0)
        return j

    @cached_property
    def f(self) -> Floats:
        """Contour accuracy, to the last bit that of ``FrameCounts``."""
        sides = ("prediction", "truth")
        boundaries = [self.records[f"boundary_{side}"] for side in sides]
        both = (boundaries[0] > 0) & (boundaries[1] > 0)
        precision, recall = (
            np.divide(self.records[f"matched_{side}"], count, out=np.zeros(len(self)), where=both)
            for side, count in zip(sides, boundaries, strict=True)
        )
        f: Floats = (~both & (boundaries[0] == boundaries[1])).astype(np.float64)
        some = both & (precision + recall > 0)
        np.divide(2 * precision * recall, precision + recall, out=f, where=some)
        return f

    @cached_property
    def t(self) -> npt.NDArray[np.int32]:
        """Annotated frames since the object's prompt."""
        # Values side by side are read faster than those in records.
        return np.ascontiguousarray(self.records["since_prompt"])

    @cached_property
    def counted(self) -> Bools:
        """Whether the protocol counts the row."""
        return np.ascontiguousarray(self.records["counted"])

    @property
    def in_truth(self) -> Bools:
        """Whether the truth shows the object."""
        return self.records["area_truth"] > 0

    @property
    def in_prediction(self) -> Bools:
        """Whether the prediction shows the object."""
        return self.records["area_prediction"] > 0

    @cached_property
    def owner(self) -> Ints:
        """Place of the row's object among the objects."""
        new = np.zeros(len(self), np.int64)
        for name in ("video", "object"):
            new[1:] |= np.diff(self.records[name]) != 0
        return new.cumsum()

    # ------------------------------------------------------------ objects (O), videos (V)

    @cached_property
    def starts(self) -> Ints:
        """Place of the first row of each object, and the number of rows at the end (O + 1,)."""
        return np.searchsorted(self.owner, np.arange(self.owner.max(initial=-1) + 2))

    @cached_property
    def object_video(self) -> Ints:
        """Place of each object's video (O,)."""
        return self.records["video"][self.starts[:-1]].astype(np.int64)

    @cached_property
    def objects(self) -> list[ObjectKey]:
        """Video and id of each object (O)."""
        ids = self.records["object"][self.starts[:-1]].tolist()
        places = zip(self.object_video.tolist(), ids, strict=True)
        return [(self.videos[place].name, object_id) for place, object_id in places]

    @cached_property
    def infos(self) -> list[ObjectInfo]:
        """What is known of each object (O)."""
        places = zip(self.object_video.tolist(), self.objects, strict=True)
        return [self.videos[place].objects.get(key[1], _UNKNOWN) for place, key in places]

    def object_means(self, chosen: Bools) -> tuple[Floats, Floats]:
        """Mean J and F of each object over the ``chosen`` rows (O,); NaN where there is none."""
        j, f = (
            group_means(self.owner[chosen], values[chosen], len(self.objects))
            for values in (self.j, self.f)
        )
        return j, f

    @cached_property
    def lengths(self) -> Ints:
        """Annotated frames of each video (V,): its objects share frames."""
        frame = self.records["frame"]
        # As one number: sorting pairs takes ten times as long.
        span = int(frame.max(initial=0)) + 1
        pairs = np.unique(self.records["video"].astype(np.int64) * span + frame)
        return np.bincount(pairs // span, minlength=len(self.videos))


_UNKNOWN = ObjectInfo()


def group_means(group: Ints, values: Floats, groups: int) -> Floats:
    """Mean of the values of each group (groups,); NaN for a group without any."""
    count = np.bincount(group, minlength=groups)
    total = np.bincount(group, weights=values, minlength=groups)
    means: Floats = np.full(groups, np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
