"""A network as it runs fastest: norms folded, weights packed, half precision where it is faster.

Only propagation uses it; training and files keep the network as it is defined.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval

from hs2s_core.devices import half_precision, multiplies_tiles
from hs2s_core.errors import check_choice
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.config import LiteConfig, ModelConfig
from hs2s_core.models.layers import Conv, let_norms_through
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
    ``fast`` on a GPU, on a CPU with AMX and for the paper's networks, ``exact`` for small ones on
    other CPUs.
    """
    check_choice("speed", speed, SPEEDS)
    half, instructions = half_precision(device)
    if speed == "exact":
        return Pace(torch.float32, "exact: float32")
    if half is None:
        return Pace(torch.float32, f"exact: float32, as {instructions}")
    small = isinstance(config, LiteConfig)
    if speed == "auto" and device.type == "cpu" and small and not multiplies_tiles():
        return Pace(torch.float32, "exact: float32, as small networks gain little without AMX")
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
    first = next(model.parameters())
    dtype = dtype or first.dtype
    # Weights may be many: they are copied once, at the end, as they shall be.
    fast = _copy(model, Tensor.detach).eval()
    _fold(fast)
    small = isinstance(fast.config, LiteConfig)
    if packed and first.is_cpu and small and can_infer(dtype):
        _fuse(fast)
    precise = {
        each
        for part in (fast.precise_parts() if dtype is torch.bfloat16 else ())
        for each in part.modules()
    }
    full = torch.promote_types(dtype, torch.float32)
    for name, part in list(fast.named_modules()):
        packs = packed and first.is_cpu and not small
        if packs and isinstance(part, nn.Conv2d) and can_pack(part, dtype):
            _replace(fast, name, pack(part, dtype))
        else:
            # The statistics of the norms that are left cost nothing in full precision.
            _own(part, full if part in precise or isinstance(part, NORMS) else dtype)
    return fast


def _copy(model: VideoSegmenter, tensor: Callable[[Tensor], Tensor]) -> VideoSegmenter:
    """A copy of ``model`` with what ``tensor`` makes of each of its tensors; none is trained."""
    memo: dict[int, Any] = {
        id(each): nn.Parameter(tensor(each), requires_grad=False) for each in model.parameters()
    }
    memo |= {id(each): tensor(each) for each in model.buffers()}
    # A module's hooks and the like are some ten empty dictionaries, half of the work.
    memo |= {
        id(each): type(each)()
        for part in model.modules()
        for each in vars(part).values()
        if isinstance(each, dict) and not each
    }
    return copy.deepcopy(model, memo)


def _own(part: nn.Module, dtype: torch.dtype) -> None:
    """Give ``part``, without the parts in it, tensors of its own, floating ones of ``dtype``."""
    for name, each in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]:
        own = each.detach().to(
            dtype if each.is_floating_point() else each.dtype,
            memory_format=torch.channels_last if each.dim() == 4 else torch.preserve_format,
            copy=True,
        )
        is_weight = isinstance(each, nn.Parameter)
        setattr(part, name, nn.Parameter(own, requires_grad=False) if is_weight else own)


def _fold(model: VideoSegmenter) -> None:
    """Fold each batch norm into the convolution before it, where it can be."""
    names = {module: name for name, module in model.named_modules()}
    for norm, conv in _after_convolutions(model, NORMS).items():
        assert isinstance(norm, _BatchNorm)
        _replace(model, names[conv], fuse_conv_bn_eval(conv, norm))
        _replace(model, names[norm], nn.Identity())


def _fuse(model: VideoSegmenter) -> None:
    """Let each convolution do the activation that follows it, where it can."""
    names = {module: name for name, module in model.named_modules()}
    found = _after_convolutions(model, ACTIVATIONS)
    for part in names:
        if isinstance(part, Conv):
            part.fuse(None)
    for activation, conv in found.items():
        if isinstance(conv, Conv) and conv.fuse(activation):
            _replace(model, names[activation], nn.Identity())


def _after_convolutions(
    model: VideoSegmenter, kinds: tuple[type[nn.Module], ...]
) -> dict[nn.Module, nn.Conv2d]:
    """Parts of ``kinds`` whose one input is one convolution's output, seen on a trial run.

    Networks here are plain Python, where what feeds what shows only when they run. Large ones do
    so on PyTorch's meta device, which computes nothing but takes a second to begin.
    """
    if not any(isinstance(part, kinds) for part in model.modules()):
        return {}
    small = isinstance(model.config, LiteConfig)
    trial = _copy(model, lambda x: x.detach() if small else torch.empty_like(x, device="meta"))
    names = {module: name for name, module in trial.named_modules()}
    # Kept alive: the identity of a tensor is only its own as long as it lives.
    outputs: dict[int, tuple[Tensor, nn.Conv2d]] = {}
    sources: dict[nn.Module, set[nn.Conv2d | None]] = {}

    def note_output(conv: nn.Module, _: Any, output: Tensor) -> None:
        assert isinstance(conv, nn.Conv2d)
        outputs[id(output)] = output, conv

    def note_input(part: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        _, conv = outputs.get(id(inputs[0]), (None, None))
        sources.setdefault(part, set()).add(conv)

    for module in names:
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(note_output)
        elif isinstance(module, kinds):
            module.register_forward_pre_hook(note_input)
    let_norms_through(trial)
    _try_out(trial)
    pairs = {part: conv for part, (conv, *others) in sources.items() if conv and not others}
    used = list(pairs.values())
    return {
        model.get_submodule(names[part]): cast(nn.Conv2d, model.get_submodule(names[conv]))
        for part, conv in pairs.items()
        if used.count(conv) == 1
    }


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
