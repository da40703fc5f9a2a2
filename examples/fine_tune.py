"""Train the bundled network on videos whose masks you corrected, about ten of them.

    python examples/fine_tune.py my-dataset corrected --tag corrected --out runs/mine

It goes on from the weights, for so few steps that what they know is kept. The result is a weights
file for the form's "A weights file ...", ``--weights`` or ``model=``; compare it with what you had
(compare_models.py) on videos that were not trained on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import fiftyone as fo

import hs2s_fiftyone as hs2s
from hs2s_core.training import LOSS_PRESETS, DataConfig, Schedule, Stage, TrainingConfig, train
from hs2s_core.weights import find_weights, read_header, save_weights


def main(arguments: list[str] | None = None) -> Path:
    """Returns the weights file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("field", help="frame field with the corrected masks")
    parser.add_argument("--tag", help="only samples with this tag")
    parser.add_argument("--start", default="hs2s-lite", help="weights to go on from")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--size", type=int, nargs=2, default=(240, 432), metavar=("H", "W"))
    parser.add_argument("--frames", type=int, default=6, help="per clip")
    parser.add_argument("--out", type=Path, default=Path("runs/fine-tuned"))
    args = parser.parse_args(arguments)
    dataset = fo.load_dataset(args.dataset)
    view = dataset.match_tags(args.tag) if args.tag else dataset
    config = TrainingConfig(
        model=read_header(find_weights(args.start)).config,
        data=DataConfig(workers=0),
        stages=(Stage(args.steps, tuple(args.size), args.frames, clips=1),),
        losses=LOSS_PRESETS["lite"],
        schedule=Schedule(freeze=0.0),  # so few videos would spoil the norms' statistics
        start=args.start,
        learning_rate=1e-4,
    )
    model = train(config, args.out, videos=hs2s.labelled_videos(view, args.field))
    path = args.out / "fine-tuned.safetensors"
    card = {
        "name": "fine-tuned",
        "start": args.start,
        "data": f"{len(view)} videos of {args.dataset}",
    }
    save_weights(model, path, card)
    print(path)
    return path


if __name__ == "__main__":
    main()
