"""How long the panel "Review by length" takes to open and to redraw, at 500 videos.

    python benchmarks/length_review.py [--videos 500] [--longest 120] [--rounds 3]

A dataset with a synthesised evaluation is made in a database of its own; its videos are never
opened. Times are those of the server, by the clock and of its processor: on a busy machine the one
is far from the other. The browser's own share comes on top and depends on the amount of data, which
is printed too. Needs a clone: the tables and the private database are those of the tests.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# A private database, set up before FiftyOne is first imported.
importlib.import_module("tests.conftest")

import fiftyone as fo  # noqa: E402

from hs2s_fiftyone.panels import review_source  # noqa: E402
from hs2s_fiftyone.panels.review_data import review  # noqa: E402
from tests.evaluation.tables import random_table  # noqa: E402
from tests.plugin.panels.opened_panel import OpenedPanel  # noqa: E402
from tests.plugin.panels.review_tables import save_run  # noqa: E402


def main() -> None:
    """Print seconds per step, and how much the browser gets."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--videos", type=int, default=500)
    parser.add_argument("--longest", type=int, default=120, help="frames of the longest video")
    parser.add_argument("--rounds", type=int, default=3, help="medians are printed")
    arguments = parser.parse_args()
    dataset = make_dataset(arguments.videos, arguments.longest)
    evaluated = review_source.load_run(dataset, "before").evaluated
    rows = evaluated.rows
    print(f"{len(rows.videos)} videos, {len(rows.objects)} objects, {len(rows)} rows")

    def show(title: str, action: Callable[[], Any]) -> None:
        times = []
        for _ in range(arguments.rounds):
            start = time.perf_counter(), time.process_time()
            action()
            times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
        passed, busy = (1000 * median(column) for column in zip(*times, strict=True))
        print(f"{title:44} {passed:8.0f} ms, {busy:.0f} ms of processor time")

    show("rows to plots' numbers", lambda: review([evaluated]))

    def open_cold() -> None:
        review_source._read.cache_clear()
        OpenedPanel(dataset)

    show("panel opens, nothing in memory", open_cold)
    show("panel opens again", lambda: OpenedPanel(dataset))
    opened = OpenedPanel(dataset)
    show("a filter changes", lambda: opened.choose(length="21-40"))
    opened.choose(length="all")
    show("a cell is clicked", lambda: opened.send("on_cell", idx=[3, 0], trace_idx=0))
    opened.choose(other="after")
    show("two evaluations, a filter changes", lambda: opened.choose(order="change"))
    for title, sent in (("plots", opened.data), ("state and layout", opened.state)):
        print(f"{title:44} {len(json.dumps(sent)) / 1024:8.0f} KiB")
    dataset.delete()


def make_dataset(videos: int, longest: int) -> fo.Dataset:
    """Videos that do not exist, with two evaluations."""
    names = [f"{number:04}" for number in range(videos)]
    metadata = {"frame_width": 854, "frame_height": 480, "total_frame_count": longest}
    dataset = fo.Dataset()
    dataset.add_samples(
        fo.Sample(filepath=f"/videos/{name}.mp4", metadata=fo.VideoMetadata(**metadata))
        for name in names
    )
    for seed, key in enumerate(("after", "before")):
        save_run(dataset, key, random_table(names, seed, longest))
    return dataset


if __name__ == "__main__":
    main()
