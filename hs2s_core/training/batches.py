"""Training clips as batches: what is drawn depends on the seed and the index alone.

That makes a run independent of the number of workers and processes, and resuming exact.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hs2s_core.data.stills import ids_of_share
from hs2s_core.data.synthesis import Clip
from hs2s_core.errors import InvalidDataset
from hs2s_core.models.inputs import normalise
from hs2s_core.training.config import Stage
from hs2s_core.training.losses import border_classes

MOST_DRAWS = 200
"""Clips drawn for one item before it is said that the data show no usable object."""


class ClipSource(Protocol):
    """Anything that draws labelled clips: a synthesizer, real videos, a mixture."""

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """A clip of at most ``length`` frames of ``size`` (H, W)."""


class Mixture:
    """Draws from one of several sources, by share."""

    def __init__(self, sources: Sequence[ClipSource], shares: Sequence[float]) -> None:
        self.sources = list(sources)
        self.shares = np.asarray(shares, np.float64) / np.sum(shares)

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        """See :class:`ClipSource`."""
        source = self.sources[int(rng.choice(len(self.sources), p=self.shares))]
        return source.draw(rng, size, length)


class ClipItem(NamedTuple):
    """One clip, ready to be batched: T frames, K objects that are visible in frame 0."""

    frames: Tensor
    """(T, 3, H, W) uint8"""
    masks: Tensor
    """(T, K, 1, H, W) bool"""
    draws: Tensor
    """(T, K) float32 in [0, 1), for scheduled sampling"""
    borders: Tensor | None
    """(T, K, H, W) uint8 border classes, if they are trained"""


class Batch(NamedTuple):
    """C clips with B objects in all, of T frames each."""

    frames: Tensor
    """(T, C, 3, H, W) float32, ImageNet-normalised"""
    masks: Tensor
    """(T, B, 1, H, W) float32 in {0, 1}"""
    owner: Tensor
    """(B,) int64, the clip of each object"""
    draws: Tensor
    """(T, B) float32 in [0, 1): below the sampling chance, the prediction is fed back"""
    borders: Tensor | None = None
    """(T, B, H, W) int64 border classes"""

    def to(self, device: torch.device | str) -> Batch:
        """The batch on another device."""
        parts = (None if part is None else part.to(device, non_blocking=True) for part in self)
        return Batch(*parts)  # type: ignore[arg-type]


@dataclass(eq=False)
class ClipItems(Dataset[ClipItem]):
    """Item ``i`` is drawn with a generator seeded by ``(seed, i)``.

    Each step draws one length for all its clips, so that every length of a stage is trained
    alike; the authors' code cuts a batch to its shortest clip, which leaves nearly none but short
    ones. The length follows from the seed alone, so processes that share a step agree on it.
    """

    source: ClipSource
    stages: Sequence[Stage]
    objects: int
    seed: int
    borders: bool = False

    def __getitem__(self, index: int) -> ClipItem:
        stage, step, first = self._place(index)
        length = stage.length(step, np.random.default_rng([self.seed, first, 1]))
        rng = np.random.default_rng([self.seed, index])
        clip, chosen = self._draw(rng, stage.size, length)
        draws = rng.random((length, len(chosen)), np.float32)
        masks = np.stack([clip.id_maps == object_id for object_id in chosen], axis=1)
        borders = None
        if self.borders:
            borders = torch.from_numpy(
                np.stack([[border_classes(mask) for mask in masks_t] for masks_t in masks])
            ).to(torch.uint8)
        return ClipItem(
            torch.from_numpy(np.ascontiguousarray(clip.frames.transpose(0, 3, 1, 2))),
            torch.from_numpy(masks[:, :, None]),
            torch.from_numpy(draws),
            borders,
        )

    def _draw(
        self, rng: np.random.Generator, size: tuple[int, int], length: int
    ) -> tuple[Clip, list[int]]:
        for _ in range(MOST_DRAWS):
            clip = self.source.draw(rng, size, length)
            chosen = _visible_objects(clip.id_maps[0], rng)[: self.objects]
            if chosen and len(clip.frames) == length:
                return clip, chosen
        raise InvalidDataset(
            f"{MOST_DRAWS} clips drawn, none with {length} frames and an object that covers 0.15 "
            "to 80 % of the first; check the masks, and that videos have so many labelled frames"
        )

    def _place(self, index: int) -> tuple[Stage, int, int]:
        """The stage of an item, its step within that stage, and that step's first item."""
        start = 0
        for stage in self.stages:
            step = (index - start) // stage.clips
            if step < stage.steps:
                return stage, step, start + step * stage.clips
            start += stage.steps * stage.clips
        raise IndexError(index)


def batches(
    items: ClipItems,
    first_step: int,
    workers: int,
    rank: int = 0,
    world_size: int = 1,
    *,
    pinned: bool = False,
) -> Iterator[Batch]:
    """Batches from ``first_step`` on; of each step's clips, every ``world_size``-th is ours.

    ``pinned`` puts them into memory from which a GPU copies while it computes.
    """
    order: list[list[int]] = []
    start = 0
    for stage in items.stages:
        for _ in range(stage.steps):
            order.append(list(range(start + rank, start + stage.clips, world_size)))
            start += stage.clips
    loader = DataLoader(
        items,
        batch_sampler=order[first_step:],
        num_workers=workers,
        collate_fn=collate,
        worker_init_fn=_prepare_worker,
        pin_memory=pinned,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def collate(items: Sequence[ClipItem]) -> Batch:
    """Join clips of equal size and length; all objects share one batch axis."""
    counts = torch.tensor([item.masks.shape[1] for item in items])
    planes = [item.borders for item in items if item.borders is not None]
    return Batch(
        normalise(torch.stack([item.frames for item in items], dim=1)),
        torch.cat([item.masks for item in items], dim=1).float(),
        torch.arange(len(items)).repeat_interleave(counts),
        torch.cat([item.draws for item in items], dim=1),
        torch.cat(planes, dim=1).long() if planes else None,
    )


def _prepare_worker(_: int) -> None:
    import cv2

    # Both reach all processes of a group; the training one finishes its step, saves and ends us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    # The training step wants the cores; a worker that spawns threads slows both.
    cv2.setNumThreads(0)


def _visible_objects(id_map: NDArray[Any], rng: np.random.Generator) -> list[int]:
    """Ids with 0.15 to 80 % of the frame, in random order, large ones a little earlier."""
    ids, shares = ids_of_share(id_map, 0.0015, 0.8)
    order = np.argsort(rng.exponential(size=len(ids)) / shares**0.25)
    return [int(i) for i in ids[order]]
