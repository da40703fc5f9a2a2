"""Which labels of a video show the same object."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from hs2s_core.errors import HS2SError, InvalidDataset

from .reading import LabelPart

MATCHES = {
    "index": "Labels with the same index (or instance) show the same object",
    "overlap": "Predictions belong to the objects they overlap where those first appear",
}
"""How predictions are tied to the objects of the truth: name -> description."""
Key = tuple[int | None, object | None]
"""Index and instance id of a label."""


class Identities:
    """Which labels of a video show the same object, by ``index``, else by ``instance``.

    An object's id is its index where that can be an id, else the smallest that is free.
    """

    def __init__(self) -> None:
        self._by_index: dict[int, int] = {}
        self._by_instance: dict[object, int] = {}
        self._taken: set[int] = set()

    @classmethod
    def of(cls, keys: Iterable[tuple[int | None, object | None]]) -> Identities:
        """The objects of labels with these indexes and instance ids."""
        made = cls()
        pairs = list(dict.fromkeys(keys))
        claimed = {index for index, _ in pairs if index is not None}
        for index, instance in pairs:
            made.add(index, instance, claimed)
        return made

    def find(self, index: int | None, instance: object | None) -> int | None:
        """The id of the object that a label shows; None if it is none of these."""
        found = None if index is None else self._by_index.get(index)
        return self._by_instance.get(instance) if found is None else found

    def add(self, index: int | None, instance: object | None, claimed: Collection[int] = ()) -> int:
        """The id of a label's object, a new one if needed.

        ``claimed`` are the indexes that other labels of the video have. Raises InvalidDataset for a
        label with neither index nor instance.
        """
        if index is None and instance is None:
            raise InvalidDataset(
                "a label has neither `index` nor `instance`, so it cannot be followed from frame "
                "to frame; give each object an index."
            )
        object_id = self.find(index, instance)
        if object_id is None:
            object_id = self._new_id(index, claimed)
            self._taken.add(object_id)
        if index is not None:
            self._by_index.setdefault(index, object_id)
        if instance is not None:
            self._by_instance.setdefault(instance, object_id)
        return object_id

    def extra(self) -> int:
        """The id of one more object, that no label shown here has."""
        object_id = self._new_id(None, self._by_index)
        self._taken.add(object_id)
        return object_id

    def _new_id(self, index: int | None, claimed: Collection[int]) -> int:
        if index is not None and 0 < index < 2**16 and index not in self._taken:
            return index
        free = (n for n in range(1, 2**16) if n not in self._taken and n not in claimed)
        try:
            return next(free)
        except StopIteration:
            raise HS2SError("the video has more than 65535 objects") from None


class Overlaps:
    """Ties predicted objects to true ones one to one, by their overlap (J).

    For models that number their objects anew. Each true object is measured once, in the first frame
    from its own first one on in which anything is predicted.
    """

    def __init__(self) -> None:
        self.measured: set[int] = set()
        """True objects that were measured."""
        self._overlap: dict[tuple[Key, int], float] = {}

    def measure(
        self, truth: Iterable[tuple[int, LabelPart]], predicted: Collection[LabelPart]
    ) -> None:
        """Take the labels of a frame, true ones with the ids of their objects."""
        fresh = [entry for entry in truth if entry[0] not in self.measured]
        if not predicted:
            return
        for object_id, part in fresh:
            self.measured.add(object_id)
            for other in predicted:
                if part.mask is None or other.mask is None:
                    continue
                union = np.count_nonzero(part.mask | other.mask)
                both = np.count_nonzero(part.mask & other.mask)
                self._overlap[other.key, object_id] = both / union if union else 0.0

    def assign(self) -> Mapping[Key, int]:
        """The true object of each predicted one; those that fit none are left out."""
        keys = list(dict.fromkeys(key for key, _ in self._overlap))
        objects = sorted({object_id for _, object_id in self._overlap})
        if not keys:
            return {}
        gain = np.array([[self._overlap.get((key, id_), 0.0) for id_ in objects] for key in keys])
        pairs = zip(*linear_sum_assignment(gain, maximize=True), strict=True)
        return {keys[row]: objects[column] for row, column in pairs if gain[row, column] > 0}
