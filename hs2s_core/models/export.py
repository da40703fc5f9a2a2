"""A network as graphs that other programs can run: ``torch.export`` and ONNX.

Two graphs make a video's masks. ``begin`` takes a frame and the masks given in it, and returns the
state; ``step`` takes a frame, the masks of the frame before and the state, and returns masks and
the state for the next one. Sizes and the number of objects are those they are made for.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from hs2s_core.errors import HS2SError
from hs2s_core.files import replacing
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.inference import for_inference
from hs2s_core.models.inputs import network_size, normalise

_PACKAGES = ("onnx", "onnxscript")
ONNX_FILES = "begin.onnx", "step.onnx"
"""What :func:`export_onnx` writes."""


class Graphs(NamedTuple):
    """What :func:`export_graphs` makes."""

    begin: torch.export.ExportedProgram
    """Of ``frame`` (H, W, 3) uint8 RGB and ``mask`` (B, 1, H, W) float in [0, 1]: the state."""
    step: torch.export.ExportedProgram
    """Of ``frame``, the ``mask`` of the frame before and the tuple that is the state: masks
    (B, 1, H, W), probabilities in [0, 1], then the tensors of the state."""


class _Begin(nn.Module):
    def __init__(self, model: VideoSegmenter) -> None:
        super().__init__()
        self.model = model

    def forward(self, frame: Tensor, mask: Tensor) -> tuple[Tensor, ...]:
        state = self.model.begin(_encode(self.model, frame), mask, _owner(mask))
        return _tensors(state)


class _Step(nn.Module):
    def __init__(self, model: VideoSegmenter, like: Any) -> None:
        super().__init__()
        self.model = model
        leaves, self.tree = pytree.tree_flatten(like)
        self.known = [leaf is not None for leaf in leaves]

    def forward(self, frame: Tensor, mask: Tensor, state: Sequence[Tensor]) -> tuple[Tensor, ...]:
        tensors = iter(state)
        leaves = [next(tensors) if known else None for known in self.known]
        output, after = self.model.step(
            _encode(self.model, frame), mask, pytree.tree_unflatten(leaves, self.tree), _owner(mask)
        )
        return output.logits.sigmoid(), *_tensors(after)


@torch.no_grad()
def export_graphs(
    model: VideoSegmenter, frame_size: tuple[int, int], *, objects: int = 1
) -> Graphs:
    """The two graphs of ``model`` for frames that come from videos of ``frame_size`` (H, W).

    The graphs want frames at the size that the network works at: :func:`network_size`.

    Raises:
        HS2SError: a network that sees frames before it segments them; no object.
    """
    if not model.online:
        raise HS2SError(
            "this network sees frames ahead, so no graph of one step makes its masks; export one "
            "that is not bidirectional"
        )
    if objects < 1:
        raise HS2SError(f"objects is {objects}; expected at least 1")
    fast = for_inference(model, packed=False).cpu()
    config = fast.config
    size = network_size(frame_size, config.input_size, fast.stride, config.keep_aspect)
    frame = torch.zeros(*size, 3, dtype=torch.uint8)
    mask = torch.zeros(objects, 1, *size)
    state = fast.begin(_encode(fast, frame), mask, _owner(mask))
    return Graphs(
        torch.export.export(_Begin(fast).eval(), (frame, mask), strict=False),
        torch.export.export(
            _Step(fast, state).eval(), (frame, mask, _tensors(state)), strict=False
        ),
    )


def export_onnx(
    model: VideoSegmenter, folder: Path, frame_size: tuple[int, int], *, objects: int = 1
) -> tuple[Path, Path]:
    """Write ``begin.onnx`` and ``step.onnx`` to ``folder``; returns their paths.

    Inputs are called ``frame``, ``mask`` and ``state0``, ``state1``, ...; outputs of ``begin``
    ``state0``, ...; of ``step`` ``new_mask`` and ``new_state0``, ...: see :class:`Graphs`.

    Raises:
        HS2SError: as :func:`export_graphs`; the extra ``onnx`` is not installed.
    """
    missing = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise HS2SError(
            f"ONNX needs {' and '.join(missing)}, not installed here; run "
            "`pip install 'hs2s-fiftyone[onnx]'`"
        )
    graphs = export_graphs(model, frame_size, objects=objects)
    folder.mkdir(parents=True, exist_ok=True)
    states = [f"state{place}" for place in range(len(graphs.begin.graph_signature.user_outputs))]
    written = []
    for file, (name, graph) in zip(ONNX_FILES, graphs._asdict().items(), strict=True):
        inputs = ["frame", "mask", *(states if name == "step" else [])]
        # An output may not have an input's name in one graph.
        outputs = ["new_mask", *(f"new_{state}" for state in states)] if name == "step" else states
        path = folder / file
        program = torch.onnx.export(
            graph, input_names=inputs, output_names=outputs, dynamo=True, verbose=False
        )
        assert program is not None, "given for dynamo=True"
        with replacing(path) as part:
            program.save(part)
        written.append(path)
    return written[0], written[1]


def _encode(model: VideoSegmenter, frame: Tensor) -> Any:
    return model.encode(normalise(frame.permute(2, 0, 1)[None]))


def _owner(mask: Tensor) -> Tensor:
    return torch.zeros(mask.shape[0], dtype=torch.int64)


def _tensors(state: Any) -> tuple[Tensor, ...]:
    return tuple(leaf for leaf in pytree.tree_leaves(state) if leaf is not None)
