"""One step of each preset as a graph that other programs can run."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hs2s_core.models import State, VideoSegmenter, build_model
from hs2s_core.models.paper.axial import AxialEncoder
from hs2s_core.models.presets import PRESETS

from .test_contract import clip, zeros
from .tiny import tiny, tiny_once

# A bidirectional network's step reads what look_ahead made of a whole chunk, a state that gets
# shorter with each step: no one graph has inputs of such shapes. All others can be exported.
ONLINE = [name for name in sorted(PRESETS) if PRESETS[name].system != "bidirectional"]
# Encoders have no state; that of one kind of layers is exported once.
ALIKE = {"hs2s-vgg16", "hs2s-resnet101", "hs2s-deeplab"}


class OneStep(nn.Module):
    """Image in, logits and state out: what one would deploy."""

    def __init__(self, model: VideoSegmenter) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, frame: Tensor, mask: Tensor, state: State, owner: Tensor
    ) -> tuple[Tensor, State]:
        output, state = self.model.step(self.model.encode(frame), mask, state, owner)
        return output.logits, state


@pytest.mark.parametrize("name", [name for name in ONLINE if name not in ALIKE])
def test_a_step_can_be_exported(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(tiny_once(name)).eval()
    for part in model.modules():
        if isinstance(part, AxialEncoder):  # blocks of one kind are exported alike, and slowly
            part.stages = nn.ModuleList(stage[:2] for stage in part.stages)
    frames, masks = clip(1)
    with torch.no_grad():
        state = model.begin(model.encode(frames[0]), masks, zeros(1))
        exported = torch.export.export(
            OneStep(model), (frames[1], masks, state, zeros(1)), strict=False
        ).module()
        # The second step shows that the state that comes out fits what goes in.
        for frame in frames[1:3]:
            inputs = (frame, masks, state, zeros(1))
            expected, after = OneStep(model)(*inputs)
            found, state = exported(*inputs)
            torch.testing.assert_close(found, expected)
    torch.testing.assert_close(_leaves(state), _leaves(after))


@pytest.mark.usefixtures("no_draws")
def test_networks_that_look_ahead_are_the_only_ones_left_out() -> None:
    left_out = set(PRESETS) - set(ONLINE)
    with torch.device("meta"):
        assert left_out == {name for name in PRESETS if not build_model(tiny(name)).online}


def _leaves(tree: object) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    return [leaf for child in tree or () for leaf in _leaves(child)]  # type: ignore[attr-defined]
