"""What ``hs2s propagate`` is given, and its work on one video: steps, masks written."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hs2s_core.commands.options import check_new
from hs2s_core.errors import HS2SError
from hs2s_core.wording import counted

if TYPE_CHECKING:
    from hs2s_core.media.source import FrameSource
    from hs2s_core.models.base import VideoSegmenter
    from hs2s_core.prompts import Prompt, Prompts
    from hs2s_core.prompts.hints import Hint
    from hs2s_core.propagation.clip import ClipSettings, Step
    from hs2s_core.propagation.network import NetworkEngine
    from hs2s_core.propagation.propagator import FrameResult

FPS = 24.0
"""Of an overlay, where the video tells none."""


def check_places(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> None:
    """Nothing that was given may be overwritten, nor anything else without a word."""
    from hs2s_core.data.results import check_free
    from hs2s_core.prompts.hints import is_hint

    files = [Path(what) for _, what in (*args.prompt, *args.mend) if not is_hint(what)]
    given = [*files, *([] if masks is None else [masks])]
    taken = {source.resolve()} | {
        place for path in given for place in (path.resolve(), path.resolve().parent)
    }
    if out.resolve() in taken:
        raise HS2SError(f"{out}: holds what was given; expected another folder to write to.")
    check_free(out, overwrite=args.overwrite)
    if args.overlay is not None:
        from hs2s_core.media.encode import check_fps, find_ffmpeg

        find_ffmpeg()
        check_fps(args.overlay, FPS if args.fps is None else args.fps)
        if args.overlay.suffix.lower() != ".mp4":
            raise HS2SError(f"{args.overlay}: cannot write this format; expected a name in .mp4.")
    if args.report is not None:
        from hs2s_core.propagation.signs import check_report

        check_report(args.report)
    for beside in filter(None, (args.overlay, args.report)):
        if beside.resolve() in taken:
            raise HS2SError(f"{beside}: was given itself; expected another file to write.")
        check_new(beside, overwrite=args.overwrite)


def read_given(args: argparse.Namespace, masks: Path | None, frames: FrameSource) -> Prompts:
    """The masks of ``MASKS``, or what the ``--prompt`` say."""
    from hs2s_core.prompts import Prompts

    if masks is not None:
        prompts = Prompts.from_files(masks, frames, frame=args.frame)
        if args.frame is None and not masks.is_dir() and not args.quiet:
            print(f"{masks}: taken for frame {min(prompts)} (else --frame N)", file=sys.stderr)
        return prompts
    if args.frame is not None:
        raise HS2SError("--frame goes with MASKS; --prompt says its frame itself")
    return Prompts(each for frame, word in args.prompt for each in _given(frame, word, frames))


def _given(frame: int, word: str, frames: FrameSource) -> Iterator[Prompt]:
    """What ``--prompt`` says is given in a frame: masks of a PNG, or what hints point at."""
    from hs2s_core.media.source import has_frame
    from hs2s_core.prompts import Prompt, Prompts
    from hs2s_core.prompts.hints import is_hint

    if not (word.lower().endswith(".json") or is_hint(word)):
        yield from Prompts.from_files(Path(word), frames, frame=frame).each()
        return
    if not has_frame(frames, frame):
        raise HS2SError(f"{frame}={word}: {frames.description} has frames 0 to {len(frames) - 1}")
    picture = frames.at(frame)
    for object_id, hint in hints_of(word):
        yield Prompt.pointed(frame, object_id, picture, hint)


def hints_of(word: str) -> Iterator[tuple[int, Hint]]:
    """What a word of ``--prompt`` or ``--mend`` points at, by object id."""
    from hs2s_core.prompts.hints import parse_hint, read_hints

    return read_hints(Path(word)) if word.lower().endswith(".json") else iter([parse_hint(word)])


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
    from hs2s_core.data.results import writing_masks
    from hs2s_core.jobs.beside import in_turn
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
