"""Which predicted object is which true one, where a tool numbered its objects anew."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from hs2s_core.media.masks import IdMap, id_dtype, object_ids

MATCHES = {
    "ids": "equal ids (index or instance) show the same object",
    "overlap": "a predicted object is the true one that it overlaps where that first appears",
}
"""How predictions are tied to the objects of the truth: name -> description."""


class IdOverlaps:
    """Measures the overlap (J) of predicted and true objects of a video, frame by frame.

    Each true object is measured once, in the first frame from its own first one on in which
    anything is predicted.
    """

    def __init__(self) -> None:
        self._overlap: dict[int, dict[int, float]] = {}
        """True id -> predicted id -> J."""

    def measure(self, truth: IdMap, prediction: IdMap, shown: Collection[int]) -> None:
        """Take a frame's maps ``(H, W)``; ``shown`` are the ids that its truth shows."""
        fresh = [object_id for object_id in shown if object_id not in self._overlap]
        if not fresh or not prediction.any():
            return
        areas = _areas(prediction)
        for object_id in fresh:
            inside = truth == object_id
            area = int(np.count_nonzero(inside))
            self._overlap[object_id] = {
                other: common / (area + areas[other] - common)
                for other, common in _areas(prediction[inside]).items()
            }

    def assign(self) -> dict[int, int]:
        """The true object of each predicted one, one to one; those that fit none are left out."""
        known = sorted({other for found in self._overlap.values() for other in found})
        if not known:
            return {}
        true = sorted(self._overlap)
        gain = np.array([[self._overlap[key].get(other, 0.0) for key in true] for other in known])
        places = zip(*linear_sum_assignment(gain, maximize=True), strict=True)
        return {known[row]: true[column] for row, column in places if gain[row, column] > 0}

    def remark(self) -> str | None:
        """A word on ids that are numbered in another way than the truth's; None if they agree."""
        if not self._overlap:
            return None
        best = sum(self._overlap[true][other] for other, true in self.assign().items())
        own = sum(found.get(object_id, 0.0) for object_id, found in self._overlap.items())
        best, own = (total / len(self._overlap) for total in (best, own))
        if best < 0.5 or own > best / 2:
            return None
        return (
            f"the objects seem to be numbered differently: where they first appear, J is "
            f"{100 * best:.0f} % by overlap, but {100 * own:.0f} % by their ids. Renumber the "
            "predictions, or match them by overlap (--match overlap, match='overlap')."
        )


def tie_ids(frames: Iterable[tuple[IdMap, IdMap]]) -> dict[int, int]:
    """True id by predicted id; ``frames`` are pairs of prediction and truth in time order."""
    overlaps = IdOverlaps()
    for prediction, truth in frames:
        overlaps.measure(truth, prediction, object_ids(truth))
    return overlaps.assign()


def renumber(prediction: IdMap, true_ids: Mapping[int, int]) -> IdMap:
    """``prediction`` with the truth's ids; objects that are none of the truth's are left out."""
    highest = max([int(prediction.max()), *true_ids])
    table = np.zeros(highest + 1, id_dtype(max(true_ids.values(), default=0)))
    table[list(true_ids)] = list(true_ids.values())
    return table[prediction]


def _areas(ids: npt.NDArray[np.unsignedinteger]) -> dict[int, int]:
    """Pixels of each object id."""
    found, counts = np.unique(ids, return_counts=True)
    return {int(key): int(n) for key, n in zip(found, counts, strict=True) if key}
