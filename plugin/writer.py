"""Writes the labels of a video a bounded number of frames at a time."""

from __future__ import annotations

import fiftyone as fo

from .labels import write_frame

FLUSH_BYTES = 32 * 2**20
FLUSH_FRAMES = 64


class FrameWriter:
    """Gathers the labels of one field of one video and saves them in batches.

    They wait here rather than in ``sample.frames``: FiftyOne shares one object per sample in a
    process, and whoever loads the sample in the meantime resets what was not saved.
    """

    def __init__(self, sample: fo.Sample, label_field: str) -> None:
        self._sample = sample
        self._field = label_field
        self._waiting: dict[int, fo.Detections] = {}
        self._bytes = 0

    def add(self, frame_number: int, detections: fo.Detections) -> None:
        """Take the labels of a frame (numbers from 1); saves when enough has gathered."""
        self._waiting[frame_number] = detections
        self._bytes += sum(label.mask.nbytes for label in detections.detections)
        if self._bytes >= FLUSH_BYTES or len(self._waiting) >= FLUSH_FRAMES:
            self.flush()

    def flush(self) -> None:
        """Save what waits."""
        for frame_number, detections in self._waiting.items():
            write_frame(self._sample, frame_number, self._field, detections)
        self._sample.save()
        self._waiting.clear()
        self._bytes = 0
