"""The demo: the bundled clip through FiftyOne, the operator, the database and the metrics."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
from fiftyone.core.service import ServiceListenTimeout
from PIL import Image

from hs2s_core.data.folders import open_folder
from hs2s_core.data.videos import VosVideo
from hs2s_core.errors import HS2SError
from hs2s_core.evaluation.report import format_table
from hs2s_core.evaluation.table import EvaluationTable
from hs2s_core.media.encode import VideoWriter
from hs2s_core.media.frames import open_frames
from hs2s_core.media.images import RGBImage
from hs2s_core.media.masks import IdMap, read_id_map
from hs2s_core.media.overlay import Row, contact_sheet, draw_masks, enlarge, enlarge_ids
from hs2s_core.media.strip import evenly
from hs2s_core.resources import asset
from hs2s_core.wording import counted

from ._bootstrap import NAME
from .evaluation import evaluate
from .export import export
from .install import install
from .loading.dataset import DEFAULT_LABEL_FIELD as TRUTH
from .loading.dataset import load
from .propagation import DEFAULT_OUTPUT as OUTPUT

_MARK = "hs2s_demo"
_FPS = 12.0
_SCALE = 2
_SHOWN = 4
"""Frames on the contact sheet."""


def run(args: argparse.Namespace) -> int:
    """Load, propagate, score, draw; then the App, where asked for."""
    started = time.perf_counter()
    operator = _operator()
    dataset = _load(args.dataset)
    sample = dataset.first()
    print(
        f"dataset '{dataset.name}': {counted(sample.num_frames, 'frame')}, "
        f"{counted(sample.num_objects, 'object')}"
    )
    summary = operator(
        dataset, TRUTH, OUTPUT, model=args.weights, device=args.device, overwrite=True
    )
    if summary.failed:
        raise HS2SError(f"the operator could not propagate the masks: {summary.failed[0]}")
    print(summary)
    table = evaluate(dataset, OUTPUT, TRUTH, f"eval_{OUTPUT}", progress=False).table
    _dress(dataset)
    video = open_folder(asset("demo")).video(sample.video_id)
    masks = args.out / "masks" / video.name
    export(dataset, OUTPUT, masks.parent, layout="davis", overwrite=True, progress=False)
    names = (f"{key} = {entry.category}" for key, entry in sorted(video.objects.items()))
    print(f"\n{format_table(table, objects=True)}\nobjects: {', '.join(names)}\n")
    table.write(args.out / "scores.csv")
    _draw(video, masks, table, args.out)
    for name, what in (
        ("masks", "palettised masks"),
        ("scores.csv", "J and F of every frame and object"),
        ("overlay.mp4", "the masks over the video"),
        ("contact-sheet.png", "the result beside the truth"),
    ):
        print(f"{args.out / name}: {what}")
    print(f"finished in {time.perf_counter() - started:.0f} s")
    if args.app:
        _show(dataset, args.port)
    else:
        print(f"To look at it: hs2s demo --app, or fiftyone app launch {dataset.name}")
    return 0


def _operator() -> Any:
    """The operator as any script gets it; the plugin is installed where FiftyOne has none."""
    uri = f"{NAME}/propagate_masks"
    if not foo.operator_exists(uri):
        print(f"installed the plugin into {install()}")
    try:
        return foo.get_operator(uri)
    except ValueError as error:
        raise HS2SError(
            f"FiftyOne does not offer {uri} ({error}); `hs2s doctor` tells why."
        ) from error


def _load(name: str) -> fo.Dataset:
    """The clip as a dataset that stays; what an earlier demo left is replaced."""
    if fo.dataset_exists(name):
        earlier = fo.load_dataset(name)
        if not earlier.info.get(_MARK):
            raise HS2SError(
                f"a dataset '{name}' exists and is not the demo's; give another --dataset name."
            )
        earlier.delete()
    dataset = load(asset("demo"), name, fps=_FPS, persistent=True, progress=False)
    dataset.info[_MARK] = True
    dataset.save()
    return dataset


def _dress(dataset: fo.Dataset) -> None:
    """Let the App open on the result, in another colour than the truth."""
    colours = {OUTPUT: "#ff8c3a", TRUTH: "#4ea8f0"}
    dataset.app_config.color_scheme = fo.ColorScheme(
        color_by="field",
        fields=[{"path": f"frames.{name}", "fieldColor": hue} for name, hue in colours.items()],
    )
    dataset.app_config.active_fields = fo.ActiveFields(paths=[f"frames.{OUTPUT}"])
    dataset.save()


def _draw(video: VosVideo, masks: Path, table: EvaluationTable, out: Path) -> None:
    """The overlay video, and some of its frames beside the truth."""
    frames = open_frames(video.frames)
    shown = evenly(len(frames), _SHOWN)
    ours: list[RGBImage] = []
    true: list[RGBImage] = []
    height, width = (side * _SCALE for side in frames.size)
    with VideoWriter(out / "overlay.mp4", (height, width), _FPS) as writer:
        for index, frame in enumerate(frames):
            drawn = _over(frame, read_id_map(masks / f"{video.frame_names[index]}.png"))
            writer.write(drawn)
            if index in shown:
                truth = video.read_id_map(index)
                ours.append(drawn)
                assert truth is not None  # the clip is annotated in every frame
                true.append(_over(frame, truth))
    scores = _frame_scores(table)
    captions = [
        "frame 0: given" if index == 0 else f"frame {index}: J&F {100 * scores[index]:.0f}"
        for index in shown
    ]
    rows = (
        Row("HS2S, from the masks of frame 0", ours, captions),
        Row("true masks", true, [f"frame {index}" for index in shown]),
    )
    Image.fromarray(contact_sheet(rows)).save(out / "contact-sheet.png", optimize=True)


def _over(frame: RGBImage, id_map: IdMap) -> RGBImage:
    return draw_masks(enlarge(frame, _SCALE), enlarge_ids(id_map, _SCALE))


def _frame_scores(table: EvaluationTable) -> Mapping[int, float]:
    """Mean J&F of each frame over the objects that are visible in it, or were predicted to be."""
    scores: dict[int, list[float]] = {}
    for row in table.rows:
        if row.in_truth or row.in_prediction:
            scores.setdefault(row.frame, []).append((row.j + row.f) / 2)
    return {frame: float(np.mean(values)) for frame, values in scores.items()}


def _show(dataset: fo.Dataset, port: int | None) -> None:
    try:
        session = fo.launch_app(dataset, port=port)
    except ServiceListenTimeout as error:
        raise HS2SError(
            f"the App did not start within a minute ({error}); the machine may be busy, or the "
            f"port taken: try again with another --port, or `fiftyone app launch {dataset.name}`."
        ) from error
    print("Ctrl+C ends the App.", flush=True)
    try:
        session.wait(-1)
    except KeyboardInterrupt:
        session.close()
