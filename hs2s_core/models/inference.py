"""A network as it runs fastest: norms folded, weights packed, half precision where it is faster.

Only propagation uses it; training and files keep the network as it is defined.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hs2s_core.devices import half_precision
from hs2s_core.errors import HS2SError
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import LiteConfig, ModelConfig
from hs2s_core.models.layers import Conv
from hs2s_core.models.packed import can_infer, can_pack, pack

SPEEDS = ("auto", "exact", "fast")
NORMS = (nn.BatchNorm2d, nn.SyncBatchNorm)
"""The second is the first as several processes train it."""
ACTIVATIONS = (nn.ReLU, nn.ReLU6)
SIDE = 4
"""Side of the frames of the trial run, in strides of the network."""


class Pace(NamedTuple):
    """How a network computes."""

    dtype: torch.dtype
    why: str
    """In words, for people."""


def choose_pace(speed: str, config: ModelConfig, device: torch.device) -> Pace:
    """What ``speed`` means for a network on ``device``.

    ``exact`` is float32, equal to the network as defined but for rounding. ``fast`` is half
    precision where the device has instructions for it: masks differ in few pixels. ``auto`` is
    ``fast`` on a GPU and for the paper's networks, ``exact`` for small ones on a CPU.
    """
    if speed not in SPEEDS:
        raise HS2SError(f"speed is {speed!r}; expected one of {', '.join(SPEEDS)}")
    half, instructions = half_precision(device)
    if speed == "exact":
        return Pace(torch.float32, "exact: float32")
    if half is None:
        return Pace(torch.float32, f"exact: float32, as {instructions}")
    if speed == "auto" and device.type == "cpu" and isinstance(config, LiteConfig):
        return Pace(torch.float32, "exact: float32, as small networks are quick anyway")
    return Pace(half, f"fast: {str(half).removeprefix('torch.')}, as {instructions}")


@torch.no_grad()
def for_inference(
    model: VideoSegmenter, dtype: torch.dtype | None = None, *, packed: bool = True
) -> VideoSegmenter:
    """A copy of ``model``, in evaluation mode, that says the same sooner.

    A batch norm that follows a convolution is folded into it: equal up to rounding, about 1e-6 of
    the logits. Weights are kept in channels-last order, as frames are. On a CPU those of the
    paper's networks are kept in the order that it wants (:mod:`packed`), and activations of small
    networks are computed with the convolutions before them (:meth:`Conv.fuse`), unless ``packed``
    is false, as graphs for other processors want it. ``dtype`` is that of frames and masks, None
    the model's own; of half precision, norms and a memory's sums stay in float32, of bfloat16 also
    :meth:`VideoSegmenter.precise_parts`, which then take frames in float32. The copy shares no
    memory with ``model`` and cannot be trained.
    """
    fast = copy.deepcopy(model).eval().requires_grad_(False)
    names = {module: name for name, module in fast.named_modules()}
    if any(isinstance(part, NORMS) for part in names):
        for norm, conv in _after_convolutions(fast, NORMS).items():
            assert isinstance(norm, _BatchNorm)
            _replace(fast, names[conv], fuse_conv_bn_eval(conv, norm))
            _replace(fast, names[norm], nn.Identity())
    dtype = dtype or next(fast.parameters()).dtype
    on_cpu = packed and next(fast.parameters()).is_cpu
    small = isinstance(fast.config, LiteConfig)
    if on_cpu and small and can_infer(dtype):
        _fuse(fast)
    precise = {
        part: copy.deepcopy(part.state_dict())
        for part in (fast.precise_parts() if dtype is torch.bfloat16 else ())
    }
    fast.to(dtype)
    for part, state in precise.items():
        part.float().load_state_dict(state)
    fast.to(memory_format=torch.channels_last)
    parts = dict(fast.named_modules())
    for name, part in parts.items():
        if isinstance(part, NORMS):
            # The statistics of the norms that are left cost nothing in full precision.
            part.to(torch.promote_types(dtype, torch.float32))
            part.load_state_dict(model.get_submodule(name).state_dict())
        elif isinstance(part, nn.Conv2d) and on_cpu and not small and can_pack(part, dtype):
            _replace(fast, name, pack(part, dtype))
    return fast


def _fuse(model: VideoSegmenter) -> None:
    """Let each convolution do the activation that follows it, where it can."""
    names = {module: name for name, module in model.named_modules()}
    for part in names:
        if isinstance(part, Conv):
            part.fuse(None)
    for activation, conv in _after_convolutions(model, ACTIVATIONS).items():
        if isinstance(conv, Conv) and conv.fuse(activation):
            _replace(model, names[activation], nn.Identity())


def _after_convolutions(
    model: VideoSegmenter, kinds: tuple[type[nn.Module], ...]
) -> dict[nn.Module, nn.Conv2d]:
    """Parts of ``kinds`` whose one input is one convolution's output, seen on a trial run.

    Networks here are plain Python, where what feeds what shows only when they run.
    """
    # Kept alive: the identity of a tensor is only its own as long as it lives.
    outputs: dict[int, tuple[Tensor, nn.Conv2d]] = {}
    sources: dict[nn.Module, set[nn.Conv2d | None]] = {}

    def note_output(conv: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        outputs[id(output)] = output, conv

    def note_input(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        _, conv = outputs.get(id(inputs[0]), (None, None))
        sources.setdefault(part, set()).add(conv)

    hooks: list[Any] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(note_output))
        elif isinstance(module, kinds):
            hooks.append(module.register_forward_pre_hook(note_input))
    try:
        _try_out(model)
    finally:
        for hook in hooks:
            hook.remove()
    pairs = {part: conv for part, (conv, *others) in sources.items() if conv and not others}
    used = list(pairs.values())
    return {part: conv for part, conv in pairs.items() if used.count(conv) == 1}


def _try_out(model: VideoSegmenter) -> None:
    """Segment the second frame of a black clip."""
    parameter = next(model.parameters())
    side = SIDE * model.stride
    frame = parameter.new_zeros(1, 3, side, side)
    mask = parameter.new_ones(1, 1, side, side)
    owner = torch.zeros(1, dtype=torch.int64, device=parameter.device)
    features = model.encode(frame)
    state = model.look_ahead([features], model.begin(features, mask, owner), owner)
    model.step(features, mask, state, owner)


def _replace(model: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, part)
