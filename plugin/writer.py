"""Writes the labels of a video a bounded number of frames at a time."""

from __future__ import annotations

from typing import Any

import fiftyone as fo

FLUSH_BYTES = 32 * 2**20
FLUSH_FRAMES = 64


class FrameWriter:
    """Gathers what the frames of one video get, above all the labels of one field, in batches.

    They wait here rather than in ``sample.frames``: FiftyOne shares one object per sample in a
    process, and whoever loads the sample in the meantime resets what was not saved.

    ``new`` says that the video has no frames yet; so none is looked up.
    """

    def __init__(self, sample: fo.Sample, label_field: str, *, new: bool = False) -> None:
        self._sample = sample
        self._field = label_field
        self._new = new
        self._waiting: dict[int, dict[str, Any]] = {}
        self._bytes = 0

    def add(
        self, frame_number: int, detections: fo.Detections | None, **values: str | float | None
    ) -> None:
        """Take the labels of a frame (numbers from 1) and the ``values`` of its other fields.

        Saves when enough has gathered.
        """
        self._waiting[frame_number] = {self._field: detections, **values}
        if detections is not None:
            self._bytes += sum(label.mask.nbytes for label in detections.detections)
        if self._bytes >= FLUSH_BYTES or len(self._waiting) >= FLUSH_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Save what waits."""
        for frame_number, values in self._waiting.items():
            if self._new:
                self._sample.frames[frame_number] = fo.Frame(**values)
                continue
            frame = self._sample.frames[frame_number]
            for name, value in values.items():
                frame[name] = value
        self._sample.save()
        self._waiting.clear()
        self._bytes = 0
