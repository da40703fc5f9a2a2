"""Clips of videos: what a view of clips or frames shows is worked on in the videos themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import fiftyone.core.clips as foc
import fiftyone.core.stages as fos
from fiftyone.core.collections import SampleCollection
from fiftyone.core.video import FramesView

from hs2s_core.errors import HS2SError

from .collection import shows_all_labels, videos_of

Span = tuple[int, int]
"""First and last frame number."""
THE_END = 2**31 - 1
"""As a last frame number: whatever a video's last one is."""


class Part(NamedTuple):
    """A video, or a clip of it."""

    sample_id: str
    span: Span | None = None
    """None for the whole video."""

    @classmethod
    def of(cls, key: str) -> Part:
        """The part with this :attr:`key`."""
        sample_id, _, span = key.partition(":")
        first, _, last = span.partition("-")
        return cls(sample_id, (int(first), int(last)) if span else None)

    @property
    def key(self) -> str:
        """What an item of a job is found by."""
        return self.sample_id + ("" if self.span is None else ":{}-{}".format(*self.span))

    def named(self, name: str) -> str:
        """What to call it where ``name`` is its video."""
        if self.span is None:
            return name
        first, last = self.span
        return f"{name}, frames {first} to {'its end' if last == THE_END else last}"


def merged(spans: Iterable[Span]) -> list[Span]:
    """In order, and those that overlap as one."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1]:
            found[-1] = found[-1][0], max(last, found[-1][1])
        else:
            found.append((first, last))
    return found


def clips_of(samples: SampleCollection) -> tuple[SampleCollection, tuple[str, ...] | None]:
    """The videos of a collection, and the keys of the clips in which it shows them.

    The keys are None where it shows whole videos. Clips of a video that overlap are one; of a view
    of frames, each video's clip is from the first to the last of its frames there. Raises
    HS2SError, saying what to do, where there are no videos, or no clips with all of their labels.
    """
    if not isinstance(samples, (foc.ClipsView, FramesView)):
        return videos_of(samples), None
    trajectories = isinstance(getattr(samples, "_clips_stage", None), fos.ToTrajectories)
    if trajectories or not shows_all_labels(samples):
        raise HS2SError(
            "this is a view of clips or frames that shows some of their labels, or trajectories; "
            "expected all of their labels. Clear the view, filter labels in the videos, and make "
            "clips of what that leaves."
        )
    videos = videos_of(samples._source_collection)
    known = set(videos.values("id"))
    if isinstance(samples, foc.ClipsView):
        shown = list(zip(*samples.values(["sample_id", "support"]), strict=True))
    else:
        numbers: dict[str, list[int]] = {}
        for key, number in zip(*samples.values(["sample_id", "frame_number"]), strict=True):
            numbers.setdefault(key, []).append(number)
        shown = [(key, (min(own), max(own))) for key, own in numbers.items()]
    spans: dict[str, list[Span]] = {}
    for sample_id, (first, last) in sorted(shown):
        spans.setdefault(str(sample_id), []).append((first, last))
    parts = [Part(key, span) for key in spans if key in known for span in merged(spans[key])]
    if not parts:
        raise HS2SError("no clip: the view's filters leave nothing. Change or clear them.")
    return videos, tuple(part.key for part in parts)
