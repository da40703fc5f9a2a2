"""Names of the authors' published checkpoint, in ours.

Their networks are stored as ``encoder_ref``, ``encoder``, ``memory``, ``skip_memory`` and
``decoder``; the shapes are the same, so only names change.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_ENCODER = {
    "bn": "bn1",
    "conv2": "layer1",
    "conv3": "layer2",
    "conv4": "layer3",
    "conv5": "layer4",
    "reduce_channel_": "reduce",
}
_PATHS = {"conv_l1": "left.0", "conv_l2": "left.1", "conv_r1": "right.0", "conv_r2": "right.1"}
_DECODER = {
    "GC": "fusion.branches.first",
    "GC_p": "fusion.branches.previous",
    "GCGC_p": "fusion.merge",
    "GCmm0": "skip_fusion.branches.first",
    "GCmm_1": "skip_fusion.branches.previous",
    "mm": "skip_fusion.merge",
    "conv_2_": "decoder.stages.1.reduce",
    "distance_classifier_": "decoder.heads.border",
    "segmentation_branch_": "decoder.heads.auxiliary",
    "merge_": "decoder.heads.mask",
    **{f"conv_{i}": f"decoder.stages.{i - 1}.reduce" for i in (1, 3, 4, 5)},
    **{f"conv_{i}{i}": f"decoder.stages.{i - 1}.refine" for i in (1, 2, 3, 4, 5)},
}


def our_name(name: str) -> str:
    """Our name of the authors' tensor ``name``; one that they do not use comes back unchanged.

    >>> our_name("encoder.conv3.0.bn1.weight")
    'encoder.layer2.0.bn1.weight'
    >>> our_name("module.decoder.GC_p.conv_l1.bias")
    'fusion.branches.previous.left.0.bias'
    """
    part, _, rest = name.removeprefix("module.").partition(".")
    first, _, tail = rest.partition(".")
    if part in ("encoder", "encoder_ref"):
        return f"{part}.{_ENCODER.get(first, first)}.{tail}"
    if part == "decoder" and first in _DECODER:
        tail = re.sub(r"^conv_[lr][12](?=\.)", lambda path: _PATHS[path.group()], tail)
        return f"{_DECODER[first]}.{tail}"
    return name.removeprefix("module.")


def our_names(state: Mapping[str, Tensor]) -> dict[str, str]:
    """Map every name in ``state`` to ours: ``{theirs: ours}``."""
    return {name: our_name(name) for name in state}
