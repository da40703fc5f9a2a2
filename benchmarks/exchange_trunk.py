"""HS2S-lite with another trunk from ImageNet, all other layers as they are, as a weights file.

    python benchmarks/exchange_trunk.py OUT.safetensors WEIGHTS ENCODER

WEIGHTS is a .safetensors file or the name of bundled weights, ENCODER the name of a trunk, for
example efficientnet_lite1. The trunk's maps pass through 1x1 convolutions to the widths that the
other layers expect, so these fit; train from there (``start`` of a run file).
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch

from hs2s_core.models import build_model
from hs2s_core.models.config import LiteConfig
from hs2s_core.weights import load_model, save_weights

_TRUNK = "trunk.body."


def main() -> None:
    """Write the network with the new trunk."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("weights")
    parser.add_argument("encoder")
    arguments = parser.parse_args()
    given = load_model(arguments.weights, device="cpu")
    if not isinstance(given.config, LiteConfig):
        parser.error(f"{arguments.weights} is no HS2S-lite")
    config = dataclasses.replace(given.config, encoder=arguments.encoder)
    model = build_model(config, pretrained_backbone=True)
    kept = {n: t for n, t in given.state_dict().items() if not n.startswith(_TRUNK)}
    with torch.no_grad():
        missing, _ = model.load_state_dict(kept, strict=False)
    print(f"{len(kept)} tensors kept, {len(missing)} of the new trunk")
    save_weights(model, arguments.out, {"name": arguments.out.stem})


if __name__ == "__main__":
    main()
