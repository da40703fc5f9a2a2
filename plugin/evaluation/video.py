"""One video: what can be evaluated of it, and its rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bson import ObjectId
from fiftyone.core.collections import SampleCollection

from hs2s_core.errors import HS2SError, InvalidDataset, InvalidMask
from hs2s_core.evaluation import EvaluationTable, FramePair, ObjectInfo, evaluate_sequence
from hs2s_core.evaluation.identities import tie_ids
from hs2s_core.media.masks import IdMap
from hs2s_core.wording import counted

from ..labels.conversion import LabelField, LabelPart, paint, read_documents
from ..labels.frame_fields import has_labels
from ..labels.identities import Identities, Mark, Ties
from ..labels.prompts import visible_frames, visible_labels
from ..media import Sizes, check_upright, mask_sizes
from .settings import EvaluateSettings


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
class Video:
    """The labels of a video, truth beside prediction.

    Only one frame is in memory at a time; what is kept of the past are ids and counts.
    """

    samples: SampleCollection
    sample_id: str
    name: str
    settings: EvaluateSettings
    _frames: list[FrameLabels] = field(default_factory=list)
    _objects: dict[int, ObjectInfo] = field(default_factory=dict)
    _empty: int = 0
    _overlaps: dict[str, list[int]] = field(default_factory=dict)
    _boxed: list[int] = field(default_factory=list)

    def problem(self) -> str | None:
        """Why the video cannot be evaluated, as far as can be told without decoding masks."""
        try:
            _ = self.sizes
            self._check()
        except HS2SError as error:
            return str(error)
        return None

    def evaluate(self) -> tuple[EvaluationTable, list[FrameLabels]]:
        """Rows of every object in every annotated frame, and what is known of these frames.

        Raises HS2SError, saying what to do, if labels cannot be told apart, cannot be decoded, or
        lack masks.
        """
        self._check()
        protocol = self.settings.protocol
        objects: Mapping[int, ObjectInfo] | None = self._objects
        if protocol.merge_objects:
            objects = None
        elif (meta := self.settings.meta) is not None:
            assert not isinstance(meta, (str, Path)), "read before the first video"
            if self.name not in meta:
                raise InvalidDataset(f"the metadata file does not list the video {self.name!r}")
            objects = meta[self.name]
        # The mapping fills while the frames go by; it is asked when all have passed.
        table = evaluate_sequence(self.name, self._pairs(), protocol, objects=objects)
        return replace(table, notes=(*table.notes, *self._remarks())), self._frames

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
        """The objects of the truth."""
        return Identities(self._marks(self.truth))

    @cached_property
    def ties(self) -> Ties:
        """Which of these the predicted labels show."""
        predicted = Identities(self._marks(self.prediction))
        if self.settings.match == "overlap":
            return Ties(self.identities, predicted, self._pairs_by_overlap(predicted))
        marks = (mark for frame in self._marks(self.prediction) for mark in frame)
        return Ties(self.identities, predicted).start(dict.fromkeys(marks))

    @cached_property
    def _visible(self) -> dict[str, set[ObjectId] | None]:
        """Ids of the labels of each field that a view leaves visible, None for all."""
        names = self.settings.truth_field, self.settings.prediction_field
        return {name: visible_labels(self.samples, self.sample_id, name) for name in names}

    @cached_property
    def _visible_frames(self) -> set[int] | None:
        return visible_frames(self.samples, self.sample_id)

    def _check(self) -> None:
        settings = self.settings
        if not has_labels(self.samples, settings.truth_field, self.sample_id):
            raise InvalidDataset(
                f"no frame has labels in the truth field {settings.truth_field!r}; expected at "
                "least one annotated frame. Annotate the video or leave it out."
            )
        if not has_labels(self.samples, settings.prediction_field, self.sample_id):
            raise InvalidDataset(
                f"no frame has labels in the prediction field {settings.prediction_field!r}; run "
                "the model on this video, or leave it out."
            )
        for known in (self.truth, self.prediction):
            check_upright(self.samples, self.sample_id, known.name)
            nameless = sum(mark.is_nameless for frame in self._marks(known) for mark in frame)
            if nameless:
                raise InvalidDataset(
                    f"{counted(nameless, 'label')} in {known.name!r} with neither `index` nor "
                    "`instance`, which cannot be followed from frame to frame; give each object "
                    "an index."
                )

    def _marks(self, known: LabelField) -> Iterator[list[Mark]]:
        """What the labels of each frame say of their objects; nothing of a Segmentation."""
        frames = self._visible_frames
        for number, parts in known.frames(self.samples, self.sample_id, self._visible[known.name]):
            if frames is None or number in frames:
                yield [part.mark for part in parts]

    def _documents(self) -> Iterator[dict[str, Any]]:
        """The annotated frames."""
        names = [self.truth.name, self.prediction.name]
        if "frame_name" in self.samples._dataset.get_frame_field_schema():
            names.append("frame_name")
        visible = self._visible_frames
        for document in read_documents(
            self.samples, self.sample_id, names, annotated=self.truth.name
        ):
            if visible is None or document["frame_number"] in visible:
                yield document

    # ------------------------------------------------------------ frame by frame

    def _pairs(self) -> Iterator[FramePair]:
        height, width = self.sizes.source
        for document, true_parts, predicted_parts in self._annotated():
            number = document["frame_number"]
            true = [(self.identities.add(part.mark), part) for part in true_parts]
            predicted = [(self.ties(part.mark), part) for part in predicted_parts]
            self._empty += document.get(self.prediction.name) is None
            self._describe(true, number)
            self._remember(document, true, predicted)
            yield FramePair(
                prediction=self._paint(predicted, number, "prediction")[:height, :width],
                truth=self._paint(true, number, "truth")[:height, :width],
                frame=number - 1,
                name=document.get("frame_name") or "",
            )

    def _annotated(self) -> Iterator[tuple[dict[str, Any], list[LabelPart], list[LabelPart]]]:
        """The frames of which the truth says all, with its labels and the predicted ones.

        Where a person drew a mask, the App writes mere boxes into the frames after it: these are
        not annotated yet.
        """
        boxed: list[int] = []
        whole, refused = 0, None
        for document in self._documents():
            number = document["frame_number"]
            true, wrong = self._parts(self.truth, document)
            if wrong is not None:
                boxed.append(number)
                refused = refused or wrong
                continue
            whole += 1
            predicted, wrong = self._parts(self.prediction, document)
            if wrong is not None:
                raise wrong
            yield document, true, predicted
        if refused is not None and not whole:
            raise refused
        self._boxed = boxed

    def _parts(
        self, known: LabelField, document: dict[str, Any]
    ) -> tuple[list[LabelPart], InvalidMask | None]:
        """The labels of a frame, and what to say where one of them has no mask."""
        where = f"frame {document['frame_number']}"
        parts = known.parts(document, self.sizes.video, where, self._visible[known.name])
        without = next((part for part in parts if part.mask is None), None)
        if without is None:
            return parts, None
        return parts, InvalidMask(
            f"{without.mark.name} in {where} of {known.name!r} has no mask, only a box or a line; "
            "J and F need masks."
        )

    def _describe(self, parts: list[tuple[int, LabelPart]], number: int) -> None:
        """Note the category of each object when it first appears."""
        seen = self.settings.seen_categories
        for object_id, part in parts:
            if object_id in self._objects:
                continue
            if seen is not None and part.mark.label is None:
                raise InvalidDataset(
                    f"object {object_id} in frame {number} of {self.truth.name!r} has no label, so "
                    "it cannot be told whether its category is a seen one; give it a label."
                )
            flag = None if seen is None else part.mark.label in seen
            self._objects[object_id] = ObjectInfo(part.mark.label, flag)

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

    def _remarks(self) -> Iterator[str]:
        if self._empty:
            yield (
                f"{self.name}: no {self.prediction.name!r} at all in {self._empty} of "
                f"{counted(len(self._frames), 'annotated frame')}, which counts as nothing "
                "predicted."
            )
        if self._boxed:
            yield (
                f"{self.name}: left out: {counted(len(self._boxed), 'frame')} (first: "
                f"{self._boxed[0]}), because {self.truth.name!r} has labels without a mask there."
            )
        for known, identities in (
            (self.truth, self.identities),
            (self.prediction, self.ties.predicted),
        ):
            for remark in identities.remarks():
                yield f"{self.name}: {known.name}: {remark}"
        for kind, numbers in self._overlaps.items():
            yield (
                f"{self.name}: masks of the {kind} overlap in {counted(len(numbers), 'frame')} "
                f"(first in frame {numbers[0]}); there the most confident one counts, else the "
                "last."
            )

    def _pairs_by_overlap(self, predicted: Identities) -> dict[int, int]:
        """The true object of each predicted one, by their ids."""

        def maps() -> Iterator[tuple[IdMap, IdMap]]:
            size = self.sizes.video
            for _, true, found in self._annotated():
                own = [(self.identities.add(part.mark), part) for part in true]
                others = [(predicted.add(part.mark), part) for part in found]
                yield paint(others, size)[0], paint(own, size)[0]

        return tie_ids(maps())
