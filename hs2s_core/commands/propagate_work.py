"""What ``hs2s propagate`` does: with one clip, and with every video of a split."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from hs2s_core.commands.options import OVERLAY_FPS, check_new
from hs2s_core.data.folders import open_folder
from hs2s_core.data.results import (
    check_free,
    find_others,
    remove_torn,
    videos_root,
    write_zip,
    writing_masks,
)
from hs2s_core.data.videos import VosFolder
from hs2s_core.devices import pick_device, use_threads
from hs2s_core.errors import HS2SError
from hs2s_core.jobs import Done, Item, Tick, Work, drive, find_engine, run_job
from hs2s_core.jobs.meters import Meter
from hs2s_core.jobs.threads import in_turn
from hs2s_core.media.cuts import find_cuts
from hs2s_core.media.encode import VideoWriter, check_fps, find_ffmpeg
from hs2s_core.media.frames import open_frames
from hs2s_core.media.masks import write_id_map
from hs2s_core.media.overlay import draw_masks
from hs2s_core.media.source import FrameSource, has_frame
from hs2s_core.models.base import VideoSegmenter
from hs2s_core.models.inference import choose_pace
from hs2s_core.prompts import Prompt, Prompts
from hs2s_core.prompts.hints import Hint, is_hint, parse_hint, read_hints
from hs2s_core.propagation.clip import ClipSettings, Step, clip_steps
from hs2s_core.propagation.network import NetworkEngine
from hs2s_core.propagation.propagator import FrameResult
from hs2s_core.propagation.session import Session, identify
from hs2s_core.propagation.signs import check_report, read_signs, suggest_frames, writing_signs
from hs2s_core.training.online import adapt
from hs2s_core.weights import load_model
from hs2s_core.wording import counted, some


def run_clip(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> int:
    """Propagate one clip, and say what came of it."""
    frames = open_frames(source)
    check_places(args, source, masks, out)
    prompts = read_given(args, masks, frames)
    engine = NetworkEngine(load(args))
    started = time.perf_counter()
    meter, count = Meter("frame", quiet=args.quiet), 0
    settings = replace(settings_of(args, "both"), cuts=_cuts(args, frames))
    with ExitStack() as stack:
        if args.session is not None:
            identity = identify(engine, frames.at(0))
            session = Session(args.session, engine, identity=identity, settings=settings)
            stack.enter_context(session)
            if masks is None:  # what is given replaces, or joins, the masks of last time
                given, prompts = prompts, session.prompts
                for prompt in given.each():
                    prompts = prompts.put(prompt)
            session.correct(prompts)
            for frame, word in args.mend:
                for object_id, hint in hints_of(word):
                    session.mend(frames, frame, object_id, hint)
            steps = session.run(frames)
        else:
            steps = steps_of(args, engine, frames, prompts, settings)
        for done, total, written in write_steps(args, steps, frames, out):
            meter(done, total)
            count = written
        meter.end()
    seconds = time.perf_counter() - started
    objects = len(prompts.object_ids)
    print(
        f"{counted(objects, 'object')} through {counted(count, 'frame')} in "
        f"{seconds:.1f} s ({count / seconds:.1f} frames per second) -> {out}"
    )
    if args.overlay is not None:
        print(f"overlay -> {args.overlay}")
    if args.report is not None:
        print(f"report -> {args.report}")
    _suggest(args)
    return 0


def _cuts(args: argparse.Namespace, frames: FrameSource) -> tuple[int, ...]:
    """The cuts at which nothing is followed further; says where they are, if that is wanted."""
    if args.cuts is None:
        return ()
    cuts = tuple(find_cuts(frames))
    print(f"cuts: {'frames ' if cuts else ''}{some(map(str, cuts), 20)}")
    return cuts if args.cuts == "stop" else ()


def _suggest(args: argparse.Namespace) -> None:
    """Name the frame to correct next, where it is known."""
    known = args.report or (args.session and args.session / "signs.csv")
    for frame, object_id, _ in suggest_frames(read_signs(known)) if known else ():
        print(f"to correct next: frame {frame}, where object {object_id} is most in doubt")


def check_places(args: argparse.Namespace, source: Path, masks: Path | None, out: Path) -> None:
    """Nothing that was given may be overwritten, nor anything else without a word."""
    files = [Path(what) for _, what in (*args.prompt, *args.mend) if not is_hint(what)]
    given = [*files, *([] if masks is None else [masks])]
    taken = {source.resolve()} | {
        place for path in given for place in (path.resolve(), path.resolve().parent)
    }
    if out.resolve() in taken:
        raise HS2SError(f"{out}: holds what was given; expected another folder to write to.")
    check_free(out, overwrite=args.overwrite)
    if args.overlay is not None:
        find_ffmpeg()
        check_fps(args.overlay, OVERLAY_FPS if args.fps is None else args.fps)
        if args.overlay.suffix.lower() != ".mp4":
            raise HS2SError(f"{args.overlay}: cannot write this format; expected a name in .mp4.")
    if args.report is not None:
        check_report(args.report)
    for beside in filter(None, (args.overlay, args.report)):
        if beside.resolve() in taken:
            raise HS2SError(f"{beside}: was given itself; expected another file to write.")
        check_new(beside, overwrite=args.overwrite)


def read_given(args: argparse.Namespace, masks: Path | None, frames: FrameSource) -> Prompts:
    """The masks of ``MASKS``, or what the ``--prompt`` say."""
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
    return read_hints(Path(word)) if word.lower().endswith(".json") else iter([parse_hint(word)])


def load(args: argparse.Namespace) -> VideoSegmenter:
    """The model of the options, on the device and at the pace they say; tells the last."""
    model = load_model(args.weights, device=args.device, speed=args.speed)
    told = use_threads(args.threads)
    if not args.quiet:
        pace = choose_pace(args.speed, model.config, pick_device(args.device))
        print(told, pace.why, sep="\n", file=sys.stderr)
    return model


def settings_of(args: argparse.Namespace, direction: str) -> ClipSettings:
    """What the options say of the way through a video; ``direction`` if they say none."""
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
    if args.online_steps:
        told = f"adapting to the given masks: {counted(args.online_steps, 'step')}"
        print(told, file=sys.stderr)
        engine = NetworkEngine(adapt(engine.given, frames, prompts, args.online_steps))
    return clip_steps(engine, frames, prompts, settings)


def write_steps(
    args: argparse.Namespace, steps: Iterator[Step], frames: FrameSource, out: Path
) -> Iterator[tuple[int, int | None, int]]:
    """Write the mask of every frame that is wanted; how far that is, and how many those were."""
    count = 0
    with ExitStack() as stack:
        folder = stack.enter_context(writing_masks(out))
        video = None
        if args.overlay is not None:
            fps = args.fps or frames.fps or OVERLAY_FPS
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


def run_split(args: argparse.Namespace, out: Path) -> int:
    """Every video of a split; 1 if one failed."""
    folder = open_folder(args.data, args.split)
    root = videos_root(out, "davis" if folder.layout == "davis" else "youtube_vos")
    taken = (folder.annotations.resolve(), folder.images.resolve())
    if any(root.resolve().is_relative_to(place) for place in taken):
        raise HS2SError(f"{out}: holds what was given; expected another folder to write to.")
    for name in folder.names:
        check_free(root / name, overwrite=args.overwrite)
    target = out.with_name(f"{out.resolve().name}.zip")
    if args.zip:
        check_new(target, overwrite=args.overwrite)
    engine = find_engine(args.engine, args.workers)
    meter = Meter("video", quiet=args.quiet)
    items = [Item(name, name) for name in folder.names]
    steps = run_job(_SplitJob(args, folder, root), items, engine=engine)
    report = drive(steps, lambda step: meter(step.videos, len(items)))
    meter.end()
    for problem in report.failed:
        print(problem, file=sys.stderr)
    failed = {problem.name for problem in report.failed}
    for name in failed:
        remove_torn(root / name)
    done = [root / name for name in folder.names if name not in failed]
    print(f"{len(done)} of {counted(len(folder), 'video')} -> {out}")
    others = find_others(root, {place.name for place in done})
    if others:
        what = f"masks of {counted(len(others), 'video')} that this run did not write"
        print(f"{root}: also has {what}: {some(others)}", file=sys.stderr)
    if args.zip and done:
        write_zip(target, out, done)
        print(f"zip for the server -> {target}")
    return 1 if failed else 0


@dataclass(frozen=True)
class _SplitJob:
    """The videos of a split, as each process can open them."""

    args: argparse.Namespace
    folder: VosFolder
    root: Path

    def open(self) -> Callable[[Item], Work[Done]]:
        """Load the network, and prepare it for every video."""
        return partial(self._video, NetworkEngine(load(self.args)))

    def _video(self, engine: NetworkEngine, item: Item) -> Work[Done]:
        video = self.folder.video(item.name)
        prompts = Prompts.of(video.first_masks())
        frames = open_frames(video.frames)
        steps = steps_of(
            self.args, engine.sibling(), frames, prompts, settings_of(self.args, "forward")
        )
        count = 0
        for done, total, count in write_steps(self.args, steps, frames, self.root / item.name):
            yield Tick(done / (total or done), f"frame {count}", count)
        return Done(count)
