"""What is drawn for a step depends on the seed and the step alone, not on who draws it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hs2s_core.data.synthesis import Clip
from hs2s_core.training.batches import Batch, ClipItems, batches
from hs2s_core.training.config import Stage


class Noise:
    """Clips of noise with one square each."""

    def draw(self, rng: np.random.Generator, size: tuple[int, int], length: int) -> Clip:
        ids = np.zeros((length, *size), np.uint8)
        ids[:, 2:9, 3:12] = 1
        return Clip(rng.integers(0, 255, (length, *size, 3), np.uint8), ids)


STAGES = [
    Stage(steps=8, size=(64, 64), frames=7, clips=4, frames_from=2),
    Stage(steps=4, size=(64, 96), frames=6, clips=2, frames_from=3, grow_every=2),
]


def drawn(workers: int = 0, rank: int = 0, world_size: int = 1) -> list[Batch]:
    """All batches of one process."""
    items = ClipItems(Noise(), STAGES, 1, seed=5, borders=True)
    return list(batches(items, 0, workers, rank, world_size))


def test_two_processes_draw_what_one_draws() -> None:
    """Same lengths step by step, or they wait for each other's sums forever; same clips."""
    alone, first, second = drawn(), drawn(0, 0, 2), drawn(0, 1, 2)
    lengths = [len(batch.frames) for batch in alone]
    assert len(set(lengths)) > 2
    assert lengths == [len(batch.frames) for batch in first]
    assert lengths == [len(batch.frames) for batch in second]
    for whole, even, odd in zip(alone, first, second, strict=True):
        for name in ("frames", "masks", "draws", "borders"):
            parts = (getattr(even, name), getattr(odd, name))
            woven = torch.stack(parts, dim=2).flatten(1, 2)
            assert torch.equal(getattr(whole, name), woven), name


def test_workers_change_nothing() -> None:
    for a, b in zip(drawn(), drawn(workers=2), strict=True):
        for left, right in zip(a, b, strict=True):
            assert torch.equal(left, right)


def test_the_clips_of_a_step_share_one_evenly_drawn_length() -> None:
    """Cut to its shortest clip, as the authors do it, a step would nearly always be short."""
    stage = Stage(steps=300, size=(64, 64), frames=10, clips=8, frames_from=6)
    items = ClipItems(Noise(), (stage,), 1, seed=5)
    assert len({len(items[index].frames) for index in range(8)}) == 1
    counts = np.bincount([len(items[8 * step].frames) for step in range(300)], minlength=11)
    assert counts[6:].min() > 30
    assert counts.sum() == counts[6:].sum() == 300


def test_clips_grow() -> None:
    """The limit of the length rises by one every ``grow_every`` steps and stops at ``frames``."""
    stage = Stage(steps=1000, size=(64, 64), frames=11, clips=1, frames_from=6, grow_every=10)
    rng = np.random.default_rng(0)

    def lengths(step: int, stage: Stage = stage) -> set[int]:
        return {stage.length(step, rng) for _ in range(200)}

    assert lengths(0) == lengths(9) == {6}
    assert lengths(10) == {6, 7}
    assert lengths(49) == {6, 7, 8, 9, 10}
    assert lengths(50) == lengths(999) == {6, 7, 8, 9, 10, 11}
    at_once = Stage(steps=1, size=(64, 64), frames=8, clips=1, frames_from=6)
    assert lengths(0, at_once) == {6, 7, 8}
    fixed = Stage(steps=1, size=(64, 64), frames=8, clips=1)
    assert lengths(0, fixed) == {8}


@pytest.mark.parametrize("first", [0, 3, 9])
def test_batches_go_on_at_any_step(first: int) -> None:
    items = ClipItems(Noise(), STAGES, 1, seed=5, borders=True)
    later = list(batches(items, first, 0))
    for a, b in zip(drawn()[first:], later, strict=True):
        assert torch.equal(a.frames, b.frames)


def test_a_gpu_is_given_pinned_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU memory cannot be pinned, so what the loader is asked for is looked at."""
    asked = []

    class Loader(DataLoader[Any]):
        def __init__(self, *given: Any, pin_memory: bool, **named: Any) -> None:
            asked.append(pin_memory)
            super().__init__(*given, **named)

    monkeypatch.setattr("hs2s_core.training.batches.DataLoader", Loader)
    items = ClipItems(Noise(), STAGES, 1, seed=5, borders=True)
    pinned = next(batches(items, 0, 0, pinned=True))
    assert torch.equal(pinned.frames, next(batches(items, 0, 0)).frames)
    assert asked == [True, False]


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:'pin_memory' argument is set as true")
def test_all_parts_of_a_batch_are_pinned_where_there_is_a_gpu() -> None:
    items = ClipItems(Noise(), STAGES, 1, seed=5, borders=True)
    for part in next(batches(items, 0, 0, pinned=True)):
        assert part.is_pinned() == torch.cuda.is_available()
