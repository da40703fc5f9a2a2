"""A part of a training set kept for validation: fixed by the videos' names, not by chance."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from hs2s_core.data.videos import VosVideo

LONGER_THAN = 20
"""Annotated frames a held-out video must exceed (heading of the paper's Table 2a)."""


def hold_out(
    videos: Iterable[VosVideo],
    share: float = 0.1,
    longer_than: int = LONGER_THAN,
    number: int | None = None,
) -> list[str]:
    """Names of about ``share`` of the videos with more than ``longer_than`` annotated frames.

    With ``number`` these are so many of all with two annotated frames, however long. A video is
    chosen by a hash of its name, so the same videos are held out of every download, in every order
    and by every version of this package.
    """
    if number is not None:
        names = [video.name for video in videos if len(video.annotated) >= 2]
        return sorted(names, key=_fraction)[:number]
    return [
        video.name
        for video in videos
        if len(video.annotated) > longer_than and _fraction(video.name) < share
    ]


def _fraction(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
