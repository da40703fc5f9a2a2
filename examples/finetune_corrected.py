"""Train the network on videos whose masks you put right, and offer what comes out by a name.

    python examples/finetune_corrected.py my-dataset mine --field hs2s --most 10

Takes videos in which a mask of the field is marked as corrected (docs/correct.md), and of these the
frames with a mask that was drawn or corrected, where the field is a result of propagation; all
masks of these frames must be right. Prints the scores before and after, of labels that were held
out; the model is stored only if it is better. Then propagate with ``model="mine"``, or choose it in
the form.
"""

from __future__ import annotations

import argparse

import fiftyone as fo
from fiftyone import ViewField as F

import hs2s_fiftyone as hs2s
from hs2s_core.training.finetune import Tuning


def main(arguments: list[str] | None = None) -> Tuning:
    """Returns the scores, and where the weights are."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("name", help="of the new model")
    parser.add_argument("--field", default="hs2s")
    parser.add_argument("--most", type=int, default=10, help="videos (default: 10)")
    parser.add_argument("--steps", type=int, default=300, help="a second each (default: 300)")
    args = parser.parse_args(arguments)
    dataset = fo.load_dataset(args.dataset)
    corrected = dataset.filter_labels(f"frames.{args.field}", F("corrected"))
    chosen = dataset.select(corrected.values("id")[: args.most])
    if not chosen:
        parser.error(f"no mask in {args.field!r} was put right yet; see docs/correct.md")
    tuning = hs2s.finetune(chosen, args.field, args.name, steps=args.steps)
    print(tuning)
    return tuning


if __name__ == "__main__":
    main()
