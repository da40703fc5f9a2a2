"""Which objects of an evaluation the panel looks at; knows neither FiftyOne nor Plotly."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from hs2s_core.evaluation.lengths import length_bin
from hs2s_core.evaluation.rows import group_means

from .review_data import Evaluated

SIZES = {"small": (0.0, 0.01), "medium": (0.01, 0.1), "large": (0.1, np.inf)}
"""Object sizes: mean share of the frame's pixels, where the object is visible; from, below."""


@dataclass(frozen=True)
class Filters:
    """Which objects to look at; an empty set keeps all."""

    categories: frozenset[str] = field(default_factory=frozenset)
    seen: bool | None = None
    sizes: frozenset[str] = field(default_factory=frozenset)
    """Names of ``SIZES``."""
    lengths: frozenset[str] = field(default_factory=frozenset)
    """Names that ``length_bin`` gives."""

    videos: frozenset[str] | None = None
    """Sample ids; None keeps all."""

    def apply(self, evaluated: Evaluated) -> Evaluated:
        """The objects that pass; what is not known of one passes no filter that asks for it."""
        if self == Filters():
            return evaluated
        rows = evaluated.rows
        bins = [length_bin(int(length)) for length in rows.lengths]
        kept = [
            (not self.categories or info.category in self.categories)
            and (self.seen is None or info.seen is self.seen)
            and (not self.sizes or size in self.sizes)
            and (not self.lengths or bins[video] in self.lengths)
            and (self.videos is None or evaluated.samples[video] in self.videos)
            for info, size, video in zip(
                rows.infos, object_sizes(evaluated), rows.object_video, strict=True
            )
        ]
        return replace(evaluated, rows=rows[np.array(kept, np.bool_)[rows.owner]])


def object_sizes(evaluated: Evaluated) -> list[str | None]:
    """Name the size of each object; None where the pixels of its video's frames are unknown."""
    rows = evaluated.rows
    visible = rows.in_truth
    areas = rows.records["area_truth"][visible].astype(np.float64)
    means = group_means(rows.owner[visible], areas, len(rows.objects))
    pixels = np.array([count or np.nan for count in evaluated.pixels])
    return [size_name(share) for share in means / pixels[rows.object_video]]


def size_name(share: float) -> str | None:
    """Name the size of an object that covers this share of the frame; None for NaN."""
    return next((name for name, (low, high) in SIZES.items() if low <= share < high), None)
