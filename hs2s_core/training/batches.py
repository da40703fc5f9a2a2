"""Training clips as batches: what is drawn depends on the seed and the index alone.

That makes a run independent of the number of workers, and resuming it exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hs2s_core.data.synthesis import Clip
from hs2s_core.models.inputs import normalise
from hs2s_core.training.config import Stage


class ClipSource(Protocol):
    """Anything that draws labelled clips: a synthesizer, real videos, a mixture."""

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of at most ``length`` frames of ``size`` (H, W)."""
        ...


class Mixture:
    """Draws from one of several sources, by share."""

    def __init__(self, sources: Sequence[ClipSource], shares: Sequence[float]) -> None:
        self.sources = list(sources)
        self.shares = np.asarray(shares, np.float64) / np.sum(shares)

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """See :class:`ClipSource`."""
        return self.sources[int(rng.choice(len(self.sources), p=self.shares))].draw(
            rng, size, length
        )


class Item(NamedTuple):
    """One clip, ready to be batched."""

    frames: Tensor
    """(T, 3, H, W) uint8"""
    masks: Tensor
    """(T, K, 1, H, W) bool, one plane per object that is visible in frame 0."""


class Batch(NamedTuple):
    """C clips with B objects in all, cut to the shortest clip's T frames."""

    frames: Tensor
    """(T, C, 3, H, W) float32, ImageNet-normalised"""
    masks: Tensor
    """(T, B, 1, H, W) float32 in {0, 1}"""
    owner: Tensor
    """(B,) int64, the clip of each object"""


class ClipItems(Dataset[Item]):
    """Item ``i`` is drawn with a generator seeded by ``(seed, i)``."""

    def __init__(
        self, source: ClipSource, stages: Sequence[Stage], objects: int, seed: int
    ) -> None:
        self.source = source
        self.stages = list(stages)
        self.objects = objects
        self.seed = seed

    def __getitem__(self, index: int) -> Item:
        stage = self._stage(index)
        rng = np.random.default_rng([self.seed, index])
        while True:
            clip = self.source.draw(rng, stage.size, stage.frames)
            chosen = _visible_objects(clip.id_maps[0], rng)[: self.objects]
            if len(chosen) and len(clip.frames) == stage.frames:
                break
        masks = np.stack([clip.id_maps == object_id for object_id in chosen], axis=1)
        return Item(
            torch.from_numpy(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2))),
            torch.from_numpy(masks[:, :, None]),
        )

    def _stage(self, index: int) -> Stage:
        for stage in self.stages:
            if index < stage.steps * stage.clips:
                return stage
            index -= stage.steps * stage.clips
        raise IndexError(index)


def batches(items: ClipItems, first_step: int, workers: int) -> Iterator[Batch]:
    """Batches from ``first_step`` on to the end of the last stage."""
    order: list[list[int]] = []
    start = 0
    for stage in items.stages:
        for _ in range(stage.steps):
            order.append(list(range(start, start + stage.clips)))
            start += stage.clips
    loader = DataLoader(
        items,
        batch_sampler=order[first_step:],
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_single_thread,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def collate(items: Sequence[Item]) -> Batch:
    """Join clips of equal size; objects of all clips share one batch axis."""
    frames = torch.stack([item.frames for item in items], dim=1)
    masks = torch.cat([item.masks for item in items], dim=1).float()
    counts = torch.tensor([item.masks.shape[1] for item in items])
    return Batch(normalise(frames), masks, torch.arange(len(items)).repeat_interleave(counts))


def _single_thread(_: int) -> None:
    import cv2

    # The training step wants the cores; a worker that spawns threads slows both.
    cv2.setNumThreads(0)


def _visible_objects(id_map: np.ndarray, rng: np.random.Generator) -> list[int]:
    """Ids with at least 0.15 % of the frame, in random order, large ones a little earlier."""
    ids, counts = np.unique(id_map[id_map > 0], return_counts=True)
    fractions = counts / id_map.size
    fits = (fractions >= 0.0015) & (fractions <= 0.8)
    ids, fractions = ids[fits], fractions[fits]
    order = np.argsort(rng.exponential(size=len(ids)) / fractions**0.25)
    return [int(i) for i in ids[order]]
