"""Evaluation protocols as data: which frames of which objects count, and how means are taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hs2s_core.errors import InvalidConfig, check_choice

STARTS = ("video", "prompt", "sight")


@dataclass(frozen=True)
class Protocol:
    """One way to turn the J and F of every frame into a score."""

    name: str
    merge_objects: bool = False
    """Score all foreground as one object with id 1."""
    start: str = "video"
    """From where an object's frames count: the start of the ``video``, its ``prompt``, or its
    first ``sight`` in truth or prediction among the frames that are not skipped."""
    first_frame: bool = True
    """Count the first frame of a video."""
    last_frame: bool = True
    """Count the last frame of a video."""
    prompt_frame: bool = True
    """Count the frame in which an object's mask was given."""
    listed_only: bool = False
    """Count only the frames that ``meta.json`` lists for an object, where there is one."""
    by_seen: bool = False
    """Average over seen and unseen objects apart, then over the two groups."""

    def __post_init__(self) -> None:
        """Refuse a start that does not exist."""
        check_choice("start", self.start, STARTS, InvalidConfig)

    @property
    def description(self) -> str:
        """One line that says what was counted, to be printed with every number."""
        return f"{self.name}: " + ", ".join(self._clauses())

    def _clauses(self) -> Iterator[str]:
        yield "all foreground as one object" if self.merge_objects else "every object of the truth"
        frames = "listed frames" if self.listed_only else "annotated frames"
        start = {
            "video": "",
            "prompt": " from its prompt on",
            "sight": " from its first sight in truth or prediction on",
        }[self.start]
        ends = (("first", self.first_frame), ("last", self.last_frame))
        skipped = [end for end, counts in ends if not counts]
        without = [f"the video's {' and '.join(skipped)}"] if skipped else []
        without += [] if self.prompt_frame else ["its prompt frame"]
        yield f"all {frames}{start}" + (f" but {' and '.join(without)}" if without else "")
        groups = ", then over seen and unseen" if self.by_seen else ""
        yield f"mean per object, then over objects{groups}"

    def counted(
        self,
        *,
        prompt: int,
        in_truth: Sequence[bool],
        in_prediction: Sequence[bool],
        listed: Sequence[bool],
    ) -> list[bool]:
        """Say which frames of one object count.

        Args:
            prompt: position of the object's prompt frame among the video's annotated frames.
            in_truth: for every annotated frame, whether the truth shows the object.
            in_prediction: the same for the prediction.
            listed: whether ``meta.json`` lists the frame for the object; all true without one.
        """
        position = np.arange(len(in_truth))
        truth, either = np.array(in_truth, bool), np.logical_or(in_truth, in_prediction)
        kept = np.full(len(position), True)
        kept[0] &= self.first_frame
        kept[-1] &= self.last_frame
        started = {
            "video": position >= 0,
            "prompt": position >= prompt,
            "sight": np.logical_or.accumulate(kept & either),
        }[self.start]
        counted = kept & started
        counted &= (position != prompt) | self.prompt_frame
        counted &= np.array(listed, bool) | (not self.listed_only)
        if self.start == "sight" and not (truth & counted).any():
            # A sight in the prediction alone does not make an object of the truth.
            counted[:] = False
        return [bool(counts) for counts in counted]


PROTOCOLS: dict[str, Protocol] = {
    protocol.name: protocol
    for protocol in (
        Protocol("davis2016", merge_objects=True, first_frame=False, last_frame=False),
        Protocol("davis2017", first_frame=False, last_frame=False),
        Protocol("youtube_vos", start="prompt", prompt_frame=False, listed_only=True, by_seen=True),
        Protocol("vos_benchmark", start="sight", first_frame=False, last_frame=False),
        Protocol("all_frames"),
    )
}
"""The protocols by name; ``dataclasses.replace`` makes variants of them."""


def find_protocol(protocol: str | Protocol) -> Protocol:
    """Return a protocol by name, or as it is; an unknown name is refused with the known ones."""
    if isinstance(protocol, Protocol):
        return protocol
    return PROTOCOLS[check_choice("protocol", protocol, PROTOCOLS, InvalidConfig)]
