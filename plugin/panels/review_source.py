"""The panel's way to evaluation runs: which there are, and what they say."""

from __future__ import annotations

from functools import lru_cache

import fiftyone as fo

from ..evaluation import VOSEvaluationResults, list_evaluations, load_results
from ..videos.collection import select_videos
from .review_data import Evaluated


def list_runs(dataset: fo.Dataset) -> list[str]:
    """Keys of this plugin's finished evaluation runs, the latest first."""
    keys = list_evaluations(dataset)
    return sorted(keys, key=lambda key: dataset.get_evaluation_info(key).timestamp, reverse=True)


def load_run(dataset: fo.Dataset, eval_key: str) -> Evaluated:
    """Load a run, from memory where it was loaded before and not evaluated again since."""
    return _read(load_results(dataset, eval_key))


# A table of 500 videos takes a few megabytes.
@lru_cache(maxsize=4)
def _read(results: VOSEvaluationResults) -> Evaluated:
    ids = list(results.sample_ids.values())
    paths = ["id", "metadata.frame_width", "metadata.frame_height"]
    sizes = zip(*select_videos(results.samples, ids).values(paths), strict=True)
    pixels = {sample: width * height for sample, width, height in sizes if width and height}
    return Evaluated(results.rows, ids, results.protocol, [*map(pixels.get, ids)])
