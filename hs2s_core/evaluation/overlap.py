"""Which predicted object is which true one, where the two are numbered differently."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import linear_sum_assignment

from hs2s_core.media.masks import IdMap, id_dtype, object_ids

MATCHES = {
    "index": "the same id is the same object",
    "overlap": "a predicted object is the true one it overlaps where that first appears",
}
"""How predicted objects are matched with those of the truth: name -> description."""

_POOR, _GOOD = 0.1, 0.5


class Overlaps:
    """Matches predicted objects with true ones, one to one, by their overlap (J).

    Each true object is measured once, in the first frame from its own first one on in which
    anything is predicted.
    """

    def __init__(self) -> None:
        self._measured: set[int] = set()
        self._overlap: dict[tuple[int, int], float] = {}

    def measure(self, truth: IdMap, prediction: IdMap) -> None:
        """Take the id maps (H, W) of the next frame."""
        fresh = [object_id for object_id in object_ids(truth) if object_id not in self._measured]
        predicted = object_ids(prediction) if fresh else []
        if not predicted:
            return
        own = {object_id: prediction == object_id for object_id in predicted}
        for object_id in fresh:
            self._measured.add(object_id)
            true = truth == object_id
            for other, mask in own.items():
                both = np.count_nonzero(true & mask)
                if both:
                    union = np.count_nonzero(true) + np.count_nonzero(mask) - both
                    self._overlap[other, object_id] = both / union

    def assign(self) -> dict[int, int]:
        """The true object of each predicted one; those that fit none are left out."""
        if not self._overlap:
            return {}
        found, objects = (sorted(set(ids)) for ids in zip(*self._overlap, strict=True))
        gain = np.array([[self._overlap.get((own, id_), 0.0) for id_ in objects] for own in found])
        pairs = zip(*linear_sum_assignment(gain, maximize=True), strict=True)
        return {found[row]: objects[column] for row, column in pairs if gain[row, column] > 0}

    def remark(self) -> str | None:
        """What to tell of predictions that lie well on other objects than those of their ids."""
        moved = {
            own: object_id
            for own, object_id in self.assign().items()
            if own != object_id
            and self._overlap[own, object_id] >= _GOOD
            and self._overlap.get((object_id, object_id), 0.0) <= _POOR
        }
        if not moved:
            return None
        listed = ", ".join(f"{own} lies on {true}" for own, true in sorted(moved.items())[:4])
        return (
            f"ids look numbered differently in prediction and truth: predicted object {listed}"
            f"{', ...' if len(moved) > 4 else ''}. To match objects by where they are, evaluate "
            "with match='overlap' (hs2s evaluate: --match overlap)."
        )


class Renumbered:
    """Gives predicted objects the ids of true ones; those that fit none get ids of their own."""

    def __init__(self, tied: Mapping[int, int]) -> None:
        """Take what :meth:`Overlaps.assign` says."""
        self._ids = dict(tied)
        self._used = set(tied.values())

    def __call__(self, id_map: IdMap) -> IdMap:
        """The id map (H, W) with these ids."""
        table = np.zeros(int(id_map.max(initial=0)) + 1, np.uint16)
        for own in object_ids(id_map):
            table[own] = self._find(own)
        renumbered: IdMap = table[id_map].astype(id_dtype(int(table.max())))
        return renumbered

    def _find(self, own: int) -> int:
        if own not in self._ids:
            free = own if own not in self._used else max(self._used) + 1
            self._ids[own] = free
            self._used.add(free)
        return self._ids[own]
