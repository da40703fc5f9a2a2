"""A collection that other processes can open."""

from __future__ import annotations

from typing import Any

import fiftyone as fo
from fiftyone.core.collections import SampleCollection


class Source:
    """A dataset or view, which arrives in another process as what it is there."""

    def __init__(self, samples: SampleCollection) -> None:
        self.samples = samples

    def __reduce__(self) -> tuple[Any, ...]:
        samples = self.samples
        view = samples._serialize() if isinstance(samples, fo.DatasetView) else None
        return _reopen, (samples._dataset.name, view)


def _reopen(name: str, stages: list[dict[str, Any]] | None) -> Source:
    dataset = fo.load_dataset(name)
    return Source(dataset if stages is None else fo.DatasetView._build(dataset, stages))
