"""How soon the App's forms answer on a large dataset.

    python benchmarks/forms.py [--videos 500] [--frames 100] [--objects 2]

The dataset is that of evaluate_fiftyone.py: moving blobs at 480x854, with predictions, and an empty
field besides. Each form is resolved as the App does when it opens; the fastest of the rounds
counts, in wall time, and in processor time of this process and of the database's server, which
holds on a busy machine. The first round, in which the form of *Propagate masks* loads PyTorch, does
not count; verdicts on videos are forgotten between rounds. Needs a clone: the private database is
that of the tests.
"""

from __future__ import annotations

import argparse
import importlib
import time

import psutil
from evaluate_fiftyone import make_dataset


def main() -> None:
    """Print a table of operators."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--objects", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    importlib.import_module("tests.conftest")  # a private database, before FiftyOne is imported
    name = make_dataset(arguments.videos, arguments.frames, arguments.objects)
    import fiftyone as fo

    from hs2s_fiftyone.labels.frame_fields import add_detections
    from hs2s_fiftyone.operators import OPERATORS
    from hs2s_fiftyone.operators.base import BaseOperator
    from hs2s_fiftyone.propagation import plan
    from tests.plugin.forms import form

    dataset = fo.load_dataset(name)
    add_detections(dataset, "empty")
    print(f"{arguments.videos} videos, {arguments.videos * arguments.frames} frames\n")
    clocks = time.perf_counter, processor_time
    print("| form | ms | of processor time |\n|---|---|---|")
    for operator in filter(lambda each: issubclass(each, BaseOperator), OPERATORS):
        best = [float("inf")] * 2
        for place in range(arguments.rounds + 1):
            plan._verdicts.clear()
            start = [clock() for clock in clocks]
            form(operator, dataset)
            took = [clock() - began for clock, began in zip(clocks, start, strict=True)]
            best = [min(pair) for pair in zip(best, took, strict=True)] if place else best
        print(f"| {operator.title} | {1000 * best[0]:.0f} | {1000 * best[1]:.0f} |", flush=True)


def processor_time() -> float:
    """Seconds of this process and those it started."""
    here = psutil.Process()
    times = [each.cpu_times() for each in (here, *here.children(recursive=True))]
    return sum(each.user + each.system for each in times)


if __name__ == "__main__":
    main()
