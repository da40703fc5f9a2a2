"""Videos and clips that a click asks the App to open.

The App finds a sample only in its present view, and it takes its time to change the view. So what
is to be opened is remembered here until the App tells that the view is there.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import fiftyone as fo
from fiftyone.core.clips import ClipsView

SampleCollection = fo.core.collections.SampleCollection
CLIP_FRAMES = 12
"""Frames of a clip, at least: less can hardly be watched."""
PATIENCE = 180.0
"""Seconds after which nobody expects anything to open any more."""


class Target(NamedTuple):
    """A video, or a stretch of one."""

    video: str
    """Sample id."""
    support: tuple[int, int] | None = None
    """First and last frame number of the stretch."""

    def find(self, view: SampleCollection) -> str | None:
        """The id to open in this view; None where the view does not have the target."""
        clips = isinstance(view, ClipsView)
        if self.support is None:
            return self.video if not clips and has_sample(view, self.video) else None
        # Any other view of clips may be large.
        if not clips or len(view) != 1:
            return None
        clip = view.first()
        same = (clip.sample_id, tuple(clip.support)) == (self.video, self.support)
        return str(clip.id) if same else None


_wanted: dict[str, tuple[Target, float]] = {}


def want(panel_id: str, target: Target) -> None:
    """Remember a target until the view is there, in place of an earlier one."""
    _wanted[panel_id] = target, time.monotonic() + PATIENCE


def take(panel_id: str, view: SampleCollection) -> str | None:
    """The id to open now that this is the view; every target is handed out once.

    The panel's state could not say so: several events come in for one change of the view, and each
    brings the state from before.
    """
    target, until = _wanted.get(panel_id, (None, 0.0))
    if target is None or time.monotonic() > until:
        return None
    found = target.find(view)
    return found if found is None or _wanted.pop(panel_id, None) is not None else None


def stretch_of(dataset: fo.Dataset, video: str, first: int, last: int) -> Target:
    """Frames ``first`` to ``last`` (0-based) of a video, and some more where that is little."""
    view = dataset.select(video)
    count = view.values("metadata.total_frame_count")[0] or view.count("frames")
    return Target(video, (first + 1, max(last + 1, min(first + CLIP_FRAMES, count))))


def clip_view(dataset: fo.Dataset, target: Target) -> fo.DatasetView:
    """The view of one clip."""
    return dataset.select(target.video).to_clips([[target.support]])


def has_sample(samples: SampleCollection, sample_id: str) -> bool:
    """Whether a collection has this sample."""
    return len(samples.select(sample_id)) > 0
