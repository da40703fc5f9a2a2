"""J and F of the default weights and of two baselines, on labelled videos nobody trained on.

    python benchmarks/quality.py FOLDER [FOLDER ...] [--weights FILE] [--frames 60]

Each FOLDER holds ``JPEGImages/<video>`` and ``Annotations/<video>``; ``FOLDER:a,b`` takes some
of its videos. Every object is given in the first frame that shows it; that frame is not
scored. An object's score is the mean over its later annotated frames, a video's the mean over
its objects; totals are given as means over videos and over objects.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt

from hs2s_core.evaluation.metrics import count_objects
from hs2s_core.media import open_frames
from hs2s_core.media.masks import read_id_map
from hs2s_core.propagation.baselines import copy_first, warp_with_flow
from hs2s_core.propagation.propagator import FrameResult
from hs2s_core.propagation.session import Prompts, propagate

Method = Callable[[Iterable[npt.NDArray[np.uint8]], Prompts], Iterator[FrameResult]]
Scores = dict[str, float | None]
KEYS = ("j", "f", "early", "late")
LATE = 20
EARLY = 10


def main() -> None:
    """Print one line per video and method, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--weights", help="a weights file; the bundled one if not given")
    parser.add_argument("--frames", type=int, default=60, help="first frames of each video")
    parser.add_argument("--merge", default="argmax")
    parser.add_argument(
        "--only", nargs="*", default=["copy", "flow", "hs2s"], choices=["copy", "flow", "hs2s"]
    )
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    methods: dict[str, Method] = {"copy": copy_first, "flow": warp_with_flow}
    if "hs2s" in arguments.only:
        from hs2s_core.weights import load_model

        model = load_model(arguments.weights)
        methods["hs2s"] = lambda frames, prompts: propagate(
            model, frames, prompts, merge=arguments.merge
        )
    report = {}
    for name in arguments.only:
        objects: list[Scores] = []
        videos: list[Scores] = []
        for images, labels in _videos(arguments.folders):
            scores = _score(methods[name], images, labels, arguments.frames)
            means = [_means(rows) for rows in scores.values() if rows]
            objects += means
            videos.append({key: _mean(means, key) for key in KEYS})
            print(f"{name:6} {f'{images.parts[-3]}/{images.name}':30} {_line(means)}", flush=True)
        for unit, parts in (("objects", objects), ("videos", videos)):
            print(f"{name:6} {f'MEAN OVER {len(parts)} {unit}':30} {_line(parts)}")
            report[f"{name}, mean over {unit}"] = {key: _mean(parts, key) for key in KEYS}
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


def _videos(folders: list[str]) -> Iterator[tuple[Path, Path]]:
    for entry in folders:
        folder, _, names = entry.partition(":")
        images = Path(folder) / "JPEGImages"
        wanted = names.split(",") if names else sorted(p.name for p in images.iterdir())
        for name in wanted:
            yield images / name, Path(folder) / "Annotations" / name


def _score(
    method: Method, images: Path, annotations: Path, limit: int
) -> dict[int, list[tuple[int, float, float]]]:
    """(frames since the prompt, J, F) of each scored frame, by object."""
    files = sorted(images.glob("*.jpg"))[:limit]
    truth = {
        index: read_id_map(annotations / f"{file.stem}.png")
        for index, file in enumerate(files)
        if (annotations / f"{file.stem}.png").exists()
    }
    start: dict[int, int] = {}
    prompts: dict[int, dict[int, npt.NDArray[np.bool_]]] = {}
    for index, id_map in truth.items():
        for object_id in map(int, np.unique(id_map[id_map > 0])):
            if object_id not in start:
                start[object_id] = index
                prompts.setdefault(index, {})[object_id] = id_map == object_id
    rows: dict[int, list[tuple[int, float, float]]] = {object_id: [] for object_id in start}
    for result in method(open_frames(files), prompts):
        if result.index not in truth:
            continue
        counts = count_objects(result.id_map, truth[result.index], start)
        for object_id, first in start.items():
            if result.index > first:
                count = counts[object_id]
                rows[object_id].append((result.index - first, count.j, count.f))
    return rows


def _means(rows: list[tuple[int, float, float]]) -> Scores:
    early = [(j + f) / 2 for t, j, f in rows if t < EARLY]
    late = [(j + f) / 2 for t, j, f in rows if t > LATE]
    return {
        "j": fmean(j for _, j, _ in rows),
        "f": fmean(f for _, _, f in rows),
        "early": fmean(early) if early else None,
        "late": fmean(late) if late else None,
    }


def _mean(parts: list[Scores], key: str) -> float | None:
    values = [value for part in parts if (value := part[key]) is not None]
    return fmean(values) if values else None


def _line(parts: list[Scores]) -> str:
    j, f = _mean(parts, "j"), _mean(parts, "f")
    if j is None or f is None:
        return "no scored frame"
    text = f"J {100 * j:5.1f}  F {100 * f:5.1f}  J&F {50 * (j + f):5.1f}"
    for key in ("early", "late"):
        value = _mean(parts, key)
        text += f"  {key} {100 * value:5.1f}" if value is not None else f"  {key}     -"
    return text


if __name__ == "__main__":
    main()
