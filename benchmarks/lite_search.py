"""The design space of the lite preset: short runs of its variants under one budget.

    python benchmarks/lite_search.py CONFIG.toml --root DATA --out DIR [--only NAME ...]

Every variant changes one thing of ``hs2s-lite`` and is trained with CONFIG's recipe, data and
seed, then scored on the videos of its ``[validation]`` section (means over objects). Rows that
are done are kept, interrupted runs go on. Multiply-adds are of one object in a frame of 240x432
pixels.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hs2s_core.models.costs import count_costs
from hs2s_core.models.presets import preset
from hs2s_core.propagation import propagate
from hs2s_core.training.ablation import score
from hs2s_core.training.loop import train
from hs2s_core.training.run_file import read_config
from hs2s_core.training.sources import set_apart
from hs2s_core.training.validation import Validation

VARIANTS: dict[str, dict[str, Any]] = {
    "hs2s-lite": {},
    "EfficientNet-Lite0 trunk": {"encoder": "efficientnet_lite0"},
    "EfficientNet-Lite2 trunk": {"encoder": "efficientnet_lite2"},
    "no reference (S2S-lite)": {"references": ()},
    "first frame only": {"references": ("first",)},
    "previous frame only": {"references": ("previous",)},
    "tensor-train memory": {"memory": "conv_tt_lstm"},
    "DeepRNN memory": {"memory": "deeprnn"},
    "memory of 64 channels": {"width": 64},
    "memory of 192 channels": {"width": 192},
    "matching at stride 16": {"match_stride": 16},
    "cosine fusion (no distance)": {"fusion": "cosine"},
}
COLUMNS = ("J", "F", "J&F", "J early", "J late")


def main() -> None:
    """Train, score, and print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("--root", type=Path, required=True, help="the data")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    recipe = read_config(arguments.config, root=arguments.root)
    assert recipe.validation is not None, "the config needs a [validation] section"
    data, scored = set_apart(recipe.data, recipe.validation)
    assert scored is not None
    videos = Validation(scored, data).videos
    frames = recipe.validation.frames
    recipe = dataclasses.replace(recipe, data=data, validation=None)
    for name in arguments.only:
        folder = arguments.out / name.replace(" ", "-")
        done = folder / "scores.json"
        if not done.exists():
            model = dataclasses.replace(preset("hs2s-lite"), **VARIANTS[name])
            trained = train(dataclasses.replace(recipe, model=model), folder)
            scores = score(partial(propagate, trained, direction="forward"), videos, frames)
            done.write_text(json.dumps(scores, indent=2) + "\n")
    print(f"{recipe.steps} steps, {len(videos)} videos\n")
    print("| variant | M parameters | G multiply-adds | " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * (3 + len(COLUMNS)))
    for name, changes in VARIANTS.items():
        done = arguments.out / name.replace(" ", "-") / "scores.json"
        if done.exists():
            scores = json.loads(done.read_text())
            cost = count_costs(dataclasses.replace(preset("hs2s-lite"), **changes), (240, 432))
            size = f"{cost.parameters / 1e6:.2f} | {cost.multiply_adds / 1e9:.2f}"
            cells = [f"{100 * scores[column]:.1f}" for column in COLUMNS]
            print(f"| {name} | {size} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
