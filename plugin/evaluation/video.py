"""One video: what can be evaluated of it, and its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError, InvalidDataset, InvalidMask
from hs2s_core.evaluation import EvaluationTable, FramePair, ObjectInfo, evaluate_sequence

from ..prompts import visible_labels
from ..videos import Sizes, mask_sizes
from .matching import Identities, Key, Overlaps
from .reading import IdMap, LabelField, LabelPart, paint, read_documents
from .settings import Settings


@dataclass(frozen=True)
class FrameLabels:
    """What has to be known of a frame's labels once its rows are there."""

    frame_id: ObjectId
    frame: int
    """0-based."""
    predicted: list[tuple[int, ObjectId, int, float | None]]
    """Place in the list, id, object and confidence of each predicted label with a mask."""
    truth: dict[int, ObjectId]
    """Id of the first true label of each object."""


@dataclass
class VideoResult:
    """What came of one video."""

    table: EvaluationTable
    frames: list[FrameLabels]
    """The annotated frames, in order."""
    notes: list[str]


@dataclass
class Video:
    """The labels of a video, truth beside prediction.

    Only one frame is in memory at a time; what is kept of the past are ids and counts.
    """

    samples: SampleCollection
    sample_id: str
    name: str
    settings: Settings
    _frames: list[FrameLabels] = field(default_factory=list)
    _objects: dict[int, ObjectInfo] = field(default_factory=dict)
    _empty: int = 0
    _overlaps: dict[str, list[int]] = field(default_factory=dict)

    def problem(self) -> str | None:
        """Why the video cannot be evaluated, as far as can be told without decoding masks."""
        try:
            _ = self.sizes
            self._check()
        except HS2SError as error:
            return str(error)
        return None

    def evaluate(self) -> VideoResult:
        """Rows of every object in every annotated frame.

        Raises HS2SError, saying what to do, if labels cannot be told apart, cannot be decoded, or
        lack masks.
        """
        self._check()
        protocol = self.settings.protocol
        objects: Mapping[int, ObjectInfo] | None = self._objects
        if protocol.merge_objects:
            objects = None
        elif self.settings.meta is not None:
            objects = self._listed()
        # The mapping fills while the frames go by; it is asked when all have passed.
        table = evaluate_sequence(self.name, self._pairs(), protocol, objects=objects)
        return VideoResult(table, self._frames, [*table.notes, *self._remarks()])

    # ------------------------------------------------------------ what there is

    @cached_property
    def truth(self) -> LabelField:
        """The field with the truth."""
        return LabelField.of(self.samples, self.settings.truth_field)

    @cached_property
    def prediction(self) -> LabelField:
        """The field with the predictions."""
        return LabelField.of(self.samples, self.settings.prediction_field)

    @cached_property
    def sizes(self) -> Sizes:
        """(H, W) of the video, to which labels are relative, and of its source frames."""
        return mask_sizes(self.samples, self.sample_id)

    @cached_property
    def identities(self) -> Identities:
        """The objects of the truth; the others of the predictions join them on the way."""
        return Identities.of(self._keys(self.truth))

    @cached_property
    def tied(self) -> dict[Key, int] | None:
        """Objects of predicted labels where these are matched by overlap, else None."""
        return self._objects_by_overlap() if self.settings.match == "overlap" else None

    @cached_property
    def _visible(self) -> dict[str, set[ObjectId] | None]:
        """Ids of the labels of each field that a view leaves visible, None for all."""
        names = self.settings.truth_field, self.settings.prediction_field
        return {name: visible_labels(self.samples, self.sample_id, name) for name in names}

    @cached_property
    def _visible_frames(self) -> set[int] | None:
        """Numbers of the frames that a view leaves visible, None for all."""
        if all(visible is None for visible in self._visible.values()):
            return None
        view = self.samples.select(self.sample_id)
        return set(view.values("frames.frame_number", unwind=True))

    def _check(self) -> None:
        settings = self.settings
        annotated = self._count(settings.truth_field)
        if not annotated:
            raise InvalidDataset(
                f"no frame has labels in the truth field {settings.truth_field!r}; expected at "
                "least one annotated frame. Annotate the video or leave it out."
            )
        if not self._count(settings.prediction_field):
            raise InvalidDataset(
                f"no frame has labels in the prediction field {settings.prediction_field!r}; run "
                "the model on this video, or leave it out."
            )
        for known in (self.truth, self.prediction):
            nameless = sum(key == (None, None) for key in self._keys(known))
            if nameless:
                raise InvalidDataset(
                    f"{nameless} labels in {known.name!r} have neither `index` nor `instance`, so "
                    "they cannot be followed from frame to frame; give each object an index."
                )

    def _count(self, name: str) -> int:
        frames = self.samples._dataset._frame_collection
        query = {"_sample_id": ObjectId(self.sample_id), name: {"$ne": None}}
        return int(frames.count_documents(query, limit=1))

    def _keys(self, known: LabelField) -> Iterator[Key]:
        """What identifies the labels of a field; nothing of a Segmentation."""
        if known.items is None:
            return
        shown = [f"{known.items}.{part}" for part in ("_id", "index", "instance._id")]
        for document in self._documents(annotated=known.name, shown=shown):
            yield from known.keys(document, self._visible[known.name])

    def _documents(
        self, *, annotated: str, shown: Collection[str] | None = None
    ) -> Iterator[dict[str, Any]]:
        names = [self.truth.name, self.prediction.name]
        if "frame_name" in self.samples._dataset.get_frame_field_schema():
            names.append("frame_name")
        visible = self._visible_frames
        for document in read_documents(
            self.samples, self.sample_id, names, annotated=annotated, shown=shown
        ):
            if visible is None or document["frame_number"] in visible:
                yield document

    # ------------------------------------------------------------ frame by frame

    def _pairs(self) -> Iterator[FramePair]:
        height, width = self.sizes[1]
        for document in self._documents(annotated=self.truth.name):
            number = document["frame_number"]
            true = self._true(document)
            predicted = self._predicted(document)
            self._empty += document.get(self.prediction.name) is None
            self._describe(true, number)
            self._remember(document, true, predicted)
            yield FramePair(
                prediction=self._paint(predicted, number, "prediction")[:height, :width],
                truth=self._paint(true, number, "truth")[:height, :width],
                frame=number - 1,
                name=document.get("frame_name") or "",
            )

    def _true(self, document: dict[str, Any]) -> list[tuple[int, LabelPart]]:
        """The true labels of a frame with their objects' ids."""
        parts = self._parts(self.truth, document)
        return [(self.identities.add(*part.key), part) for part in parts]

    def _predicted(self, document: dict[str, Any]) -> list[tuple[int, LabelPart]]:
        """The predicted labels of a frame with their objects' ids."""
        parts = self._parts(self.prediction, document)
        if self.tied is None:
            return [(self.identities.add(part.index, part.instance), part) for part in parts]
        for part in parts:
            if part.key not in self.tied:
                self.tied[part.key] = self.identities.extra()
        return [(self.tied[part.key], part) for part in parts]

    def _parts(self, known: LabelField, document: dict[str, Any]) -> list[LabelPart]:
        where = f"frame {document['frame_number']}"
        parts = known.parts(document, self.sizes[0], where, self._visible[known.name])
        for part in parts:
            if part.mask is None:
                raise InvalidMask(
                    f"the label with index {part.index} in {where} of {known.name!r} has no mask, "
                    "only a box or an open line; J and F need masks."
                )
        return parts

    def _describe(self, parts: list[tuple[int, LabelPart]], number: int) -> None:
        """Note the category of each object when it first appears."""
        seen = self.settings.seen_categories
        for object_id, part in parts:
            if object_id in self._objects:
                continue
            if seen is not None and part.label is None:
                raise InvalidDataset(
                    f"object {object_id} in frame {number} of {self.truth.name!r} has no label, so "
                    "it cannot be told whether its category is a seen one; give it a label."
                )
            flag = None if seen is None else part.label in seen
            self._objects[object_id] = ObjectInfo(part.label, flag)

    def _remember(
        self,
        document: dict[str, Any],
        true: list[tuple[int, LabelPart]],
        predicted: list[tuple[int, LabelPart]],
    ) -> None:
        merged = self.settings.protocol.merge_objects
        self._frames.append(
            FrameLabels(
                frame_id=document["_id"],
                frame=document["frame_number"] - 1,
                predicted=[
                    (part.place, part.label_id, 1 if merged else object_id, part.confidence)
                    for object_id, part in predicted
                ],
                truth={
                    1 if merged else object_id: part.label_id for object_id, part in reversed(true)
                },
            )
        )

    def _paint(self, parts: list[tuple[int, LabelPart]], number: int, kind: str) -> IdMap:
        id_map, overlap = paint(parts, self.sizes[0])
        if overlap:
            self._overlaps.setdefault(kind, []).append(number)
        return id_map

    def _listed(self) -> Mapping[int, ObjectInfo]:
        """The objects that the metadata file lists for this video."""
        assert self.settings.meta is not None
        if self.name not in self.settings.meta:
            raise InvalidDataset(f"the metadata file does not list the video {self.name!r}")
        return self.settings.meta[self.name]

    def _remarks(self) -> Iterator[str]:
        if self._empty:
            yield (
                f"{self.name}: {self._empty} of {len(self._frames)} annotated frames have no "
                f"{self.prediction.name!r} at all, which counts as nothing predicted."
            )
        for kind, numbers in self._overlaps.items():
            yield (
                f"{self.name}: masks of the {kind} overlap in {len(numbers)} frames (first in "
                f"frame {numbers[0]}); there the most confident one counts, else the last."
            )

    def _objects_by_overlap(self) -> dict[Key, int]:
        """The objects of predicted labels by what they overlap; other labels join later."""
        overlaps = Overlaps()
        visible = self._visible[self.truth.name]
        for document in self._documents(annotated=self.truth.name):
            keys = self.truth.keys(document, visible)
            known = {self.identities.find(*key) for key in keys}
            if known and known <= overlaps.measured:
                continue
            overlaps.measure(self._true(document), self._parts(self.prediction, document))
        return dict(overlaps.assign())
