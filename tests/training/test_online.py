"""Online training: it learns the given object, and leaves the given network alone."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch

from hs2s_core.errors import HS2SError, InvalidMask
from hs2s_core.models import build_model
from hs2s_core.models.presets import PRESETS
from hs2s_core.prompts import Prompts
from hs2s_core.training.batches import ClipItems, collate
from hs2s_core.training.config import Stage
from hs2s_core.training.losses import LOSS_PRESETS
from hs2s_core.training.online import MOST_FRAMES, _choose, _FrameClips, adapt
from hs2s_core.training.unroll import Unroll
from hs2s_core.weights import load_model


def picture() -> tuple[np.ndarray, np.ndarray]:
    """A textured square before another texture, and its mask."""
    rng = np.random.default_rng(0)
    frame = np.kron(rng.integers(0, 255, (12, 20, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    mask = np.zeros((96, 160), bool)
    mask[30:70, 50:100] = True
    frame[mask] = (255, 30, 30)
    return frame, mask


def test_clips_show_the_object_moving() -> None:
    frame, mask = picture()
    clips = _FrameClips(frame, {7: mask})
    moved = 0
    for seed in range(6):
        clip = clips.draw(np.random.default_rng(seed), (96, 160), 3)
        assert clip.frames.shape == (3, 96, 160, 3)
        assert set(np.unique(clip.id_maps)) <= {0, 1}
        inside = clip.frames[clip.id_maps == 1].astype(int)
        assert (inside[:, 0] - inside[:, 1] > 100).mean() > 0.85
        moved += (clip.id_maps[0] != clip.id_maps[2]).any()
    assert moved >= 5


def test_every_object_is_learned_however_late_it_enters() -> None:
    mask = np.ones((8, 8), bool)
    given = {at: {1: mask} for at in range(20)} | {30: {1: mask, 2: mask}}
    chosen = _choose(Prompts.of(given))
    assert chosen[:3] == [0, 30, 1]
    assert len(chosen) == MOST_FRAMES


@pytest.mark.parametrize("late", [False, True])
def test_adapting_lowers_the_loss_on_the_object(late: bool) -> None:
    frame, mask = picture()
    plain = np.full_like(frame, 90)
    corner = np.zeros_like(mask)
    corner[:9, :9] = True
    model = load_model("hs2s-lite", device="cpu")
    model.config = dataclasses.replace(model.config, input_size=(64, 96))
    before = copy.deepcopy(model.state_dict())
    frames, prompts = [frame], {0: {1: mask}}
    if late:  # another object was given before
        frames, prompts = [plain, frame], {0: {2: corner}, 1: {1: mask}}
    adapted = adapt(model, frames, prompts, 10 + 20 * late, learning_rate=3e-4)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    stage = Stage(steps=8, size=(64, 96), frames=3, clips=1)
    items = ClipItems(_FrameClips(frame, {1: mask}), [stage], 1, seed=99)

    def loss(network: torch.nn.Module) -> float:
        unroll = Unroll(network, LOSS_PRESETS["lite"])  # type: ignore[arg-type]
        with torch.inference_mode():
            return sum(unroll(collate([items[i]]), 1.0)[0].item() for i in range(8))

    assert loss(adapted) < 0.85 * loss(model)
    assert not adapted.training


def test_what_cannot_be_adapted_to_is_refused() -> None:
    frame, mask = picture()
    model = build_model(PRESETS["hs2s-lite"])
    with pytest.raises(HS2SError, match="at least one of each"):
        adapt(model, [frame], {0: {1: mask}}, 0)
    with pytest.raises(HS2SError, match="at least one of each"):
        adapt(model, [frame], {}, 5)
    with pytest.raises(InvalidMask, match="object 4"):
        adapt(model, [frame], {0: {4: mask[:50]}}, 5)
