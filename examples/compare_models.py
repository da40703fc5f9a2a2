"""Two models on the same videos and prompts, evaluated beside each other.

    python examples/compare_models.py my-dataset old.safetensors new.safetensors --truth truth

Each model gets a field and an evaluation; the App's panel "Review by length" shows both.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import fiftyone as fo

import hs2s_fiftyone as hs2s


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Returns J&F, in [0, 1], by the field of each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("models", nargs="+", help="weights files, or names of shipped weights")
    parser.add_argument("--truth", default="ground_truth")
    args = parser.parse_args(arguments)
    dataset = fo.load_dataset(args.dataset)
    scores = {}
    for model in args.models:
        field = "masks_" + re.sub(r"\W", "_", Path(model).stem)
        hs2s.propagate(dataset, args.truth, field, model=model, policy="first")
        results = hs2s.evaluate(dataset, field, args.truth, f"eval_{field}")
        hs2s.save_views(dataset, f"eval_{field}")
        overall = results.summary.overall
        scores[field] = overall.jf
        print(f"{field}: J&F {100 * overall.jf:.1f}, J {100 * overall.j.mean:.1f}")
        videos = results.summary.videos.items()
        for name, score in sorted(videos, key=lambda item: item[1].jf)[:5]:
            print(f"    {100 * score.jf:5.1f}  {name}")
    return scores


if __name__ == "__main__":
    main()
