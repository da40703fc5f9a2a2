"""The paper authors' published checkpoint, turned into a weights file of ours.

Their networks are stored as ``encoder_ref``, ``encoder``, ``memory``, ``skip_memory`` and
``decoder``; the shapes are the same, so only names change.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

from hs2s_core.models import build_model
from hs2s_core.models.presets import PRESETS
from hs2s_core.models.tensors import check_tensors, read_state
from hs2s_core.weights import write_tensors

_ENCODER = {
    "bn1": "bn",
    "layer1": "conv2",
    "layer2": "conv3",
    "layer3": "conv4",
    "layer4": "conv5",
    "reduce": "reduce_channel_",
}
_PATHS = {"left.0": "conv_l1", "left.1": "conv_l2", "right.0": "conv_r1", "right.1": "conv_r2"}
_DECODER = {
    "fusion.branches.first": "GC",
    "fusion.branches.previous": "GC_p",
    "fusion.merge": "GCGC_p",
    "skip_fusion.branches.first": "GCmm0",
    "skip_fusion.branches.previous": "GCmm_1",
    "skip_fusion.merge": "mm",
    "decoder.stages.1.reduce": "conv_2_",
    "decoder.heads.border": "distance_classifier_",
    "decoder.heads.auxiliary": "segmentation_branch_",
    "decoder.heads.mask": "merge_",
    **{f"decoder.stages.{i - 1}.reduce": f"conv_{i}" for i in (1, 3, 4, 5)},
    **{f"decoder.stages.{i - 1}.refine": f"conv_{i}{i}" for i in (1, 2, 3, 4, 5)},
}


def their_name(name: str) -> str:
    """The authors' name of our tensor ``name``, without the ``module.`` prefix.

    >>> their_name("encoder.layer2.0.bn1.weight")
    'encoder.conv3.0.bn1.weight'
    >>> their_name("fusion.branches.previous.left.0.bias")
    'decoder.GC_p.conv_l1.bias'
    """
    for ours, theirs in _DECODER.items():
        if name.startswith(f"{ours}."):
            tail = name.removeprefix(f"{ours}.")
            for place, path in _PATHS.items():
                tail = tail.replace(place, path)
            return f"decoder.{theirs}.{tail}"
    part, _, rest = name.partition(".")
    if part in ("encoder", "encoder_ref"):
        first, _, tail = rest.partition(".")
        return f"{part}.{_ENCODER.get(first, first)}.{tail}"
    return name


def convert_checkpoint(
    checkpoint: str | Path, out: str | Path, dtype: torch.dtype | None = None
) -> None:
    """Turn the authors' published HS2S checkpoint into a weights file of preset ``hs2s``.

    Takes their layout with or without the ``module.`` prefix of ``DataParallel`` and with or
    without an outer ``model`` entry. Every tensor that is missing, extra or misshapen is named
    (by the authors' name) in the InvalidWeights raised; nothing in the file is executed.
    """
    config = PRESETS["hs2s"]
    checkpoint = Path(checkpoint)
    stored = read_state(checkpoint, "checkpoint", "that of the paper's authors")
    # `DataParallel`, under which they trained, puts this before every name.
    state = {name.removeprefix("module."): value for name, value in stored.items()}
    with torch.device("meta"):
        wanted = build_model(config).state_dict()
    theirs = {their_name(ours): value for ours, value in wanted.items()}
    check_tensors(theirs, state, name=str(checkpoint))
    card = {
        "name": "hs2s",
        "source": f"the authors' checkpoint {checkpoint.name}",
        "source_sha256": hashlib.sha256(np.memmap(checkpoint, np.uint8, "r").data).hexdigest(),
        "converted_with": "hs2s weights convert",
    }
    tensors = {ours: state[their_name(ours)] for ours in wanted}
    write_tensors(tensors, out, config, card, dtype)
