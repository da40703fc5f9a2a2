"""The work of ``hs2s propagate`` on one video: a model from the options, steps, masks written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands.propagate_options import FPS
from hs2s_core.wording import counted

if TYPE_CHECKING:
    from hs2s_core.media.source import FrameSource
    from hs2s_core.models.base import VideoSegmenter
    from hs2s_core.prompts import Prompts
    from hs2s_core.propagation.clip import ClipSettings, Step
    from hs2s_core.propagation.network import NetworkEngine
    from hs2s_core.propagation.propagator import FrameResult


def load(args: argparse.Namespace) -> VideoSegmenter:
    """The model of the options, on the device and at the pace they say; tells the last."""
    from hs2s_core.devices import pick_device, use_threads
    from hs2s_core.models.inference import choose_pace
    from hs2s_core.weights import load_model

    model = load_model(args.weights, device=args.device, speed=args.speed)
    told = use_threads(args.threads)
    if not args.quiet:
        pace = choose_pace(args.speed, model.config, pick_device(args.device))
        print(told, pace.why, sep="\n", file=sys.stderr)
    return model


def settings_of(args: argparse.Namespace, direction: str) -> ClipSettings:
    """What the options say of the way through a video; ``direction`` if they say none."""
    from hs2s_core.propagation.clip import ClipSettings

    return ClipSettings(
        direction=args.direction or direction,
        first=args.first or 0,
        last=args.last,
        merge=args.merge,
        chunk=args.chunk,
    )


def steps_of(
    args: argparse.Namespace,
    engine: NetworkEngine,
    frames: FrameSource,
    prompts: Prompts,
    settings: ClipSettings,
) -> Iterator[Step]:
    """Go through the video, after the network has adapted to the prompts if that is wanted."""
    from hs2s_core.propagation.clip import walk_clip
    from hs2s_core.propagation.network import NetworkEngine

    if args.online_steps:
        from hs2s_core.training.online import adapt

        told = f"adapting to the given masks: {counted(args.online_steps, 'step')}"
        print(told, file=sys.stderr)
        engine = NetworkEngine(adapt(engine.given, frames, prompts, args.online_steps))
    return walk_clip(engine, frames, prompts, settings)


def write_steps(
    args: argparse.Namespace, steps: Iterator[Step], frames: FrameSource, out: Path
) -> Iterator[tuple[int, int | None, int]]:
    """Write the mask of every frame that is wanted; how far that is, and how many those were."""
    from hs2s_core.beside import in_turn
    from hs2s_core.data.results import writing_masks
    from hs2s_core.media.encode import VideoWriter
    from hs2s_core.media.masks import write_id_map
    from hs2s_core.media.overlay import draw_masks
    from hs2s_core.propagation.signs import writing_signs

    count = 0
    with ExitStack() as stack:
        folder = stack.enter_context(writing_masks(out))
        video = None
        if args.overlay is not None:
            fps = args.fps or frames.fps or FPS
            video = stack.enter_context(VideoWriter(args.overlay, frames.size, fps))
        report = None
        if args.report is not None:
            report = stack.enter_context(writing_signs(args.report))

        def write(result: FrameResult) -> None:
            if report is not None:
                report(result)
            name = frames.names[result.index] if frames.names is not None else f"{result.index:05d}"
            write_id_map(folder / f"{name}.png", result.id_map)
            if video is not None:
                video.write(draw_masks(frames.at(result.index), result.id_map))

        give = stack.enter_context(in_turn())
        for done, total, result in steps:
            if result is not None:
                give(partial(write, result))
                count += 1
            yield done, total, count
