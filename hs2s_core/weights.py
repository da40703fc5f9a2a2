"""Weights files: safetensors that carry their config and a card, and nothing executable.

The metadata of a file holds two JSON objects: ``config`` (:meth:`ModelConfig.to_dict`, enough
to rebuild the network) and ``card`` (where the weights come from, free in form).
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hs2s_core.checked.calls import checked_call
from hs2s_core.devices import pick_device
from hs2s_core.errors import HS2SError, InvalidWeights
from hs2s_core.models import VideoSegmenter, build_model
from hs2s_core.models.config import ModelConfig, config_from_dict
from hs2s_core.models.inference import choose_pace
from hs2s_core.models.presets import PRESETS
from hs2s_core.models.tensors import check_tensors, writing_tensors
from hs2s_core.own_weights import own_folder, own_weights
from hs2s_core.resources import asset
from hs2s_core.wording import counted

__all__ = [
    "PUBLISHED",
    "WeightsHeader",
    "fill_model",
    "find_weights",
    "load_model",
    "offered_weights",
    "pick_device",
    "read_header",
    "save_weights",
    "write_tensors",
]

DEFAULT = "hs2s-lite"
"""The preset whose weights ship with the package."""
PUBLISHED = {
    DEFAULT: "ships with the package; trained by this project",
    "hs2s": "published by the paper's authors: download their checkpoint, then run "
    "`hs2s weights convert CHECKPOINT hs2s.safetensors`",
}
"""By preset: weights that exist, and how to get them."""


@dataclass(frozen=True)
class WeightsHeader:
    """What a weights file says about itself, read without its tensors."""

    config: ModelConfig
    card: dict[str, Any]
    tensors: dict[str, tuple[str, tuple[int, ...]]]
    """Name -> (dtype as safetensors spells it, shape)."""

    @property
    def parameters(self) -> int:
        """Number of stored values, buffers included."""
        return sum(torch.Size(shape).numel() for _, shape in self.tensors.values())


@checked_call
def load_model(
    weights: str | Path | None = None, *, device: str = "auto", speed: str = "auto"
) -> VideoSegmenter:
    """Load a network ready for inference (eval mode, float32) onto ``device``.

    ``weights`` is a ``.safetensors`` file, the name of a preset with shipped weights, or None
    for the default. Values stored in half precision are widened to float32; ``speed`` says in what
    propagation computes (``exact``, ``fast`` or ``auto``, see
    :func:`hs2s_core.models.inference.choose_pace`). Raises InvalidWeights when the file is missing,
    damaged or does not fit its config, and HS2SError when the device cannot be had or the speed is
    unknown.
    """
    target = pick_device(device)
    path = find_weights(weights)
    header = read_header(path)
    choose_pace(speed, header.config, target)  # an unknown one is refused before the work
    with safe_open(path, framework="pt") as file:
        tensors = {name: _widen(file.get_tensor(name)) for name in header.tensors}
    model = fill_model(header.config, tensors, name=str(path))
    model.speed = speed
    return model.to(target).eval()


def find_weights(weights: str | Path | None = None) -> Path:
    """Resolve :func:`load_model`'s ``weights`` to an existing file.

    A name may also be one of :func:`hs2s_core.own_weights.own_weights`.
    """
    if weights is None:
        weights = DEFAULT
    path = Path(weights)
    if isinstance(weights, str) and weights in PRESETS and not path.is_file():
        if weights == DEFAULT:
            return asset(f"{DEFAULT}.safetensors")
        if weights not in PUBLISHED:
            raise InvalidWeights(
                f"preset {weights!r} has no published weights; train it with "
                f"`hs2s train --preset {weights}` and give the resulting .safetensors file"
            )
        raise InvalidWeights(f"the weights of {weights!r} do not ship here: {PUBLISHED[weights]}")
    if not path.exists():
        own = own_weights()
        if str(weights) in own:
            return own[str(weights)]
        raise InvalidWeights(
            f"no weights file {str(path)!r}; expected a .safetensors file or one of: "
            f"{', '.join(offered_weights())}. Models of your own lie in {own_folder()}"
        )
    if not path.is_file():
        raise InvalidWeights(f"{str(path)!r} is a folder; expected a .safetensors file")
    return path


def offered_weights() -> list[str]:
    """The names of weights that are here: those that ship, then the user's own."""
    return [DEFAULT, *own_weights()]


def fill_model(
    config: ModelConfig, tensors: Mapping[str, Tensor], *, name: str = "these weights"
) -> VideoSegmenter:
    """Build the network of ``config`` around ``tensors`` (our names), without copying them.

    Every missing, extra or misshapen tensor is named in the InvalidWeights raised, and every one
    that holds infinity or no number; ``name`` says in it where they came from.
    """
    with torch.device("meta"):  # no memory and no random numbers: all comes from the tensors
        model = build_model(config)
    check_tensors(model.state_dict(), tensors, name=name)
    _check_finite(tensors, name)
    model.load_state_dict(dict(tensors), assign=True)
    return model


def card_head(name: str, device: torch.device) -> dict[str, str]:
    """What the card of weights that were just trained says of when and where that was."""
    if device.type == "cuda":
        place = torch.cuda.get_device_name(device)
    else:
        place = f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
    return {
        "name": name,
        "trained": datetime.now(timezone.utc).date().isoformat(),
        "software": f"PyTorch {torch.__version__}, Python {platform.python_version()}",
        "device": place,
    }


def save_weights(
    model: VideoSegmenter,
    path: str | Path,
    card: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> None:
    """Write ``model``, its config and ``card`` (JSON-ready) to ``path`` in one piece.

    ``dtype`` is None to keep each tensor's own, or ``torch.float16`` to halve the file; a value
    that is not finite, or beyond the half range, is refused with InvalidWeights.
    """
    tensors = model.state_dict()
    write_tensors(tensors, path, model.config, card, dtype)


def write_tensors(
    tensors: Mapping[str, Tensor],
    path: str | Path,
    config: ModelConfig,
    card: Mapping[str, Any],
    dtype: torch.dtype | None = None,
) -> None:
    """Like :func:`save_weights`, from a mapping of our names to tensors."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise InvalidWeights(f"{path.name!r} should end in .safetensors")
    _check_finite(tensors, path.name)
    stored = {name: _narrow(name, tensor, dtype) for name, tensor in tensors.items()}
    try:
        metadata = {
            "format": "pt",
            "config": json.dumps(config.to_dict()),
            "card": json.dumps(dict(card)),
        }
    except TypeError as error:
        raise InvalidWeights(f"the card cannot be written as JSON: {error}") from error
    with writing_tensors(path) as part:
        save_file(stored, part, metadata)


def read_header(path: str | Path) -> WeightsHeader:
    """Config, card and tensor shapes of a weights file; its tensors stay unread."""
    path = Path(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            tensors = {
                name: (str(part.get_dtype()), tuple(part.get_shape()))
                for name, part in slices.items()
            }
    except (SafetensorError, OSError) as error:
        raise InvalidWeights(_unreadable(path, error)) from error
    if "config" not in metadata:
        raise InvalidWeights(
            f"{str(path)!r} is a safetensors file without our config; expected one written by "
            "`hs2s train` or `hs2s weights convert`"
        )
    try:
        config = config_from_dict(json.loads(metadata["config"]))
        card = dict(json.loads(metadata.get("card", "{}")))
    except (HS2SError, TypeError, ValueError, AttributeError) as error:
        raise InvalidWeights(
            f"{str(path)!r} holds a config or card that this version cannot read, being damaged or "
            f"of another version: {error}"
        ) from error
    return WeightsHeader(config, card, tensors)


def _all_finite(lowest: Tensor, highest: Tensor) -> bool:
    """Whether all of some values are, from their extremes, which are NaN where one of them is."""
    return bool(lowest.isfinite() & highest.isfinite())


def _check_finite(tensors: Mapping[str, Tensor], name: str) -> None:
    """Raise InvalidWeights naming the tensors with infinity or what is no number."""
    broken = [
        key
        for key, value in tensors.items()
        # One pass, and no memory: of 400 M values anything else takes seconds.
        if value.is_floating_point() and value.numel() and not _all_finite(*value.aminmax())
    ]
    if broken:
        raise InvalidWeights(
            f"{name}: {len(broken)} of {counted(len(tensors), 'tensor')} with values that are not "
            "finite, as after a training run that diverged; use an earlier checkpoint of it. They "
            "are:\n  " + "\n  ".join(broken)
        )


def _widen(tensor: Tensor) -> Tensor:
    """A copy in memory of its own: the file may be replaced, and its layout is unaligned."""
    return tensor.to(torch.float32 if tensor.is_floating_point() else tensor.dtype, copy=True)


def _narrow(name: str, tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    """A copy of its own on the CPU: safetensors refuses tensors that share memory."""
    tensor = tensor.detach().cpu()
    if dtype is None or not tensor.is_floating_point():
        return tensor.clone(memory_format=torch.contiguous_format)
    narrow = tensor.to(dtype).clone(memory_format=torch.contiguous_format)
    if not torch.equal(narrow.isfinite(), tensor.isfinite()):
        raise InvalidWeights(
            f"{name} reaches {tensor.abs().max():.3g}, beyond what {dtype} can hold; "
            "save these weights in float32"
        )
    return narrow


def _unreadable(path: Path, error: Exception) -> str:
    if not path.is_file():
        return f"no weights file {str(path)!r}"
    if path.suffix in (".pth", ".pt", ".ckpt", ".tar", ".bin"):
        return (
            f"{str(path)!r} is a PyTorch checkpoint, not a safetensors file; make one of it with "
            "`hs2s weights export` if it is of a training run (last.pt, best.pt), and with "
            "`hs2s weights convert` if it is the authors'"
        )
    if str(path) != str(path).encode(errors="replace").decode():
        return f"{str(path)!r} is no UTF-8, as names of safetensors files must be; rename it"
    size = path.stat().st_size
    return (
        f"{str(path)!r} ({size} bytes) is not a complete safetensors file ({error}); "
        "it was cut short or damaged: copy or download it again"
    )
