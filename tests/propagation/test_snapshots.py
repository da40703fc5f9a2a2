"""Snapshots: through a file, every network goes on as if nothing had happened, bit for bit."""

from __future__ import annotations

import dataclasses
import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from hs2s_core.errors import HS2SError
from hs2s_core.models import build_model
from hs2s_core.models.presets import PRESETS
from hs2s_core.propagation import Propagator, Snapshot
from hs2s_core.weights import fill_model
from tests.shapes import noise, square

SIDE = 64
frame = partial(noise, size=(SIDE, SIDE))
box = partial(square, side=20, size=(SIDE, SIDE))


@pytest.mark.parametrize(
    "name", ["hs2s-lite", "s2s-lite", "hs2s", "s2s++", "hs2s-tensor-train", "bi-hs2s"]
)
def test_a_snapshot_goes_on_bit_for_bit(name: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    config = PRESETS[name] if "lite" in name else PRESETS[name].scaled(16)
    config = dataclasses.replace(config, input_size=(SIDE, SIDE), keep_aspect=False)
    one = Propagator(build_model(config).eval())

    def step(propagator: Propagator, number: int) -> torch.Tensor | None:
        if not propagator.engine.online:
            propagator.look_ahead([frame(number)])
        prompts = {0: {1: box(5, 5)}, 2: {2: box(30, 30)}}.get(number, {})
        return propagator.engine.step(frame(number), prompts).logits

    for number in range(4):
        step(one, number)
    tensors, meta = one.snapshot()
    save_file(tensors, tmp_path / "snapshot.safetensors")
    read = Snapshot(load_file(tmp_path / "snapshot.safetensors"), json.loads(json.dumps(meta)))
    other = Propagator(one.engine.sibling())
    other.restore(read)
    for number in range(4, 7):
        first, second = step(one, number), step(other, number)
        assert first is not None
        assert second is not None
        assert torch.equal(first, second)


def test_a_snapshot_of_the_same_weights_used_otherwise_is_refused() -> None:
    config = dataclasses.replace(PRESETS["hs2s-lite"], input_size=(SIDE, SIDE), keep_aspect=False)
    model = build_model(config)
    one = Propagator(model)
    one.step(frame(0), {1: box(5, 5)})
    other = fill_model(dataclasses.replace(config, seen_from=0.6), model.state_dict())
    with pytest.raises(HS2SError, match="this snapshot is of another network"):
        Propagator(other).restore(one.snapshot())
    Propagator(fill_model(config, model.state_dict())).restore(one.snapshot())


@pytest.mark.parametrize("other", ["hs2s-lite", "s2s-lite"])
def test_a_snapshot_of_another_network_is_refused(other: str) -> None:
    """Also of one that differs in its weights alone, which would go on from it in silence."""
    config = dataclasses.replace(PRESETS["hs2s-lite"], input_size=(SIDE, SIDE), keep_aspect=False)
    one = Propagator(build_model(config))
    one.step(frame(0), {1: box(5, 5)})
    config = dataclasses.replace(PRESETS[other], input_size=(SIDE, SIDE), keep_aspect=False)
    stranger = Propagator(build_model(config))
    with pytest.raises(HS2SError, match="this snapshot is of another network"):
        stranger.restore(one.snapshot())
    assert stranger.step(frame(1), {1: box(5, 5)}).index == 0


def test_no_frames_cannot_be_looked_at() -> None:
    with pytest.raises(HS2SError, match="no frame to look at"):
        Propagator(build_model(PRESETS["s2s-lite"])).look_ahead([])
