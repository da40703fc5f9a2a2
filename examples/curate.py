"""Find videos whose masks are likely wrong, where there is no truth, and tag them.

    python examples/curate.py my-dataset --field hs2s --worst 20

An object is doubted where its confidence is low, and where its area jumps from frame to frame. Each
video's ``<field>_doubt`` is that of its most doubtful object, in [0, 1]; the worst get a tag.
"""

from __future__ import annotations

import argparse
from collections import defaultdict

import fiftyone as fo
import numpy as np

TAG = "check masks"


def doubt(areas: list[float], confidences: list[float]) -> float:
    """Of one object, in [0, 1]: the larger of its worst jump and its lowest confidence's lack."""
    sizes = np.maximum(np.array(areas), 1e-6)
    jumps = 1 - np.minimum(sizes[1:], sizes[:-1]) / np.maximum(sizes[1:], sizes[:-1])
    return float(max(jumps.max(initial=0.0), 1 - min(confidences)))


def doubt_of_video(sample: fo.Sample, field: str) -> float:
    """That of the video's most doubtful object; 0 where there are no masks."""
    areas, confidences = defaultdict(list), defaultdict(list)
    for frame in sample.frames.values():
        for label in frame[field].detections if frame[field] is not None else ():
            width, height = label.bounding_box[2:]
            areas[label.index].append(width * height * float(label.mask.mean()))
            confidences[label.index].append(1.0 if label.confidence is None else label.confidence)
    return max((doubt(areas[index], confidences[index]) for index in areas), default=0.0)


def main(arguments: list[str] | None = None) -> fo.DatasetView:
    """Returns the view of what was tagged, worst first; it is also saved with the dataset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--field", default="hs2s")
    parser.add_argument("--worst", type=int, default=20)
    args = parser.parse_args(arguments)
    dataset = fo.load_dataset(args.dataset)
    dataset.untag_samples(TAG)
    name = f"{args.field}_doubt"
    for sample in dataset.iter_samples(autosave=True, progress=True):
        sample[name] = doubt_of_video(sample, args.field)
    worst = dataset.sort_by(name, reverse=True).limit(args.worst)
    worst.tag_samples(TAG)
    view = dataset.match_tags(TAG).sort_by(name, reverse=True)
    dataset.save_view(TAG, view, overwrite=True)
    for sample in view:
        print(f"{sample[name]:.2f}  {sample.filepath}")
    return view


if __name__ == "__main__":
    main()
